// What becomes of records that a member held: they end, are given up, or come back.

import MillraceProtocol

/// What one event has changed so far.
struct RecordOutcome {
  var changed: [ShareStateBatch] = []
  var deadLetters: [DeadLetter] = []
  var isAnythingAvailable = false

  mutating func add(_ batch: ShareStateBatch) {
    if let last = changed.last, last.lastOffset + 1 == batch.firstOffset, last.state == batch.state,
      last.deliveryCount == batch.deliveryCount, last.notBeforeMs == batch.notBeforeMs, last.cause == batch.cause
    {
      changed[changed.count - 1].lastOffset = batch.lastOffset
    } else {
      changed.append(batch)
    }
  }
}

enum ReturnKind {
  /// The delivery was one: released by the member, or its lock ran out.
  case counted
  /// The delivery never took place: the session ended before.
  case undone
}

extension SharePartition {
  mutating func end(_ offsets: ClosedRange<Int64>, as state: ShareRecordState, _ outcome: inout RecordOutcome) {
    changeHeld(offsets, &outcome) { run, _, outcome in
      outcome.add(
        ShareStateBatch(
          firstOffset: run.firstOffset, lastOffset: run.lastOffset, state: state, deliveryCount: run.deliveryCount))
      run.phase = .finished
    }
  }

  mutating func giveUp(_ offsets: ClosedRange<Int64>, _ cause: DeadLetterCause, _ outcome: inout RecordOutcome) {
    guard policy.hasDeadLetters else { return end(offsets, as: .archived, &outcome) }
    changeHeld(offsets, &outcome) { run, _, outcome in Self.archive(&run, cause, &outcome) }
  }

  mutating func giveBack(
    _ offsets: ClosedRange<Int64>, _ how: ReturnKind, _ now: Moment, _ outcome: inout RecordOutcome
  ) {
    let policy = policy
    changeHeld(offsets, &outcome) { run, jitter, outcome in
      if how == .counted, run.deliveryCount >= policy.deliveryCountLimit {
        if policy.hasDeadLetters { return Self.archive(&run, .deliveryCountExceeded, &outcome) }
        outcome.add(
          ShareStateBatch(
            firstOffset: run.firstOffset, lastOffset: run.lastOffset, state: .archived,
            deliveryCount: run.deliveryCount))
        run.phase = .finished
        return
      }
      var delayMs: Int64 = 0
      switch how {
      case .undone: run.deliveryCount = max(0, run.deliveryCount - 1)
      case .counted where policy.retryBackoffMs > 0:
        delayMs = policy.retryDelayMs(after: run.deliveryCount, chance: jitter.next())
      case .counted: break
      }
      run.phase = delayMs > 0 ? .waiting(untilMs: now.uptimeMs.addingClamped(delayMs)) : .available
      outcome.add(
        ShareStateBatch(
          firstOffset: run.firstOffset, lastOffset: run.lastOffset, state: .available,
          deliveryCount: run.deliveryCount, notBeforeMs: delayMs > 0 ? now.wallMs.addingClamped(delayMs) : nil))
    }
  }

  private static func archive(_ run: inout InFlightRun, _ cause: DeadLetterCause, _ outcome: inout RecordOutcome) {
    run.phase = .archiving(cause)
    outcome.add(
      ShareStateBatch(
        firstOffset: run.firstOffset, lastOffset: run.lastOffset, state: .archiving, deliveryCount: run.deliveryCount,
        cause: cause))
    outcome.deadLetters.append(
      DeadLetter(
        firstOffset: run.firstOffset, lastOffset: run.lastOffset, deliveryCount: run.deliveryCount, cause: cause))
  }

  /// Changes the runs of the range that are held, and counts what their members let go.
  private mutating func changeHeld(
    _ offsets: ClosedRange<Int64>, _ outcome: inout RecordOutcome,
    _ body: (inout InFlightRun, inout Jitter, inout RecordOutcome) -> Void
  ) {
    var released: [(memberId: String, count: Int)] = []
    var delayed: [(offsets: ClosedRange<Int64>, untilMs: Int64)] = []
    var jitter = jitter
    runs.change(offsets) { run in
      guard case .acquired(let memberId, _) = run.phase else { return }
      body(&run, &jitter, &outcome)
      released.append((memberId, run.count))
      switch run.phase {
      case .available: outcome.isAnythingAvailable = true
      case .waiting(let untilMs): delayed.append((run.offsets, untilMs))
      case .acquired, .archiving, .finished: break
      }
    }
    self.jitter = jitter
    for (memberId, count) in released { letGo(memberId, count) }
    for (offsets, untilMs) in delayed { alarms.set(offsets, at: untilMs) }
  }

  /// The event is over: what to write, and whom to wake.
  mutating func conclude(_ outcome: RecordOutcome) -> SharePartitionDecision {
    var decision = SharePartitionDecision()
    let startBefore = startOffset
    advanceStart()
    alarms.tidy(runs)
    if !outcome.changed.isEmpty || startOffset != startBefore { decision.write = write(outcome.changed) }
    decision.deadLetters = outcome.deadLetters
    decision.wakesFetches = outcome.isAnythingAvailable || startOffset != startBefore || !outcome.changed.isEmpty
    return decision
  }
}

extension Int64 {
  /// The sum, or the nearest number there is.
  func addingClamped(_ other: Int64) -> Int64 {
    let (sum, overflow) = addingReportingOverflow(other)
    return overflow ? (other < 0 ? .min : .max) : sum
  }
}
