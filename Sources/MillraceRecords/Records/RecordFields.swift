// Where the fields of one record are: what both the iterator and the validating walk are made of.
//
// A broker reads every record it is sent, so the shape that nearly all records have is decoded in place, without a check
// for the end at every byte: lengths and deltas of one or two bytes (three for the timestamp). Any other record, and any
// that is wrong, takes the careful way; headers are always walked that way.

struct RecordFields: Equatable {
  /// Where the next record begins; negative if this one does not parse, and then nothing else here counts.
  var next: Int
  var attributes: UInt8
  var timestampDelta: Int64
  /// As it is in the record, zigzag.
  var rawOffsetDelta: UInt32
  var keyStart: Int
  /// Negative for null.
  var keyCount: Int
  var valueStart: Int
  var valueCount: Int
  var headerCount: Int

  static let malformed = -1

  var offsetDelta: Int32 { RecordCursor.zigzag(rawOffsetDelta) }

  /// The record at `start`, which is not past `end`, of a section of `end` bytes at `base`.
  @inline(__always)
  init(_ base: UnsafeRawPointer, at start: Int, end: Int) {
    if let fields = Self.usual(base, at: start, end: end) {
      self = fields
    } else {
      self = Self.any(base, at: start, end: end)
    }
  }

  @inline(__always)
  private init(
    next: Int, attributes: UInt8, timestampDelta: Int64, rawOffsetDelta: UInt32, keyStart: Int, keyCount: Int,
    valueStart: Int, valueCount: Int, headerCount: Int
  ) {
    self.next = next
    self.attributes = attributes
    self.timestampDelta = timestampDelta
    self.rawOffsetDelta = rawOffsetDelta
    self.keyStart = keyStart
    self.keyCount = keyCount
    self.valueStart = valueStart
    self.valueCount = valueCount
    self.headerCount = headerCount
  }

  /// The shortest body that is read here: no field before the key ends beyond it.
  private static let usualLength = 16

  /// The record if it has the usual shape.
  @inline(__always)
  private static func usual(_ base: UnsafeRawPointer, at start: Int, end: Int) -> RecordFields? {
    guard end &- start > usualLength &+ 1 else { return nil }
    var reader = ShortVarintReader(base: base, position: start)
    let rawLength = reader.read()
    let length = Int(rawLength &>> 1)
    guard rawLength & 1 == 0, length >= usualLength, length <= end &- reader.position else { return nil }
    let bodyEnd = reader.position &+ length

    let attributes = UInt8(truncatingIfNeeded: reader.byte())
    let rawTimestampDelta = reader.readUpToThreeBytes()
    let rawOffsetDelta = reader.read()
    let rawKeyCount = reader.read()
    let keyStart = reader.position
    if rawKeyCount & 1 == 0 { reader.position &+= Int(rawKeyCount &>> 1) }
    // Two bytes of the value's length and the header count.
    guard reader.isIntact, reader.position <= bodyEnd &- 3 else { return nil }
    let rawValueCount = reader.read()
    let valueStart = reader.position
    if rawValueCount & 1 == 0 { reader.position &+= Int(rawValueCount &>> 1) }
    guard reader.isIntact, reader.position < bodyEnd else { return nil }
    var headerCount = 0
    if reader.position != bodyEnd &- 1 || reader.byte() != 0 {
      headerCount = headers(base, from: valueStart &+ max(0, Int(RecordCursor.zigzag(rawValueCount))), to: bodyEnd)
      guard headerCount >= 0 else { return nil }
    }
    return RecordFields(
      next: bodyEnd, attributes: attributes,
      timestampDelta: Int64(RecordCursor.zigzag(rawTimestampDelta)),
      rawOffsetDelta: rawOffsetDelta, keyStart: keyStart, keyCount: Int(RecordCursor.zigzag(rawKeyCount)),
      valueStart: valueStart, valueCount: Int(RecordCursor.zigzag(rawValueCount)), headerCount: headerCount)
  }

  /// How many headers there are from `start` to `end`; negative if those bytes are something else.
  @inline(never)
  private static func headers(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
    var cursor = RecordCursor(UnsafeRawBufferPointer(start: base, count: end))
    cursor.position = start
    let count = cursor.skipHeaders()
    return cursor.isAtEnd ? count : malformed
  }

  /// Any record, every read checked.
  @inline(never)
  static func any(_ base: UnsafeRawPointer, at start: Int, end: Int) -> RecordFields {
    var cursor = RecordCursor(UnsafeRawBufferPointer(start: base, count: end))
    cursor.position = start
    let length = Int(cursor.readVarint())
    let fits = length > 0 && length <= cursor.remaining
    if fits { cursor.end = cursor.position &+ length } else { cursor.fail() }
    let attributes = cursor.readByte()
    let timestampDelta = cursor.readVarlong()
    let rawOffsetDelta = cursor.readUnsigned()
    let keyCount = cursor.skipBytes()
    let keyEnd = cursor.position
    let valueCount = cursor.skipBytes()
    let valueEnd = cursor.position
    let headerCount = cursor.skipHeaders()
    return RecordFields(
      next: cursor.isAtEnd ? cursor.end : malformed, attributes: attributes, timestampDelta: timestampDelta,
      rawOffsetDelta: rawOffsetDelta, keyStart: keyEnd &- max(0, keyCount), keyCount: keyCount,
      valueStart: valueEnd &- max(0, valueCount), valueCount: valueCount, headerCount: headerCount)
  }
}

/// Reads varints of one or two bytes where the caller has made sure of the bytes. A longer one leaves it not intact.
private struct ShortVarintReader {
  let base: UnsafeRawPointer
  var position: Int
  private var continuations: UInt32 = 0

  @inline(__always)
  init(base: UnsafeRawPointer, position: Int) {
    self.base = base
    self.position = position
  }

  /// Whether every varint so far was short.
  @inline(__always)
  var isIntact: Bool { continuations < 0x80 }

  @inline(__always)
  mutating func byte() -> UInt32 {
    defer { position &+= 1 }
    return UInt32(base.load(fromByteOffset: position, as: UInt8.self))
  }

  /// One or two bytes, zigzag as they are.
  @inline(__always)
  mutating func read() -> UInt32 {
    let first = byte()
    if first < 0x80 { return first }
    let second = byte()
    continuations |= second
    return first & 0x7F | second &<< 7
  }

  /// One to three bytes, zigzag as they are.
  @inline(__always)
  mutating func readUpToThreeBytes() -> UInt32 {
    let first = byte()
    if first < 0x80 { return first }
    let second = byte()
    if second < 0x80 { return first & 0x7F | second &<< 7 }
    let third = byte()
    continuations |= third
    return first & 0x7F | (second & 0x7F) &<< 7 | third &<< 14
  }
}
