// Reads the variable-length integers that records are made of, without ever reading past the end or trapping.
//
// A failed read returns 0 and leaves the cursor failed, so that the caller tests once a record instead of once a field.
// Varints are at most 5 bytes (10 for 64 bits); bits beyond the type's width are dropped, as Kafka's readers do.

@usableFromInline
struct RecordCursor {
  @usableFromInline let base: UnsafeRawPointer
  @usableFromInline var position: Int
  /// Reads stop here. Always within the bytes that the cursor was made for.
  @usableFromInline var end: Int
  @usableFromInline var hasFailed = false

  @inlinable
  init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; nothing is read through the placeholder since `end` is 0.
    base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
    position = 0
    end = bytes.count
  }

  @inlinable @inline(__always)
  var remaining: Int { end &- position }

  @inlinable @inline(__always)
  func byte(at offset: Int) -> UInt8 {
    base.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inlinable @inline(__always)
  mutating func fail() {
    hasFailed = true
    position = end
  }

  @inlinable @inline(__always)
  mutating func readByte() -> UInt8 {
    guard position < end else {
      fail()
      return 0
    }
    defer { position &+= 1 }
    return byte(at: position)
  }

  /// A zigzag varint of 32 bits. One and two bytes, which is nearly all of them, are read in place.
  @inlinable @inline(__always)
  mutating func readVarint() -> Int32 {
    if remaining >= 2 {
      let first = UInt32(byte(at: position))
      if first < 0x80 {
        position &+= 1
        return Self.zigzag(first)
      }
      let second = UInt32(byte(at: position &+ 1))
      if second < 0x80 {
        position &+= 2
        return Self.zigzag(first & 0x7F | second &<< 7)
      }
    }
    return readLongVarint()
  }

  /// A zigzag varint of 64 bits.
  @inlinable @inline(__always)
  mutating func readVarlong() -> Int64 {
    if position < end {
      let first = UInt64(byte(at: position))
      if first < 0x80 {
        position &+= 1
        return Int64(bitPattern: first &>> 1) ^ -Int64(bitPattern: first & 1)
      }
    }
    return readLongVarlong()
  }

  @inlinable @inline(__always)
  static func zigzag(_ value: UInt32) -> Int32 {
    Int32(bitPattern: value &>> 1) ^ (0 &- Int32(bitPattern: value & 1))
  }

  @usableFromInline @inline(never)
  mutating func readLongVarint() -> Int32 {
    var value: UInt32 = 0
    for shift in stride(from: UInt32(0), through: 28, by: 7) {
      guard position < end else { break }
      let next = UInt32(byte(at: position))
      position &+= 1
      value |= (next & 0x7F) &<< shift
      if next < 0x80 { return Self.zigzag(value) }
    }
    fail()
    return 0
  }

  @usableFromInline @inline(never)
  mutating func readLongVarlong() -> Int64 {
    var value: UInt64 = 0
    for shift in stride(from: UInt64(0), through: 63, by: 7) {
      guard position < end else { break }
      let next = UInt64(byte(at: position))
      position &+= 1
      value |= (next & 0x7F) &<< shift
      if next < 0x80 { return Int64(bitPattern: value &>> 1) ^ (0 &- Int64(bitPattern: value & 1)) }
    }
    fail()
    return 0
  }

  /// Passes over a length-prefixed field and returns its length, negative for null.
  @inlinable @inline(__always)
  mutating func skipBytes() -> Int {
    let count = Int(readVarint())
    guard count <= remaining else {
      fail()
      return -1
    }
    if count > 0 { position &+= count }
    return count
  }

  /// Passes over the header count and the headers, and returns the count.
  @inlinable @inline(__always)
  mutating func skipHeaders() -> Int {
    let count = Int(readVarint())
    if count != 0 { skipHeaders(count) }
    return count
  }

  @usableFromInline @inline(never)
  mutating func skipHeaders(_ count: Int) {
    // A header takes two bytes at least.
    guard count > 0, count <= remaining else { return fail() }
    for _ in 0..<count {
      let keyCount = skipBytes()
      _ = skipBytes()
      // A header's key is never null.
      guard keyCount >= 0, !hasFailed else { return fail() }
    }
  }
}
