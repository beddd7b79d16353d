// Writes Kafka's primitive types to a buffer: the mirror of MessageReader, which draws the encodings. Records that are
// a splice leave a length in the buffer and an entry in `splices`, in ascending order of offset.

import NIOCore

public struct MessageWriter: Sendable {
  public var buffer: ByteBuffer
  /// Bytes that belong between the buffer's, put there by the transport.
  public var splices: [Splice] = []

  public init(_ buffer: ByteBuffer = ByteBuffer()) {
    self.buffer = buffer
  }

  /// How many bytes a peer will see, splices included.
  public var byteCount: Int { splices.reduce(buffer.readableBytes) { $0 + $1.byteCount } }

  // MARK: Fixed sizes

  @inline(never)
  public mutating func writeInt8(_ value: Int8) { buffer.writeInteger(value) }
  @inline(never)
  public mutating func writeInt16(_ value: Int16) { buffer.writeInteger(value) }
  @inline(never)
  public mutating func writeUInt16(_ value: UInt16) { buffer.writeInteger(value) }
  @inline(never)
  public mutating func writeInt32(_ value: Int32) { buffer.writeInteger(value) }
  @inline(never)
  public mutating func writeUInt32(_ value: UInt32) { buffer.writeInteger(value) }
  @inline(never)
  public mutating func writeInt64(_ value: Int64) { buffer.writeInteger(value) }
  @inline(never)
  public mutating func writeBool(_ value: Bool) { buffer.writeInteger(value ? 1 as UInt8 : 0) }
  @inline(never)
  public mutating func writeFloat64(_ value: Double) { buffer.writeInteger(value.bitPattern) }

  @inline(never)
  public mutating func writeUuid(_ value: Uuid) {
    buffer.writeMultipleIntegers(value.high, value.low)
  }

  // MARK: Varints

  @inline(never)
  public mutating func writeUnsignedVarint(_ value: UInt32) { writeVarintBits(UInt64(value)) }

  @inline(never)
  public mutating func writeVarint(_ value: Int32) {
    writeVarintBits(UInt64(UInt32(bitPattern: value << 1 ^ value >> 31)))
  }

  @inline(never)
  public mutating func writeVarlong(_ value: Int64) {
    writeVarintBits(UInt64(bitPattern: value << 1 ^ value >> 63))
  }

  @inline(never)
  private mutating func writeVarintBits(_ value: UInt64) {
    var rest = value
    while rest >= 0x80 {
      buffer.writeInteger(UInt8(truncatingIfNeeded: rest) | 0x80)
      rest >>= 7
    }
    buffer.writeInteger(UInt8(truncatingIfNeeded: rest))
  }

  // MARK: Lengths

  /// The length of bytes, records or an array; nil is null.
  @inline(never)
  mutating func writeLength(_ length: Int?, _ flexible: Bool) throws(ProtocolError) {
    guard let length else {
      if flexible { writeUnsignedVarint(0) } else { writeInt32(-1) }
      return
    }
    guard length < Int32.max else { throw .tooLong(length) }
    if flexible { writeUnsignedVarint(UInt32(length) + 1) } else { writeInt32(Int32(length)) }
  }

  // MARK: Strings

  @inline(never)
  public mutating func writeString(_ value: String, _ flexible: Bool) throws(ProtocolError) {
    let length = value.utf8.count
    guard let short = Int16(exactly: length) else { throw .tooLong(length) }
    if flexible { writeUnsignedVarint(UInt32(length) + 1) } else { writeInt16(short) }
    buffer.writeString(value)
  }

  @inline(never)
  public mutating func writeNullableString(_ value: String?, _ flexible: Bool) throws(ProtocolError) {
    if let value { return try writeString(value, flexible) }
    if flexible { writeUnsignedVarint(0) } else { writeInt16(-1) }
  }

  @inline(never)
  mutating func writeNullableString(
    _ value: String?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    if value == nil, !nullable { throw .nullNotAllowed(field: field, version: version) }
    try writeNullableString(value, flexible)
  }

  // MARK: Bytes and records

  @inline(never)
  public mutating func writeBytes(_ value: ByteBuffer, _ flexible: Bool) throws(ProtocolError) {
    try writeLength(value.readableBytes, flexible)
    buffer.writeImmutableBuffer(value)
  }

  @inline(never)
  public mutating func writeNullableBytes(_ value: ByteBuffer?, _ flexible: Bool) throws(ProtocolError) {
    if let value { return try writeBytes(value, flexible) }
    try writeLength(nil, flexible)
  }

  @inline(never)
  mutating func writeNullableBytes(
    _ value: ByteBuffer?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    if value == nil, !nullable { throw .nullNotAllowed(field: field, version: version) }
    try writeNullableBytes(value, flexible)
  }

  @inline(never)
  mutating func writeRecords(
    _ value: RecordData?, _ flexible: Bool, nullable: Bool, _ field: String, _ version: Int16
  ) throws(ProtocolError) {
    guard let value else {
      guard nullable else { throw .nullNotAllowed(field: field, version: version) }
      return try writeLength(nil, flexible)
    }
    try writeLength(value.byteCount, flexible)
    switch value {
    case .bytes(let bytes): buffer.writeImmutableBuffer(bytes)
    case .splice(let id, let byteCount):
      splices.append(Splice(offset: buffer.readableBytes, id: id, byteCount: byteCount))
    }
  }
}
