// Sizes and writing of the variable-length integers that records are made of (the reading is in RecordCursor.swift).

enum Varint {
  @inline(__always)
  static func zigzag(_ value: Int32) -> UInt32 {
    UInt32(bitPattern: (value &<< 1) ^ (value &>> 31))
  }

  @inline(__always)
  static func zigzag(_ value: Int64) -> UInt64 {
    UInt64(bitPattern: (value &<< 1) ^ (value &>> 63))
  }

  /// Bytes that `value` takes: one for every seven bits.
  @inline(__always)
  static func byteCount(_ value: Int32) -> Int {
    (38 &- (zigzag(value) | 1).leadingZeroBitCount) / 7
  }

  @inline(__always)
  static func byteCount(_ value: Int64) -> Int {
    (70 &- (zigzag(value) | 1).leadingZeroBitCount) / 7
  }

  /// Bytes of a length-prefixed field; nil is null.
  @inline(__always)
  static func fieldByteCount(_ count: Int?) -> Int {
    guard let count else { return 1 }
    return byteCount(Int32(truncatingIfNeeded: count)) &+ count
  }
}

/// Writes a record's fields one after the other into memory that is known to be large enough.
struct FieldWriter {
  let base: UnsafeMutableRawPointer
  private(set) var position = 0

  init(_ base: UnsafeMutableRawPointer) {
    self.base = base
  }

  @inline(__always)
  mutating func write(_ byte: UInt8) {
    base.storeBytes(of: byte, toByteOffset: position, as: UInt8.self)
    position &+= 1
  }

  @inline(__always)
  mutating func writeVarint(_ value: Int32) {
    writeUnsigned(UInt64(Varint.zigzag(value)))
  }

  @inline(__always)
  mutating func writeVarlong(_ value: Int64) {
    writeUnsigned(Varint.zigzag(value))
  }

  @inline(__always)
  private mutating func writeUnsigned(_ value: UInt64) {
    var value = value
    while value >= 0x80 {
      write(UInt8(truncatingIfNeeded: value) | 0x80)
      value &>>= 7
    }
    write(UInt8(truncatingIfNeeded: value))
  }

  /// A length-prefixed field; nil is null.
  @inline(__always)
  mutating func writeField(_ bytes: UnsafeRawBufferPointer?) {
    guard let bytes else { return writeVarint(-1) }
    writeVarint(Int32(truncatingIfNeeded: bytes.count))
    writeRaw(bytes)
  }

  /// Bytes that are encoded already.
  mutating func writeRaw(_ bytes: UnsafeRawBufferPointer) {
    guard let source = bytes.baseAddress, bytes.count > 0 else { return }
    (base + position).copyMemory(from: source, byteCount: bytes.count)
    position &+= bytes.count
  }

  /// A record's header count and headers.
  mutating func write(_ headers: [RecordHeader]) {
    writeVarint(Int32(truncatingIfNeeded: headers.count))
    for header in headers {
      var key = header.key
      key.withUTF8 { writeField(UnsafeRawBufferPointer($0)) }
      if let value = header.value {
        value.withUnsafeBytes { writeField($0) }
      } else {
        writeField(nil)
      }
    }
  }
}

extension [RecordHeader] {
  /// Bytes of the header count and the headers in a record.
  var encodedByteCount: Int {
    reduce(Varint.byteCount(Int32(truncatingIfNeeded: count))) { total, header in
      total + Varint.fieldByteCount(header.key.utf8.count) + Varint.fieldByteCount(header.value?.count)
    }
  }
}
