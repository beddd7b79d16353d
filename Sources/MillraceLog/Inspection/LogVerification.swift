// What `millrace log verify` finds out about a partition's directory.

package struct LogVerification: Sendable {
  package struct Finding: Sendable, Hashable, CustomStringConvertible {
    package var path: String
    /// Bytes from the start of the file; nil for the file as a whole.
    package var position: Int64?
    package var problem: Problem

    package var description: String {
      "\(path)\(position.map { " at \($0)" } ?? ""): \(problem)"
    }
  }

  package enum Problem: Sendable, Hashable, CustomStringConvertible {
    // Of the log: what was written is not there, or something else is.
    case notABatch(byteCount: Int64)
    case checksum(stored: UInt32, computed: UInt32)
    case offsetsNotRising(previous: Int64, found: Int64)
    case beforeSegment(baseOffset: Int64)
    case tooFarForIndex(lastOffset: Int64)
    case offsetsNotTrue(from: Int64, to: Int64)
    case records(String)
    // Of an index, snapshot or checkpoint: the broker would make it anew.
    case partialEntry
    case entriesNotRising
    case notABatchEnd(offset: Int64)
    case wrongTimestamp(entry: Int64)
    case olderThanBatch(timestamp: Int64)
    case withoutLog
    case notWhole
    case beyondSnapshot(producerId: Int64, lastOffset: Int64)

    package var description: String {
      switch self {
      case .notABatch(let byteCount): "\(byteCount) bytes are no batches"
      case .checksum(let stored, let computed):
        "the checksum in the batch is \(stored), that of its bytes is \(computed)"
      case .offsetsNotRising(let previous, let found):
        "a batch begins at offset \(found) after one that ends at \(previous)"
      case .beforeSegment(let offset): "a batch begins at offset \(offset), before the segment does"
      case .tooFarForIndex(let offset): "offset \(offset) is too far from the start of the segment"
      case .offsetsNotTrue(let from, let to):
        "the batches around, or the indexes, say that what is here has not the offsets \(from) to \(to)"
      case .records(let reason): "the records of the batch cannot be read: \(reason)"
      case .partialEntry: "the file ends within an entry"
      case .entriesNotRising: "the entry is not greater than the one before"
      case .notABatchEnd(let offset): "no batch at the entry's place ends with offset \(offset)"
      case .wrongTimestamp(let timestamp): "no batch that ends with the entry's offset has the timestamp \(timestamp)"
      case .olderThanBatch(let timestamp): "an earlier batch has the timestamp \(timestamp), which is larger"
      case .withoutLog: "there is no log file of that name"
      case .notWhole: "the file is not whole"
      case .beyondSnapshot(let producerId, let lastOffset):
        "producer \(producerId) has offset \(lastOffset), which the snapshot is from before"
      }
    }

    /// Whether records are concerned, rather than a file that is made anew from them.
    package var isDamage: Bool {
      switch self {
      case .notABatch, .checksum, .offsetsNotRising, .beforeSegment, .tooFarForIndex, .offsetsNotTrue, .records:
        true
      default: false
      }
    }
  }

  package var findings: [Finding] = []
  package var segmentCount = 0
  package var batchCount = 0
  package var recordCount: Int64 = 0
  package var byteCount: Int64 = 0
  /// Offsets that no record has, inside and between segments: none unless the topic is compacted or records were lost.
  package var missingOffsets: Int64 = 0
  package var firstOffset: Int64?
  package var nextOffset: Int64?

  package var isClean: Bool { findings.isEmpty }
}
