// Records that are given up while the group has a dead-letter topic. They stay in flight, in `archiving`, until their
// letters are written; so a letter that cannot be written now holds back nothing but the start offset and its own lock.
//
// The letters and the archiving belong into one transaction: its records are the letters and the state that
// `archivingWrite` says; when it has committed, `archived` takes note. After a crash the records are either archived or
// still here, and `deadLetters` says which.

import MillraceProtocol

extension SharePartition {
  /// What waits for its letter, in the order of the offsets.
  package func deadLetters(limit: Int = .max) -> [DeadLetter] {
    guard runs.tally.archiving > 0, let first = runs.first, let last = runs.last else { return [] }
    var letters: [DeadLetter] = []
    var left = runs.tally.archiving
    runs.forEach(in: first.firstOffset...last.lastOffset) { run in
      guard case .archiving(let cause) = run.phase else { return true }
      letters.append(
        DeadLetter(
          firstOffset: run.firstOffset, lastOffset: run.lastOffset, deliveryCount: run.deliveryCount, cause: cause))
      left -= run.count
      return left > 0 && letters.count < limit
    }
    return letters
  }

  /// The write that is to become durable together with the letters of these offsets. Changes nothing here. Nil when none
  /// of them waits for a letter.
  package func archivingWrite(_ offsets: ClosedRange<Int64>) -> ShareStateWrite? {
    var batches: [ShareStateBatch] = []
    runs.forEach(in: offsets) { run in
      guard case .archiving = run.phase else { return true }
      batches.append(
        ShareStateBatch(
          firstOffset: max(run.firstOffset, offsets.lowerBound), lastOffset: min(run.lastOffset, offsets.upperBound),
          state: .archived, deliveryCount: run.deliveryCount))
      return true
    }
    guard !batches.isEmpty else { return nil }
    var write = write(batches)
    // The start and the count may have moved on when the transaction commits: they are left to other writes.
    write.startOffset = -1
    write.deliveryCompleteCount = -1
    return write
  }

  /// The letters of these offsets are written, durably, and so is the write that `archivingWrite` gave. What that could
  /// not say, where the share-partition begins now and how much of it is done, is written behind it: a group that rests
  /// from then on would seem to lag for ever.
  package mutating func archived(_ offsets: ClosedRange<Int64>) -> SharePartitionDecision {
    let archiving = runs.tally.archiving
    runs.change(offsets) { run in
      if case .archiving = run.phase { run.phase = .finished }
    }
    advanceStart()
    var decision = SharePartitionDecision()
    guard runs.tally.archiving != archiving else { return decision }
    decision.write = startWrite
    decision.wakesFetches = true
    return decision
  }
}
