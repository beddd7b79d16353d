// Reads the records of a batch one after the other from its record section, which is decompressed already.
//
// It yields exactly as many records as the header declares, each read within the length it states, and then checks that
// nothing is left over. Any other bytes end in an error, after which the iterator yields nothing more.

package struct RecordIterator {
  package let section: UnsafeRawBufferPointer
  /// How many records were yielded.
  package private(set) var index: Int32 = 0
  /// How many the batch declares.
  package let count: Int32
  let baseOffset: Int64
  let baseTimestamp: Int64
  let appendTime: Int64?
  private var position = 0

  /// An iterator over `section`, the decompressed records of the batch that `header` begins.
  package init(_ section: UnsafeRawBufferPointer, of header: BatchHeader) {
    self.section = section
    count = header.recordCount
    baseOffset = header.baseOffset
    baseTimestamp = header.baseTimestamp
    appendTime = header.timestampType == .logAppendTime ? header.maxTimestamp : nil
  }

  package mutating func next() throws(BatchError) -> Record? {
    guard index < count else {
      // A negative count is a lie of its own, and so are bytes after the last record.
      guard index == count, position == section.count else { throw stop(.excessRecordBytes) }
      return nil
    }
    // An empty section may have no address.
    guard position < section.count, let base = section.baseAddress else {
      throw stop(.missingRecords(declared: count, found: index))
    }
    let start = position
    let fields = RecordFields(base, at: start, end: section.count)
    guard fields.next >= 0 else { throw stop(.malformedRecord(index: index)) }
    position = fields.next
    index &+= 1
    return Record(
      section: section, start: start, fields: fields, offset: baseOffset &+ Int64(fields.offsetDelta),
      timestamp: appendTime ?? (baseTimestamp &+ fields.timestampDelta))
  }

  /// Makes the iterator yield nothing more.
  private mutating func stop(_ error: BatchError) -> BatchError {
    index = count
    position = section.count
    return error
  }
}
