// Reading how a transaction ended from the control batch that says so.

import MillraceRecords

extension EndTransactionMarker {
  /// Control batches hold one small record; a larger batch is none.
  private static let largestBatch = 4096

  /// The marker in a batch; nil when the batch is about something else.
  init?(_ batch: UnsafeRawBufferPointer) {
    let marker = try? BatchView(batch).withRecords { (records) throws(BatchError) -> EndTransactionMarker? in
      try records.next().flatMap { EndTransactionMarker($0) }
    }
    guard let marker else { return nil }
    self = marker
  }

  /// The marker in the batch at `position`.
  init?(in file: SegmentFile, _ header: BatchHeader, at position: Int64) throws(LogError) {
    guard header.sizeInBytes <= Self.largestBatch else { return nil }
    let marker = try withUnsafeTemporaryAllocation(byteCount: header.sizeInBytes, alignment: 8) {
      (buffer) throws(LogError) in
      try file.fill(buffer, from: position)
      return EndTransactionMarker(UnsafeRawBufferPointer(buffer))
    }
    guard let marker else { return nil }
    self = marker
  }
}
