// Why bytes are not a message, or a message cannot be bytes. `at` is the offset from where the reader began.

public enum ProtocolError: Error, Equatable, Sendable {
  // Reading.
  case truncated(at: Int)
  /// A length or element count that is negative, over its limit, or more than what is left can hold.
  case invalidLength(Int, at: Int)
  case invalidVarint(at: Int)
  case invalidUTF8(at: Int)
  case unexpectedNull(at: Int)
  /// A tag that this message defines, but not in this version.
  case unexpectedTag(UInt32, at: Int)
  case unknownApi(Int16)

  // Both ways.
  case unsupportedVersion(Int16, of: String)

  // Writing.
  /// A field holds a value that this version has no room for and that must not be dropped.
  case notRepresentable(field: String, version: Int16)
  case nullNotAllowed(field: String, version: Int16)
  /// A string over 32767 bytes, or a count or frame over the 32-bit limit.
  case tooLong(Int)
  /// Unknown tagged fields in a version without them, or one with a tag that is taken.
  case taggedFieldRefused(UInt32)
}
