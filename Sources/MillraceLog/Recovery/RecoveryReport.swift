// What opening a partition found that a clean stop does not leave behind, and what was done about it.

package struct RecoveryReport: Sendable, CustomStringConvertible {
  package enum Finding: Sendable, Equatable {
    /// Bytes past the recovery point that are no batch, and everything after them, were cut off: a torn write.
    case cut(path: String, position: Int64, byteCount: Int64)
    /// A segment behind a cut, or one that does not follow the one before it, was removed.
    case removedSegment(path: String, byteCount: Int64)
    /// Bytes before the recovery point are no batches. They are kept, and reading them fails.
    case damaged(path: String, position: Int64, byteCount: Int64)
    /// The log ends before what was recorded as flushed.
    case missing(from: Int64, to: Int64)
    /// No segment has these offsets, though the topic is not compacted.
    case absent(from: Int64, to: Int64)
    /// The recovery point of a log that is not empty was not recorded; all of it was read.
    case noRecoveryPoint
    case snapshotUnusable(path: String)
    case leaderEpochsUnusable(path: String)
    case partitionMetadataUnusable(path: String)
    /// Removing or writing something in passing failed.
    case storage(StorageError)
  }

  package let partition: PartitionID
  package var findings: [Finding] = []
  /// Bytes whose checksums were computed.
  package var checkedBytes: Int64 = 0
  package var logEndOffset: Int64 = 0

  package var description: String {
    "\(partition): \(checkedBytes) bytes checked, ends at offset \(logEndOffset)"
      + findings.map { "; \($0)" }.joined()
  }
}

extension RecoveryReport.Finding: CustomStringConvertible {
  package var description: String {
    switch self {
    case .cut(let path, let position, let byteCount):
      "cut \(byteCount) bytes off \(path) at \(position), where a write was torn"
    case .removedSegment(let path, let byteCount):
      "removed \(path) (\(byteCount) bytes), which does not follow what was kept"
    case .damaged(let path, let position, let byteCount):
      "\(path) is damaged at \(position) (\(byteCount) bytes); the rest is served"
    case .missing(let from, let to): "the log ends at \(from), though it was flushed up to \(to)"
    case .absent(let from, let to): "offsets \(from) to \(to - 1) are in no segment"
    case .noRecoveryPoint: "no recovery point was recorded"
    case .snapshotUnusable(let path): "\(path) is not a usable snapshot"
    case .leaderEpochsUnusable(let path): "\(path) is not usable; epochs were read from the log"
    case .partitionMetadataUnusable(let path): "\(path) was not usable; it is written anew from the metadata"
    case .storage(let error): error.description
    }
  }
}
