// One pass over a record section that reads what validation needs and skips the rest. It is the same reading as
// RecordIterator's, without making a `Record` of each: a broker does this for every record it is sent.

struct RecordWalk {
  /// The records' largest timestamp.
  var maxTimestamp = BatchHeader.noTimestamp
  /// The first record that has it.
  var indexOfMaxTimestamp: Int32 = 0
  /// Whether the records' offset deltas are 0, 1, 2, …
  var isSequential = true
  /// Records that break a rule, the first of them.
  var violations: [Violation] = []
  /// How many break a rule.
  var violationCount = 0

  struct Violation {
    enum Kind {
      case missingKey
      case timestampOutOfRange(Int64)
    }
    var index: Int32
    var kind: Kind
  }

  /// What each record is held to.
  struct Rules {
    var needsKeys: Bool
    /// Timestamps from here…
    var earliest: Int64
    /// …to here are fine, and so is none.
    var latest: Int64
  }

  /// Reads all of `section`, the decompressed records of the batch that `header` begins.
  mutating func read(_ section: UnsafeRawBufferPointer, of header: BatchHeader, _ rules: Rules) throws(BatchError) {
    let count = header.recordCount
    guard count >= 0 else { throw .missingRecords(declared: count, found: 0) }
    var cursor = RecordCursor(section)
    let sectionEnd = cursor.end
    let baseTimestamp = header.baseTimestamp
    var maxTimestamp = BatchHeader.noTimestamp
    var indexOfMax: Int32 = 0
    var index: Int32 = 0
    // Bits that differ between an offset delta and the place of its record, all records together.
    var disorder: Int32 = 0

    while index < count {
      guard cursor.position < sectionEnd else { throw .missingRecords(declared: count, found: index) }
      let length = Int(cursor.readVarint())
      guard length > 0, length <= cursor.remaining else { throw .malformedRecord(index: index) }
      cursor.end = cursor.position &+ length

      _ = cursor.readByte()
      let timestampDelta = cursor.readVarlong()
      let offsetDelta = cursor.readVarint()
      let keyCount = cursor.skipBytes()
      _ = cursor.skipBytes()
      _ = cursor.skipHeaders()
      guard !cursor.hasFailed, cursor.remaining == 0 else { throw .malformedRecord(index: index) }
      cursor.end = sectionEnd

      disorder |= offsetDelta ^ index
      let timestamp = baseTimestamp &+ timestampDelta
      if timestamp > maxTimestamp {
        maxTimestamp = timestamp
        indexOfMax = index
      }
      if rules.needsKeys, keyCount < 0 {
        note(Violation(index: index, kind: .missingKey))
      } else if timestamp < rules.earliest || timestamp > rules.latest, timestamp != BatchHeader.noTimestamp {
        note(Violation(index: index, kind: .timestampOutOfRange(timestamp)))
      }
      index &+= 1
    }
    guard cursor.position == sectionEnd else { throw .excessRecordBytes }
    self.maxTimestamp = maxTimestamp
    indexOfMaxTimestamp = indexOfMax
    isSequential = disorder == 0
  }

  private mutating func note(_ violation: Violation) {
    violationCount += 1
    if violations.count < ProduceRejection.maximumRecordErrors { violations.append(violation) }
  }
}
