// Some letters in a row: what is to be written, what is passed over, and how far that is.

struct RedriveChunk {
  /// Bounds of what is in memory and in a transaction at a time.
  static let letterLimit = 1000
  static let byteLimit = 8 << 20
  /// With a rate, how often something is written and committed.
  private static let commitsPerSecond = 5.0

  private struct Step {
    var partition: TopicPartition
    var next: OffsetAndMetadata
    var outcome: RedriveOutcome
    var record: ProducerRecord?
  }

  private var steps: [Step] = []
  private var byteCount = 0
  /// Ends of partitions that are reached with this chunk, with what is no letter there.
  private var ends: [TopicPartition: Int64] = [:]

  var isEmpty: Bool { steps.isEmpty && ends.isEmpty }
  var letterCount: Int { steps.count }

  /// What is to be written.
  var records: some Sequence<ProducerRecord> { steps.lazy.compactMap(\.record) }
  var recordCount: Int { steps.count { $0.record != nil } }

  /// Where each partition stands afterwards.
  var offsets: [TopicPartition: OffsetAndMetadata] {
    var offsets: [TopicPartition: OffsetAndMetadata] = [:]
    for step in steps { offsets[step.partition] = step.next }
    for (partition, end) in ends { offsets[partition] = OffsetAndMetadata(offset: end) }
    return offsets
  }

  var summary: RedriveSummary {
    var summary = RedriveSummary()
    for step in steps { summary.add(step.outcome, to: step.record?.topic) }
    return summary
  }

  /// How many letters make a chunk.
  static func limit(rate: Double?) -> Int {
    guard let rate else { return letterLimit }
    return max(1, Int(min(rate / commitsPerSecond, Double(letterLimit))))
  }

  func isFull(_ limit: Int) -> Bool { letterCount >= limit || byteCount >= Self.byteLimit }

  mutating func add(_ letter: ConsumerRecord, _ outcome: RedriveOutcome, writing record: ProducerRecord? = nil) {
    steps.append(
      Step(
        partition: letter.topicPartition,
        next: OffsetAndMetadata(offset: letter.offset &+ 1, leaderEpoch: letter.leaderEpoch), outcome: outcome,
        record: record))
    if record != nil { byteCount += letter.keyByteCount + letter.valueByteCount }
  }

  mutating func finish(_ spans: [TopicPartition: LetterReader.Span]) {
    ends = spans.mapValues(\.end)
  }

  /// The same, letter by letter.
  var parts: [RedriveChunk] {
    var parts = steps.map { step in
      var part = RedriveChunk()
      part.steps = [step]
      return part
    }
    if !ends.isEmpty {
      var last = RedriveChunk()
      last.ends = ends
      parts.append(last)
    }
    return parts
  }

  /// Where the first letter lies.
  var place: (partition: TopicPartition, offset: Int64)? {
    steps.first.map { ($0.partition, $0.next.offset &- 1) }
  }
}

/// Lets so many pass in a second. Time that was not used is lost, but for a moment's.
struct RedrivePace {
  private static let credit = Duration.milliseconds(200)

  private let interval: Duration
  private var next: ContinuousClock.Instant

  init(_ rate: Double, now: ContinuousClock.Instant) {
    interval = .seconds(1) / rate
    next = now
  }

  /// When so many may pass.
  mutating func pass(_ count: Int, now: ContinuousClock.Instant) -> ContinuousClock.Instant {
    next = max(next, now - Self.credit)
    next += interval * Double(count)
    return next
  }
}
