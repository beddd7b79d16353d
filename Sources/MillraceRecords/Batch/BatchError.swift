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
}
