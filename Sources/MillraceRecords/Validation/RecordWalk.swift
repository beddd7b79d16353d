// One pass over a record section that reads what validation needs and skips the rest. It is the same reading as
// RecordIterator's, without making a `Record` of each: a broker does this for every record it is sent, so the loop only
// gathers extremes, and which records broke a rule is found in a second pass when one did.

struct RecordWalk {
  /// The records' largest timestamp.
  private(set) var maxTimestamp = BatchHeader.noTimestamp
  /// The first record that has it.
  private(set) var indexOfMaxTimestamp: Int32 = 0
  /// The smallest timestamp among records that have one.
  private(set) var minTimestamp = Int64.max
  /// Whether the records' offset deltas are 0, 1, 2, …
  private(set) var isSequential = true
  private(set) var hasRecordWithoutKey = false

  /// Reads all of `section`, the decompressed records of the batch that `header` begins.
  init(_ section: UnsafeRawBufferPointer, of header: BatchHeader) throws(BatchError) {
    let count = header.recordCount
    guard count >= 0 else { throw .missingRecords(declared: count, found: 0) }
    let baseTimestamp = header.baseTimestamp
    // An empty buffer may have no address, and nothing is read through the placeholder.
    let base = section.baseAddress ?? UnsafeRawPointer(bitPattern: 1)!
    let end = section.count
    var position = 0
    var maxTimestamp = BatchHeader.noTimestamp
    var minTimestamp = Int64.max
    var indexOfMax: Int32 = 0
    // Bits in which an offset delta differs from the place of its record, all records together.
    var disorder: UInt32 = 0
    // Negative once a key's length was.
    var keyCounts = 0
    var index: Int32 = 0

    while index < count {
      let record = RecordFields(base, at: position, end: end)
      guard record.next >= 0 else {
        throw position == end
          ? .missingRecords(declared: count, found: index) : .malformedRecord(index: index)
      }
      position = record.next
      disorder |= record.rawOffsetDelta ^ UInt32(bitPattern: index &<< 1)
      keyCounts |= record.keyCount
      let timestamp = baseTimestamp &+ record.timestampDelta
      indexOfMax = timestamp > maxTimestamp ? index : indexOfMax
      maxTimestamp = max(maxTimestamp, timestamp)
      minTimestamp = min(minTimestamp, timestamp == BatchHeader.noTimestamp ? .max : timestamp)
      index &+= 1
    }
    guard position == end else { throw .excessRecordBytes }
    self.maxTimestamp = maxTimestamp
    self.minTimestamp = minTimestamp
    indexOfMaxTimestamp = indexOfMax
    isSequential = disorder == 0
    hasRecordWithoutKey = keyCounts < 0
  }
}
