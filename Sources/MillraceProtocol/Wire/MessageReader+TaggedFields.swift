// The tagged section that ends every struct of a flexible version (KIP-482). A field is read within its own bytes: it
// can neither reach into the next one nor leave some over.

import NIOCore

/// One field of a tagged section on its way in.
struct IncomingTaggedField {
  var tag: UInt32
  /// At the field's first byte, ending with its last.
  var reader: MessageReader

  /// The field as it came, for the ones nobody knows.
  var preserved: TaggedField { TaggedField(tag: tag, data: reader.rest) }

  /// For a tag that only some versions define.
  func require(_ isDefined: Bool) throws(ProtocolError) {
    if !isDefined { throw .unexpectedTag(tag, at: reader.offset) }
  }

  func finish() throws(ProtocolError) {
    if reader.remaining > 0 { throw .invalidLength(reader.remaining, at: reader.offset) }
  }
}

extension MessageReader {
  private static let tinyFieldBytes = 8

  @inline(never)
  mutating func readTaggedFieldCount() throws(ProtocolError) -> Int {
    let count = Int(try readUnsignedVarint())
    // Each takes a tag and a size at least.
    guard count <= remaining / 2 else { throw .invalidLength(count, at: offset) }
    return count
  }

  @inline(never)
  mutating func readTaggedField() throws(ProtocolError) -> IncomingTaggedField {
    let tag = try readUnsignedVarint()
    let size = Int(try readUnsignedVarint())
    let start = offset
    if size < Self.tinyFieldBytes {
      guard tinyFieldsLeft > 0 else { throw .invalidLength(size, at: start) }
      tinyFieldsLeft -= 1
    }
    return IncomingTaggedField(tag: tag, reader: MessageReader(part: try readSlice(size), offset: start))
  }

  /// A section in which this release defines nothing.
  @inline(never)
  mutating func readTaggedFields() throws(ProtocolError) -> [TaggedField] {
    let count = try readTaggedFieldCount()
    if count == 0 { return [] }
    var fields: [TaggedField] = []
    for _ in 0..<count { fields.append(try readTaggedField().preserved) }
    return fields
  }
}
