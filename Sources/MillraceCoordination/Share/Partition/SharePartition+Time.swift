// What happens without an acknowledgement: locks run out, retries become due, sessions end, the log loses its beginning.

import MillraceProtocol

extension SharePartition {
  /// Gives back what locks have run out for, and makes due what was delayed. To be called at `nextDeadlineMs`; at any
  /// other time it does no harm.
  package mutating func wake(now: Moment) -> SharePartitionDecision {
    var outcome = RecordOutcome()
    while let offsets = alarms.popDue(now.uptimeMs) {
      var due: [InFlightRun] = []
      runs.forEach(in: offsets) { run in
        guard let deadlineMs = run.deadlineMs else { return true }
        var run = run
        run.firstOffset = max(run.firstOffset, offsets.lowerBound)
        run.lastOffset = min(run.lastOffset, offsets.upperBound)
        if deadlineMs > now.uptimeMs {
          alarms.set(run.offsets, at: deadlineMs)
        } else {
          due.append(run)
        }
        return true
      }
      for run in due {
        if case .waiting = run.phase {
          runs.change(run.offsets) { $0.phase = .available }
          outcome.isAnythingAvailable = true
        } else {
          giveBack(run.offsets, .counted, now, &outcome)
        }
      }
    }
    outcome.changed.sort { $0.firstOffset < $1.firstOffset }
    return conclude(outcome)
  }

  /// The member is gone: what it holds comes back.
  ///
  /// - Parameter countsDelivery: Kafka takes the delivery back, since a member that closes its session did not process
  ///   what it gives back. With true the delivery counts, as it must for one that the record may have brought down:
  ///   otherwise such a record would be delivered for ever.
  package mutating func release(memberId: String, countsDelivery: Bool, now: Moment) -> SharePartitionDecision {
    var outcome = RecordOutcome()
    guard let count = held[memberId], let first = runs.first, let last = runs.last else {
      return SharePartitionDecision()
    }
    var left = count
    var offsets: [ClosedRange<Int64>] = []
    runs.forEach(in: first.firstOffset...last.lastOffset) { run in
      if case .acquired(memberId, _) = run.phase {
        offsets.append(run.offsets)
        left -= run.count
      }
      return left > 0
    }
    for range in offsets { giveBack(range, countsDelivery ? .counted : .undone, now, &outcome) }
    return conclude(outcome)
  }

  /// The log begins later than before: records below cannot be delivered any more, and are forgotten. The new start is
  /// persisted with the next write, as in Kafka.
  ///
  /// - Returns: records that were waiting for their dead letters, whose payload is lost with the log's beginning.
  package mutating func moveStart(to logStartOffset: Int64) -> [DeadLetter] {
    guard logStartOffset > startOffset, logStartOffset < .max else { return [] }
    var lost: [DeadLetter] = []
    var released: [(memberId: String, count: Int)] = []
    runs.forEach(in: startOffset...(logStartOffset - 1)) { run in
      let last = min(run.lastOffset, logStartOffset - 1)
      switch run.phase {
      case .archiving(let cause):
        lost.append(
          DeadLetter(
            firstOffset: run.firstOffset, lastOffset: last, deliveryCount: run.deliveryCount, cause: cause))
      case .acquired(let memberId, _): released.append((memberId, Int(last - run.firstOffset + 1)))
      case .available, .waiting, .finished: break
      }
      return true
    }
    for (memberId, count) in released { letGo(memberId, count) }
    runs.removeAll(below: logStartOffset)
    startOffset = logStartOffset
    nextOffset = max(nextOffset, logStartOffset)
    advanceStart()
    alarms.tidy(runs)
    return lost
  }
}
