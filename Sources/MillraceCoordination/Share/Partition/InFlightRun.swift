// Neighbouring offsets of a share-partition that are in the same state.

struct InFlightRun: Sendable, Equatable {
  enum Phase: Sendable, Equatable {
    case available
    /// Delivered before, and not to be delivered again until then (uptime).
    case waiting(untilMs: Int64)
    /// Locked for a member until then (uptime).
    case acquired(memberId: String, untilMs: Int64)
    /// Given up; its dead letter is not written yet.
    case archiving(DeadLetterCause)
    /// Acknowledged or archived, or an offset at which the log has nothing to deliver.
    case finished
  }

  var firstOffset: Int64
  var lastOffset: Int64
  var phase: Phase
  var deliveryCount: Int16
  /// How many offsets were acquired together when these were delivered first; see `SharePolicy.share`.
  var batchFirstOffset: Int64
  var batchLastOffset: Int64

  init(_ offsets: ClosedRange<Int64>, _ phase: Phase, deliveryCount: Int16 = 0) {
    firstOffset = offsets.lowerBound
    lastOffset = offsets.upperBound
    self.phase = phase
    self.deliveryCount = deliveryCount
    batchFirstOffset = offsets.lowerBound
    batchLastOffset = offsets.upperBound
  }

  var offsets: ClosedRange<Int64> { firstOffset...lastOffset }
  var count: Int { Int(lastOffset - firstOffset + 1) }
  var batchSize: Int64 { batchLastOffset - batchFirstOffset + 1 }

  /// When the run is to be looked at by itself.
  var deadlineMs: Int64? {
    switch phase {
    case .waiting(let untilMs), .acquired(_, let untilMs): untilMs
    case .available, .archiving, .finished: nil
    }
  }

  /// The two can be one run.
  func continues(in next: InFlightRun) -> Bool {
    guard lastOffset + 1 == next.firstOffset, phase == next.phase else { return false }
    if phase == .finished { return true }
    return deliveryCount == next.deliveryCount && batchFirstOffset == next.batchFirstOffset
      && batchLastOffset == next.batchLastOffset
  }
}

/// How many records, and how many runs of them, are in each phase.
struct InFlightTally: Sendable, Equatable {
  private(set) var available = 0
  private(set) var waiting = 0
  private(set) var acquired = 0
  private(set) var archiving = 0
  private(set) var finished = 0
  /// Runs that have a deadline.
  private(set) var deadlines = 0

  var unfinished: Int { available + waiting + acquired + archiving }

  mutating func add(_ run: InFlightRun, _ sign: Int = 1) {
    let count = run.count * sign
    switch run.phase {
    case .available: available += count
    case .waiting:
      waiting += count
      deadlines += sign
    case .acquired:
      acquired += count
      deadlines += sign
    case .archiving: archiving += count
    case .finished: finished += count
    }
  }

  mutating func remove(_ run: InFlightRun) { add(run, -1) }
}
