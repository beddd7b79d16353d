// What compaction leaves of a batch whose records are gone, but whose producer's sequence, or whose last offset, is still
// needed: its header, with the same offsets and numbers and no records.

extension BatchHeader {
  /// A whole batch of 61 bytes.
  package func emptied() -> [UInt8] {
    var header = self
    header.attributes.compression = CompressionType.none
    header.attributes.remove(.deleteHorizon)
    header.baseTimestamp = Self.noTimestamp
    header.recordCount = 0
    var batch = [UInt8](repeating: 0, count: Self.byteCount)
    header.seal(&batch)
    return batch
  }
}
