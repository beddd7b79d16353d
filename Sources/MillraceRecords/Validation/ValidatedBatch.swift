// A batch that may be appended, and what the log has to know to do it.

package struct ValidatedBatch: Sendable {
  /// The header of the batch to append, before it is stamped: as sent, or that of `rewritten`.
  package let header: BatchHeader
  /// The batch to append instead of the bytes sent, where it had to change (codec, or offset deltas out of order). nil:
  /// the first `header.sizeInBytes` of the bytes sent.
  package let rewritten: [UInt8]?
  /// The broker's time for all records, to be stamped; nil unless the topic has LogAppendTime.
  package let logAppendTime: Int64?
  /// The largest create time, to be stamped where the header sent is wrong about it; nil where it is right.
  package let correctedMaxTimestamp: Int64?
  /// The offset delta of the first record with the largest timestamp; nil when no record was read.
  package let offsetDeltaOfMaxTimestamp: Int32?

  /// The largest timestamp of the batch once it is stamped.
  package var maxTimestamp: Int64 { logAppendTime ?? correctedMaxTimestamp ?? header.maxTimestamp }
}
