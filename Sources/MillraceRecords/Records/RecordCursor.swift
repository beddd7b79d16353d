// Reads the variable-length integers that records are made of, without ever reading past the end or trapping.
//
// A failed read returns 0 and puts the cursor past its end, where every later read fails too. So a caller checks once a
// record, by asking whether the cursor is where the record ends, instead of once a field.
//
// Varints are at most 5 bytes (10 for 64 bits); bits beyond the type's width are dropped, as Kafka's readers do.

struct RecordCursor {
  let base: UnsafeRawPointer
  /// Where the next read begins; beyond `end` after a failure.
  var position: Int
  /// Reads stop here. Always within the bytes that the cursor was made for.
  var end: Int

  @inline(__always)
  init(_ bytes: UnsafeRawBufferPointer) {
    // An empty buffer may have no address; nothing is read through the placeholder since `end` is 0.
    base = bytes.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
    position = 0
    end = bytes.count
  }

  /// Negative after a failure.
  @inline(__always)
  var remaining: Int { end &- position }

  @inline(__always)
  var hasFailed: Bool { position > end }

  /// Whether everything was read and no read failed.
  @inline(__always)
  var isAtEnd: Bool { position == end }

  @inline(__always)
  mutating func fail() {
    position = end &+ 1
  }

  @inline(__always)
  private func byte(at offset: Int) -> UInt8 {
    base.load(fromByteOffset: offset, as: UInt8.self)
  }

  @inline(__always)
  mutating func readByte() -> UInt8 {
    guard position < end else {
      fail()
      return 0
    }
    defer { position &+= 1 }
    return byte(at: position)
  }

  /// A zigzag varint of 32 bits. One and two bytes, which is nearly all of them, are read in place.
  @inline(__always)
  mutating func readVarint() -> Int32 {
    Self.zigzag(readUnsigned())
  }

  /// The same before the zigzag is undone.
  @inline(__always)
  mutating func readUnsigned() -> UInt32 {
    if position < end {
      let first = UInt32(byte(at: position))
      if first < 0x80 {
        position &+= 1
        return first
      }
      if position &+ 1 < end {
        let second = UInt32(byte(at: position &+ 1))
        if second < 0x80 {
          position &+= 2
          return first & 0x7F | second &<< 7
        }
      }
    }
    // By value, so that the cursor can stay in registers.
    let (value, next) = Self.longVarint(base, position, end)
    position = next
    return UInt32(truncatingIfNeeded: value)
  }

  /// A zigzag varint of 64 bits. One and two bytes are read in place.
  @inline(__always)
  mutating func readVarlong() -> Int64 {
    if position < end {
      let first = UInt64(byte(at: position))
      if first < 0x80 {
        position &+= 1
        return Self.zigzag(first)
      }
      if position &+ 1 < end {
        let second = UInt64(byte(at: position &+ 1))
        if second < 0x80 {
          position &+= 2
          return Self.zigzag(first & 0x7F | second &<< 7)
        }
      }
    }
    let (value, next) = Self.longVarint(base, position, end, largestShift: 63)
    position = next
    return Self.zigzag(value)
  }

  @inline(__always)
  static func zigzag(_ value: UInt32) -> Int32 {
    Int32(bitPattern: value &>> 1) ^ (0 &- Int32(bitPattern: value & 1))
  }

  @inline(__always)
  private static func zigzag(_ value: UInt64) -> Int64 {
    Int64(bitPattern: value &>> 1) ^ (0 &- Int64(bitPattern: value & 1))
  }

  /// Any varint at `position`, and the position behind it, which is past `end` if there is none.
  @inline(never)
  private static func longVarint(
    _ base: UnsafeRawPointer, _ position: Int, _ end: Int, largestShift: UInt64 = 28
  ) -> (value: UInt64, next: Int) {
    var value: UInt64 = 0
    var shift: UInt64 = 0
    var position = position
    while shift <= largestShift, position < end {
      let next = base.load(fromByteOffset: position, as: UInt8.self)
      position &+= 1
      value |= UInt64(next & 0x7F) &<< shift
      if next < 0x80 { return (value, position) }
      shift &+= 7
    }
    return (0, end &+ 1)
  }

  /// Passes over a length-prefixed field and returns its length, negative for null.
  @inline(__always)
  mutating func skipBytes() -> Int {
    let count = Int(readVarint())
    if count > 0 {
      guard count <= remaining else {
        fail()
        return -1
      }
      position &+= count
    }
    return count
  }

  /// Passes over the header count and the headers, and returns the count.
  @inline(__always)
  mutating func skipHeaders() -> Int {
    let count = Int(readVarint())
    if count != 0 { position = Self.endOfHeaders(count, base, position, end) }
    return count
  }

  /// Where `count` headers from `position` end, past `end` if they do not parse.
  @inline(never)
  private static func endOfHeaders(_ count: Int, _ base: UnsafeRawPointer, _ position: Int, _ end: Int) -> Int {
    var cursor = RecordCursor(UnsafeRawBufferPointer(start: base, count: end))
    cursor.position = position
    // A header takes two bytes at least.
    guard count > 0, count <= cursor.remaining else { return end &+ 1 }
    for _ in 0..<count {
      let keyCount = cursor.skipBytes()
      _ = cursor.skipBytes()
      // A header's key is never null.
      guard keyCount >= 0, !cursor.hasFailed else { return end &+ 1 }
    }
    return cursor.position
  }
}
