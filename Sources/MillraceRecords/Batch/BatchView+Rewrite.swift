// The same records in another batch: stored with another codec, or with the offset deltas that readers expect.

extension BatchView {
  /// The batch with its records compressed by `type`. The records themselves stay as they are, byte for byte.
  package func recompressed(
    _ type: CompressionType, level: Int32? = nil, limit: Int = Compression.defaultLimit
  ) throws(BatchError) -> [UInt8] {
    let compressed: Result<[UInt8], CompressionError> = try withRecordSection(limit: limit) { section in
      Result { () throws(CompressionError) in
        try Compression.withCompressed(type, level: level, section) { records in
          [UInt8](unsafeUninitializedCapacity: BatchHeader.byteCount + records.count) { memory, count in
            let bytes = UnsafeMutableRawBufferPointer(memory)
            UnsafeMutableRawBufferPointer(rebasing: bytes[BatchHeader.byteCount...]).copyMemory(from: records)
            count = BatchHeader.byteCount + records.count
          }
        }
      }
    }
    var header = header
    header.attributes.compression = type
    do {
      var batch = try compressed.get()
      header.seal(&batch)
      return batch
    } catch { throw .compression(error) }
  }

  /// The batch with its records at the offset deltas 0, 1, 2, …, compressed by `type`.
  package func renumbered(
    compression type: CompressionType, level: Int32? = nil, limit: Int = Compression.defaultLimit
  ) throws(BatchError) -> [UInt8] {
    var builder = BatchBuilder(capacity: bytes.count)
    try forEachRecord(limit: limit) { record in builder.append(copying: record) }
    var fields = BatchFields(of: header)
    fields.compression = type
    fields.compressionLevel = level
    fields.lastOffsetDelta = nil
    do {
      return try builder.build(fields)
    } catch { throw .compression(error) }
  }
}
