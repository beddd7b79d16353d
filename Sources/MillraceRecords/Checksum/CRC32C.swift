// CRC-32C (Castagnoli), the checksum of a record batch. The C target picks the processor's instructions where there
// are some. A checksum is an ordinary UInt32: 0 is the checksum of nothing, and `update` continues one.

import CMillraceCodecs

package enum CRC32C {
  /// The checksum of `bytes`.
  @inlinable
  package static func checksum(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    update(0, bytes)
  }

  /// The checksum of everything that `checksum` covers followed by `bytes`.
  @inlinable
  package static func update(_ checksum: UInt32, _ bytes: UnsafeRawBufferPointer) -> UInt32 {
    millrace_crc32c(checksum, bytes.baseAddress, bytes.count)
  }

  /// How the checksum of a message changes when `difference` is how that of its beginning changed and `byteCount` bytes
  /// follow the beginning.
  @inlinable
  package static func shift(_ difference: UInt32, over byteCount: Int) -> UInt32 {
    millrace_crc32c_shift(difference, byteCount)
  }
}
