// How many of a log's oldest segments go: Kafka's rules, in its order. A plain value, so that a test asks it about years.
//
//   - what lies before the start of the log goes, whatever the cleanup policy is;
//   - then by size: as long as the log without its oldest segment is still at least `retention.bytes`;
//   - then by time: as long as the youngest record of the oldest segment is older than `retention.ms`.
//
// Each rule takes from the front and stops at the first segment it does not want. Nothing at or above `limit` goes. The
// last segment may be among those that go, if it has batches: the log then goes on in a new one.

/// One segment as retention sees it.
struct RetainedSegment: Sendable {
  var byteCount: Int64
  /// The offset behind its last.
  var endOffset: Int64
}

struct RetentionRule: Sendable {
  /// -1 for no limit.
  var retentionMs: Int64
  /// -1 for no limit.
  var retentionBytes: Int64

  /// - Parameters:
  ///   - limit: everything before it is durable, and its transactions have ended.
  ///   - newestMs: the time of the youngest record of a segment. Asked only about segments for which it matters.
  func decide<E: Error>(
    _ segments: [RetainedSegment], logStartOffset: Int64, limit: Int64, nowMs: Int64,
    newestMs: (Int) throws(E) -> Int64
  ) throws(E) -> RetentionDecision {
    var decision = RetentionDecision()
    func mayGo(_ index: Int) -> Bool {
      guard index < segments.count, segments[index].endOffset <= limit else { return false }
      return index < segments.count - 1 || segments[index].byteCount > 0
    }
    while decision.count < segments.count - 1, segments[decision.count].endOffset <= logStartOffset {
      decision.beforeStart += 1
    }
    if retentionBytes >= 0 {
      var surplus = segments[decision.count...].reduce(0) { $0 + $1.byteCount } - retentionBytes
      while mayGo(decision.count), surplus - segments[decision.count].byteCount >= 0 {
        surplus -= segments[decision.count].byteCount
        decision.bySize += 1
      }
    }
    if retentionMs >= 0 {
      while mayGo(decision.count) {
        let (age, overflow) = nowMs.subtractingReportingOverflow(try newestMs(decision.count))
        guard !overflow, age > retentionMs else { break }
        decision.byTime += 1
      }
    }
    return decision
  }
}

struct RetentionDecision: Sendable, Equatable {
  var beforeStart = 0
  var bySize = 0
  var byTime = 0

  /// How many segments go.
  var count: Int { beforeStart + bySize + byTime }
}
