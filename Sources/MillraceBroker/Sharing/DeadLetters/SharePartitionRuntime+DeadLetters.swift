// What a share-partition tells the writer of dead letters, and is told by it.
//
//   a record is rejected or delivered too often
//     └▶ ARCHIVING, durably ──▶ submit(partition)
//                                 │  partition.waitingDeadLetters(…)
//                                 │  partition.archivingWrite(…)         the state that belongs to the letters
//                                 │  one transaction: letters + that state
//                                 └▶ partition.archived(…)               after the commit
//
// The writer is called once the archiving is durable, and again after each restore of the share-partition (a restart, or
// a write that failed), so it need not remember anything over a restart. A share-partition that nobody fetches from is
// restored for its letters (`beginLetters`). Until `archived` the records stay in flight and hold back the start offset;
// they hold back nothing else.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension SharePartitionRuntime {
  /// What waits for its letter, in the order of the offsets; nil while the state is not known.
  func waitingDeadLetters(limit: Int) -> [DeadLetter]? {
    state.withLock { $0.value?.deadLetters(limit: limit) }
  }

  /// Letters may wait in the persisted state: has it read, unless it is known already.
  func beginLetters() {
    let isKnown = state.withLock { state in
      if state.value == nil { state.owesLetters = true }
      return state.value != nil
    }
    if !isKnown { prepare(again: true) }
  }

  /// The write that is to become durable in one transaction with the letters of these offsets, in order; nil when none
  /// of them waits for a letter any more.
  func archivingWrite(_ offsets: [ClosedRange<Int64>]) -> ShareStateWrite? {
    state.withLock { state in
      var whole: ShareStateWrite?
      for range in offsets {
        guard let write = state.value?.archivingWrite(range) else { continue }
        if whole == nil { whole = write } else { whole?.append(write) }
      }
      return whole
    }
  }

  /// The letters of these offsets and the write that `archivingWrite` gave are committed.
  func archived(_ offsets: [ClosedRange<Int64>]) {
    for range in offsets { decide { value, _ in value.archived(range) } }
  }
}
