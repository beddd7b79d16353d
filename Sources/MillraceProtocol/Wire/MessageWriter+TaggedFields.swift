// The tagged section on its way out: fields in ascending order of tag, the defined ones that differ from their
// default, then the unknown ones that came in. Defined tags count up from 0, so that this is the ascending order.
//
// The section's count and each field's size come before what they describe and are varints, so each is written as the
// one byte it nearly always is; in the rare other case what follows is moved up.

import NIOCore

/// A tagged section being written.
struct OutgoingTaggedFields {
  /// Sorted by tag; what was written is taken off the front.
  var unknown: ArraySlice<TaggedField>
  /// Tags below this have a meaning in this release, so nothing unknown may claim them.
  var definedCount: UInt32
  var count: UInt32 = 0
  /// Where the count is, and where the size of the open field is.
  var countIndex: Int
  var sizeIndex = 0
}

extension MessageWriter {
  /// A section in which this release defines nothing.
  @inline(never)
  mutating func writeTaggedFields(_ unknown: [TaggedField]) throws(ProtocolError) {
    if unknown.isEmpty { return writeUnsignedVarint(0) }
    var tags = beginTaggedFields(unknown, defined: 0)
    try endTaggedFields(&tags)
  }

  @inline(never)
  mutating func writeTaggedFields(_ unknown: [TaggedField], _ flexible: Bool) throws(ProtocolError) {
    if flexible { try writeTaggedFields(unknown) } else { try refuse(unknown) }
  }

  /// A version without tagged fields cannot carry the ones that came in.
  @inline(never)
  mutating func refuse(_ unknown: [TaggedField]) throws(ProtocolError) {
    if let first = unknown.first { throw .taggedFieldRefused(first.tag) }
  }

  @inline(never)
  mutating func beginTaggedFields(_ unknown: [TaggedField], defined: UInt32) -> OutgoingTaggedFields {
    let sorted = unknown.count < 2 ? unknown : unknown.sorted { $0.tag < $1.tag }
    let tags = OutgoingTaggedFields(unknown: sorted[...], definedCount: defined, countIndex: bufferByteCount)
    writeInt8(0)
    return tags
  }

  @inline(never)
  mutating func beginTaggedField(_ tag: UInt32, _ tags: inout OutgoingTaggedFields) {
    tags.count += 1
    writeUnsignedVarint(tag)
    tags.sizeIndex = bufferByteCount
    writeInt8(0)
  }

  @inline(never)
  mutating func endTaggedField(_ tags: inout OutgoingTaggedFields) {
    setVarint(at: tags.sizeIndex, to: UInt32(clamping: bufferByteCount - tags.sizeIndex - 1))
  }

  @inline(never)
  mutating func endTaggedFields(_ tags: inout OutgoingTaggedFields) throws(ProtocolError) {
    while !tags.unknown.isEmpty { try writeFirstUnknown(&tags) }
    setVarint(at: tags.countIndex, to: tags.count)
  }

  @inline(never)
  private mutating func writeFirstUnknown(_ tags: inout OutgoingTaggedFields) throws(ProtocolError) {
    let field = tags.unknown.removeFirst()
    guard field.tag >= tags.definedCount else { throw .taggedFieldRefused(field.tag) }
    guard let size = UInt32(exactly: field.data.readableBytes) else { throw .tooLong(field.data.readableBytes) }
    writeUnsignedVarint(field.tag)
    writeUnsignedVarint(size)
    append(field.data)
    tags.count += 1
  }

  /// Replaces the one byte at `index` by a varint.
  private mutating func setVarint(at index: Int, to value: UInt32) {
    if value < 0x80 { return setByte(UInt8(value), at: index) }
    var encoded = MessageWriter()
    encoded.writeUnsignedVarint(value)
    let tail = removeTail(from: index).dropping(1)
    append(encoded.buffer)
    append(tail)
  }
}

extension ByteBuffer {
  fileprivate func dropping(_ count: Int) -> ByteBuffer {
    getSlice(at: readerIndex + count, length: readableBytes - count) ?? ByteBuffer()
  }
}
