// The seam between share-partitions and whoever writes the dead letters of share groups. Without one behind it no group
// has dead letters, and what is given up is archived at once.
//
//   a record is rejected or delivered too often
//     └▶ ARCHIVING, durably ──▶ begin(letters, in: partition)
//                                 │  partition.forEachOriginal(…)        the records themselves
//                                 │  partition.archivingWrite(…)         the state that belongs to the letters
//                                 │  one transaction: letters + that state (`transactionalWrite` of the share state)
//                                 └▶ partition.archived(…)               after the commit
//
// `begin` is called for every record that waits for its letter: once when that is durable, and again after each restore
// of the share-partition (a restart, or a write that failed), then for all that still wait. So whoever implements this
// passes over offsets that it works on already, and need not remember anything over a restart. Until `archived` the
// records stay in flight and hold back the start offset; they hold back nothing else.

import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords

package protocol ShareDeadLetters: AnyObject, Sendable {
  /// Called on any thread, without a lock held; must be short.
  func begin(_ letters: [DeadLetter], in partition: SharePartitionRuntime)
  /// The log lost its beginning, and these records with it: their letters can say where they were, but not what.
  func lost(_ letters: [DeadLetter], in partition: SharePartitionRuntime)
}

extension SharePartitionRuntime {
  /// What waits for its letter, in the order of the offsets; empty while the state is being read.
  package func waitingDeadLetters(limit: Int = .max) -> [DeadLetter] {
    state.withLock { $0.value?.deadLetters(limit: limit) ?? [] }
  }

  /// The write that is to become durable in one transaction with the letters of these offsets; nil when none of them
  /// waits for a letter any more.
  package func archivingWrite(_ offsets: ClosedRange<Int64>) -> ShareStateWrite? {
    state.withLock { $0.value?.archivingWrite(offsets) }
  }

  /// The letters of these offsets and the write that `archivingWrite` gave are committed.
  package func archived(_ offsets: ClosedRange<Int64>) {
    decide { value, _ in value.archived(offsets) }
  }

  /// How much of the log is read at a time for its original records.
  private static let originalByteCount = 1 << 20

  /// Calls `body` with the records that the log has at these offsets, from the first on, as many as one read brings.
  /// Blocks on the disk.
  ///
  /// - Returns: where to read on; nil when there is nothing more in the range.
  package func forEachOriginal(
    in offsets: ClosedRange<Int64>, _ body: (Record, BatchHeader) throws(BatchError) -> Void
  ) throws(LogError) -> Int64? {
    let first = max(offsets.lowerBound, partition.log.offsets.logStartOffset)
    guard first <= offsets.upperBound else { return nil }
    let plan = try partition.log.read(
      from: first, maxBytes: Self.originalByteCount, minOneBatch: true, isolation: .readUncommitted)
    guard !plan.isEmpty else { return nil }
    let bytes = try plan.load()
    let outcome = bytes.withUnsafeBytes { buffer in
      Result { () throws(BatchError) in
        try Self.forEachRecord(in: first...offsets.upperBound, of: buffer, body)
      }
    }
    if case .failure = outcome { throw .corrupt(path: "\(partition.log.id)", position: first) }
    return plan.nextOffset <= offsets.upperBound ? plan.nextOffset : nil
  }

  private static func forEachRecord(
    in offsets: ClosedRange<Int64>, of batches: UnsafeRawBufferPointer,
    _ body: (Record, BatchHeader) throws(BatchError) -> Void
  ) throws(BatchError) {
    var done = 0
    while done < batches.count {
      let batch = try BatchView(UnsafeRawBufferPointer(rebasing: batches[done...]))
      done += batch.header.sizeInBytes
      guard !batch.header.isControl, batch.header.lastOffset >= offsets.lowerBound,
        batch.header.baseOffset <= offsets.upperBound
      else { continue }
      try batch.verifyChecksum()
      try batch.forEachRecord { (record) throws(BatchError) in
        if offsets.contains(record.offset) { try body(record, batch.header) }
      }
    }
  }
}
