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
  var cursor: RecordCursor

  /// An iterator over `section`, the decompressed records of the batch that `header` begins.
  package init(_ section: UnsafeRawBufferPointer, of header: BatchHeader) {
    self.section = section
    count = header.recordCount
    baseOffset = header.baseOffset
    baseTimestamp = header.baseTimestamp
    appendTime = header.timestampType == .logAppendTime ? header.maxTimestamp : nil
    cursor = RecordCursor(section)
  }

  package mutating func next() throws(BatchError) -> Record? {
    guard index < count else {
      // A negative count is a lie of its own, and so are bytes after the last record.
      guard index == count, cursor.remaining == 0 else { throw stop(.excessRecordBytes) }
      return nil
    }
    guard cursor.remaining > 0 else { throw stop(.missingRecords(declared: count, found: index)) }
    let start = cursor.position
    let length = Int(cursor.readVarint())
    let bodyStart = cursor.position
    guard !cursor.hasFailed, length > 0, length <= cursor.remaining else { throw stop(.malformedRecord(index: index)) }
    let sectionEnd = cursor.end
    cursor.end = bodyStart &+ length

    let attributes = Int8(bitPattern: cursor.readByte())
    let timestampDelta = cursor.readVarlong()
    let offsetDelta = cursor.readVarint()
    let keyCount = cursor.skipBytes()
    let keyEnd = cursor.position
    let valueCount = cursor.skipBytes()
    let valueEnd = cursor.position
    let headerCount = cursor.skipHeaders()
    guard !cursor.hasFailed, cursor.remaining == 0 else { throw stop(.malformedRecord(index: index)) }
    cursor.end = sectionEnd
    index &+= 1

    return Record(
      section: section, start: start, sizeInBytes: cursor.position &- start, attributes: attributes,
      offsetDelta: offsetDelta, timestampDelta: timestampDelta, offset: baseOffset &+ Int64(offsetDelta),
      timestamp: appendTime ?? (baseTimestamp &+ timestampDelta), keyStart: keyEnd &- keyCount, keyCount: keyCount,
      valueStart: valueEnd &- valueCount, valueCount: valueCount, headerCount: headerCount,
      headersStart: valueEnd)
  }

  /// Makes the iterator yield nothing more.
  private mutating func stop(_ error: BatchError) -> BatchError {
    index = count
    cursor.fail()
    cursor.position = cursor.end
    return error
  }
}
