// Reads a record whose bytes come in pieces, cut anywhere: a small state machine that remembers the field it is in. It
// holds nothing of the record but its numbers, however long keys and values are.

struct RecordInPieces {
  enum Progress: Equatable {
    /// The piece is used up.
    case needsMore
    /// The record ended at this offset of the piece.
    case ends(Int)
    case malformed
  }

  private enum Field {
    case length, attributes, timestampDelta, offsetDelta, keyCount, valueCount, headerCount, headerKeyCount
    case headerValueCount, end
  }

  private(set) var timestampDelta: Int64 = 0
  private(set) var rawOffsetDelta: UInt32 = 0
  private(set) var keyCount = -1

  private var field = Field.length
  /// Bytes of the body that have not come yet, those to skip included.
  private var bodyLeft = 0
  /// Bytes of a key or value to pass over before `field`.
  private var skip = 0
  private var headersLeft = 0
  private var varint: UInt64 = 0
  private var shift: UInt64 = 0

  /// Whether the record at `position` goes on behind `end`, as far as can be told from what there is of it.
  static func isCutOff(_ base: UnsafeRawPointer, at position: Int, end: Int) -> Bool {
    var cursor = RecordCursor(UnsafeRawBufferPointer(start: base, count: end))
    cursor.position = position
    let length = Int(cursor.readVarint())
    // A length that is cut off itself, and not merely longer than any.
    if cursor.hasFailed { return end &- position < 5 }
    return length > cursor.remaining
  }

  /// Reads what the record has of `piece`.
  mutating func read(_ piece: UnsafeRawBufferPointer) -> Progress {
    var position = 0
    while true {
      if skip > 0 {
        let skipped = min(skip, piece.count &- position)
        position &+= skipped
        skip &-= skipped
        bodyLeft &-= skipped
        if skip > 0 { return .needsMore }
      }
      if field == .end { return bodyLeft == 0 ? .ends(position) : .malformed }
      guard position < piece.count else { return .needsMore }
      let byte = piece[position]
      position &+= 1
      if field != .length {
        guard bodyLeft > 0 else { return .malformed }
        bodyLeft &-= 1
      }
      guard take(byte) else { return .malformed }
    }
  }

  /// Takes the next byte of a number; false if it cannot be one.
  private mutating func take(_ byte: UInt8) -> Bool {
    if field == .attributes {
      field = .timestampDelta
      return true
    }
    varint |= UInt64(byte & 0x7F) &<< shift
    guard byte < 0x80 else {
      shift &+= 7
      return shift <= (field == .timestampDelta ? 63 : 28)
    }
    defer {
      varint = 0
      shift = 0
    }
    if field == .timestampDelta {
      timestampDelta = Int64(bitPattern: varint &>> 1) ^ (0 &- Int64(bitPattern: varint & 1))
      field = .offsetDelta
      return true
    }
    let raw = UInt32(truncatingIfNeeded: varint)
    return take(raw, Int(RecordCursor.zigzag(raw)))
  }

  /// Takes a whole number, `raw` as it is in the record.
  private mutating func take(_ raw: UInt32, _ number: Int) -> Bool {
    switch field {
    case .length:
      bodyLeft = number
      field = .attributes
      return number > 0
    case .offsetDelta:
      rawOffsetDelta = raw
      field = .keyCount
      return true
    case .keyCount:
      keyCount = number
      field = .valueCount
      return skip(number)
    case .valueCount:
      field = .headerCount
      return skip(number)
    case .headerCount:
      headersLeft = number
      field = number == 0 ? .end : .headerKeyCount
      // A header takes two bytes at least.
      return number >= 0 && number <= bodyLeft
    case .headerKeyCount:
      field = .headerValueCount
      // A header's key is never null.
      return number >= 0 && skip(number)
    case .headerValueCount:
      headersLeft &-= 1
      field = headersLeft == 0 ? .end : .headerKeyCount
      return skip(number)
    case .attributes, .timestampDelta, .end:
      return false
    }
  }

  private mutating func skip(_ count: Int) -> Bool {
    skip = max(0, count)
    return count <= bodyLeft
  }
}
