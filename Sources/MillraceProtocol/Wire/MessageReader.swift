// Reads Kafka's primitive types from a buffer. Any bytes may come: nothing here traps, and nothing is allocated for a
// length before it was held against the bytes that are really there.
//
//     int8 … int64, uint16, uint32   big-endian
//     uuid                           16 bytes                  float64   8 bytes, big-endian
//     unsigned varint                7 bits a byte, low first, the high bit says that more follow; at most 5 bytes
//     string                         int16 length (-1: null), UTF-8       compact: unsigned varint length + 1 (0: null)
//     bytes, records, array          int32 length or count (-1: null)     compact: unsigned varint count + 1 (0: null)
//     tagged fields                  unsigned varint count, then each: tag, size, bytes
//
// The bytes are reached through a pointer that is taken once: checked accesses through the buffer's storage cost
// several times the read itself, and a message is mostly small numbers. The pointer is good because the buffer that
// owns the bytes is held beside it and never changed; somebody else's change to a shared buffer makes a copy first.
//
// Primitives are kept out of line: inlined into every field of every message they doubled the time of a release build.

import NIOCore

public struct MessageReader: @unchecked Sendable {
  /// Keeps the bytes alive, and is what slices are cut from.
  private let buffer: ByteBuffer
  /// The first byte; valid up to `end`.
  private let start: UnsafeRawPointer
  private var position = 0
  private let end: Int
  /// What to add to the position for an offset in the whole message.
  private let base: Int
  /// Tagged fields of a few bytes that may still come: in memory each is many times as large.
  var tinyFieldsLeft = 4096

  public init(_ buffer: ByteBuffer) {
    self.init(part: buffer, offset: 0)
  }

  /// A reader of a part, whose first byte is at `offset` in the whole.
  init(part: ByteBuffer, offset: Int) {
    buffer = part
    base = offset
    end = part.readableBytes
    // Without bytes the pointer is never followed.
    let first = part.withUnsafeReadableBytesWithStorageManagement { bytes, _ in bytes.baseAddress }
    start = first ?? UnsafeRawPointer(bitPattern: 1)!
  }

  /// How many bytes are left.
  public var remaining: Int { end - position }

  /// How far reading has come.
  public var offset: Int { base + position }

  /// What is left, sharing the frame's storage.
  var rest: ByteBuffer { slice(remaining) }

  private func slice(_ length: Int) -> ByteBuffer {
    buffer.getSlice(at: buffer.readerIndex + position, length: length) ?? ByteBuffer()
  }

  // MARK: Fixed sizes

  @inline(__always)
  private mutating func readInteger<T: FixedWidthInteger>() throws(ProtocolError) -> T {
    guard remaining >= MemoryLayout<T>.size else { throw .truncated(at: offset) }
    let value = start.loadUnaligned(fromByteOffset: position, as: T.self)
    position += MemoryLayout<T>.size
    return T(bigEndian: value)
  }

  @inline(never)
  public mutating func readInt8() throws(ProtocolError) -> Int8 { try readInteger() }
  @inline(never)
  public mutating func readInt16() throws(ProtocolError) -> Int16 { try readInteger() }
  @inline(never)
  public mutating func readUInt16() throws(ProtocolError) -> UInt16 { try readInteger() }
  @inline(never)
  public mutating func readInt32() throws(ProtocolError) -> Int32 { try readInteger() }
  @inline(never)
  public mutating func readUInt32() throws(ProtocolError) -> UInt32 { try readInteger() }
  @inline(never)
  public mutating func readInt64() throws(ProtocolError) -> Int64 { try readInteger() }

  /// Any byte but 0 is true.
  @inline(never)
  public mutating func readBool() throws(ProtocolError) -> Bool { try readInt8() != 0 }

  @inline(never)
  public mutating func readFloat64() throws(ProtocolError) -> Double {
    let bits: UInt64 = try readInteger()
    return Double(bitPattern: bits)
  }

  @inline(never)
  public mutating func readUuid() throws(ProtocolError) -> Uuid {
    let high: UInt64 = try readInteger()
    let low: UInt64 = try readInteger()
    return Uuid(high: high, low: low)
  }

  // MARK: Varints

  @inline(never)
  public mutating func readUnsignedVarint() throws(ProtocolError) -> UInt32 {
    // Nearly all of them take one byte.
    if position < end {
      let byte = start.load(fromByteOffset: position, as: UInt8.self)
      if byte < 0x80 {
        position += 1
        return UInt32(byte)
      }
    }
    let begin = offset
    let wide = try readVarintBits(at: begin, maximumByteCount: 5)
    guard let value = UInt32(exactly: wide) else { throw .invalidVarint(at: begin) }
    return value
  }

