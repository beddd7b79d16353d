// A whole batch where it lies in memory, good while those bytes are.

package struct BatchView {
  package let header: BatchHeader
  /// The whole batch and nothing else.
  package let bytes: UnsafeRawBufferPointer

  /// The batch at the start of `bytes`, behind which anything may follow. The checksum is not looked at.
  package init(_ bytes: UnsafeRawBufferPointer) throws(BatchError) {
    header = try BatchHeader(parsing: bytes)
    guard header.sizeInBytes <= bytes.count else { throw .truncated }
    self.bytes = UnsafeRawBufferPointer(rebasing: bytes[..<header.sizeInBytes])
  }

  init(header: BatchHeader, bytes: UnsafeRawBufferPointer) {
    self.header = header
    self.bytes = bytes
  }

  /// The records as they are in the batch: compressed, if the batch is.
  package var recordSection: UnsafeRawBufferPointer {
    UnsafeRawBufferPointer(rebasing: bytes[BatchHeader.byteCount...])
  }

  /// The same batch read as one whose records have their own timestamps, whatever its flag says.
  var withCreateTime: BatchView {
    var header = header
    header.attributes.remove(.logAppendTime)
    return BatchView(header: header, bytes: bytes)
  }

  package func verifyChecksum() throws(BatchError) {
    let computed = try BatchHeader.computeChecksum(of: bytes)
    guard computed == header.crc else { throw .corruptChecksum(stored: header.crc, computed: computed) }
  }

  /// Calls `body` with the decompressed record section, at most `limit` bytes, which is gone when `body` returns.
  package func withRecordSection<Result>(
    limit: Int = Compression.defaultLimit,
    _ body: (UnsafeRawBufferPointer) throws(BatchError) -> Result
  ) throws(BatchError) -> Result {
    guard let type = header.compression else { throw .unknownCompression(code: header.attributes.compressionCode) }
    let result: Swift.Result<Result, BatchError>
    do {
      result = try Compression.withDecompressed(type, recordSection, limit: limit) { section in
        Swift.Result { () throws(BatchError) in try body(section) }
      }
    } catch { throw .compression(error) }
    return try result.get()
  }

  /// Calls `body` with an iterator over the records, which are gone when `body` returns.
  package func withRecords<Result>(
    limit: Int = Compression.defaultLimit,
    _ body: (inout RecordIterator) throws(BatchError) -> Result
  ) throws(BatchError) -> Result {
    try withRecordSection(limit: limit) { (section) throws(BatchError) in
      var records = RecordIterator(section, of: header)
      return try body(&records)
    }
  }

  /// Calls `body` with each record, which is gone when `body` returns.
  package func forEachRecord(
    limit: Int = Compression.defaultLimit, _ body: (Record) throws(BatchError) -> Void
  ) throws(BatchError) {
    try withRecords(limit: limit) { (records) throws(BatchError) in
      while let record = try records.next() { try body(record) }
    }
  }
}
