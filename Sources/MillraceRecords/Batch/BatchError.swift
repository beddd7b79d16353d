// Why bytes are not a record batch. Each case is an ordinary event: bytes come from sockets and disks.

package enum BatchError: Error, Sendable, Equatable {
  /// Fewer bytes than the header, or than the length that the header states.
  case truncated
  /// A batch length that no v2 batch can have.
  case invalidLength(Int32)
  /// A message format other than v2.
  case unsupportedMagic(Int8)
  /// The checksum in the header is not the checksum of the bytes.
  case corruptChecksum(stored: UInt32, computed: UInt32)
  /// Attributes with a codec number that is not assigned.
  case unknownCompression(code: UInt8)
  /// The records do not decompress, or to more than the limit.
  case compression(CompressionError)
  /// The record at this place does not parse.
  case malformedRecord(index: Int32)
  /// Fewer records than the header declares.
  case missingRecords(declared: Int32, found: Int32)
  /// Bytes after the last record that the header declares.
  case excessRecordBytes
}