  /// Zigzag: 0, -1, 1, -2, …
  @inline(never)
  public mutating func readVarint() throws(ProtocolError) -> Int32 {
    let bits = try readUnsignedVarint()
    return Int32(bitPattern: bits >> 1) ^ -Int32(bitPattern: bits & 1)
  }

  @inline(never)
  public mutating func readVarlong() throws(ProtocolError) -> Int64 {
    let bits = try readVarintBits(at: offset, maximumByteCount: 10)
    return Int64(bitPattern: bits >> 1) ^ -Int64(bitPattern: bits & 1)
  }

  @inline(never)
  private mutating func readVarintBits(at begin: Int, maximumByteCount: Int) throws(ProtocolError) -> UInt64 {
    var value: UInt64 = 0
    for index in 0..<maximumByteCount {
      let byte: UInt8 = try readInteger()
      let bits = UInt64(byte & 0x7F)
      // The tenth byte of a 64-bit number has room for one bit.
      if index == 9, bits > 1 { break }
      value |= bits << UInt64(7 * index)
      if byte < 0x80 { return value }
    }
    throw .invalidVarint(at: begin)
  }

  // MARK: Lengths and slices

  /// The length of bytes, records or an array; nil is null. Not yet held against what is left.
  @inline(never)
  mutating func readLength(_ flexible: Bool) throws(ProtocolError) -> Int? {
    if flexible { return try readCompactLength() }
    let length = try readInt32()
    if length < 0 { return try nullLength(Int(length)) }
    return Int(length)
  }

  @inline(never)
  private mutating func readStringLength(_ flexible: Bool) throws(ProtocolError) -> Int? {
    if flexible {
      let length = try readCompactLength()
      if let length, length > Int16.max { throw .invalidLength(length, at: offset) }
      return length
    }
    let length = try readInt16()
    if length < 0 { return try nullLength(Int(length)) }
    return Int(length)
  }

  @inline(never)
  private mutating func readCompactLength() throws(ProtocolError) -> Int? {
    let encoded = try readUnsignedVarint()
    if encoded == 0 { return nil }
    if encoded > Int32.max { throw .invalidLength(Int(encoded) - 1, at: offset) }
    return Int(encoded) - 1
  }

  /// -1 is null, anything else below 0 is no length.
  private func nullLength(_ length: Int) throws(ProtocolError) -> Int? {
    if length == -1 { return nil }
    throw .invalidLength(length, at: offset)
  }

  /// The next bytes, sharing the frame's storage.
  @inline(never)
  mutating func readSlice(_ length: Int) throws(ProtocolError) -> ByteBuffer {
    guard length <= remaining else { throw .invalidLength(length, at: offset) }
    defer { position += length }
    return slice(length)
  }

  // MARK: Strings

  @inline(never)
  public mutating func readNullableString(_ flexible: Bool, nullable: Bool = true) throws(ProtocolError) -> String? {
    guard let length = try readStringLength(flexible) else {
      if nullable { return nil }
      throw .unexpectedNull(at: offset)
    }
    guard length <= remaining else { throw .invalidLength(length, at: offset) }
    let bytes = UnsafeRawBufferPointer(start: start + position, count: length)
    guard let text = String(validating: bytes, as: UTF8.self) else { throw .invalidUTF8(at: offset) }
    position += length
    return text
  }

  @inline(never)
  public mutating func readString(_ flexible: Bool) throws(ProtocolError) -> String {
    guard let text = try readNullableString(flexible) else { throw .unexpectedNull(at: offset) }
    return text
  }

  // MARK: Bytes and records

  /// A slice that shares the frame's storage and so keeps all of it alive: copy what is to be kept.
  @inline(never)
  public mutating func readNullableBytes(
    _ flexible: Bool, nullable: Bool = true
  ) throws(ProtocolError) -> ByteBuffer? {
    guard let length = try readLength(flexible) else {
      if nullable { return nil }
      throw .unexpectedNull(at: offset)
    }
    return try readSlice(length)
  }

  @inline(never)
  public mutating func readBytes(_ flexible: Bool) throws(ProtocolError) -> ByteBuffer {
    guard let bytes = try readNullableBytes(flexible) else { throw .unexpectedNull(at: offset) }
    return bytes
  }

  @inline(never)
  public mutating func readRecords(_ flexible: Bool, nullable: Bool) throws(ProtocolError) -> RecordData? {
    guard let bytes = try readNullableBytes(flexible, nullable: nullable) else { return nil }
    return .bytes(bytes)
  }
}
