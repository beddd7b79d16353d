// The headers of a record: decoded when somebody asks. The record's reader has walked them, so they do parse.

/// A header to write: a key, and a value that may be null.
package struct RecordHeader: Sendable, Hashable {
  package var key: String
  package var value: [UInt8]?

  package init(key: String, value: [UInt8]?) {
    self.key = key
    self.value = value
  }
}

package struct RecordHeaders: Sequence {
  let section: UnsafeRawBufferPointer
  /// Where the header count is.
  let start: Int
  package let count: Int

  /// The `count` headers whose count is at `start` in `section`, as a `Record` read from the same bytes says.
  package init(section: UnsafeRawBufferPointer, start: Int, count: Int) {
    self.section = section
    self.start = start
    self.count = count
  }

  package struct View {
    package let section: UnsafeRawBufferPointer
    package let keyRange: Range<Int>
    package let valueRange: Range<Int>?

    package var keyBytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: section[keyRange]) }
    package var key: String { String(decoding: keyBytes, as: UTF8.self) }
    package var value: UnsafeRawBufferPointer? {
      valueRange.map { UnsafeRawBufferPointer(rebasing: section[$0]) }
    }
    /// A copy that outlives the batch.
    package var owned: RecordHeader { RecordHeader(key: key, value: value.map { [UInt8]($0) }) }
  }

  package struct Iterator: IteratorProtocol {
    let section: UnsafeRawBufferPointer
    var cursor: RecordCursor
    var remaining: Int

    package mutating func next() -> View? {
      guard remaining > 0 else { return nil }
      remaining -= 1
      let keyCount = cursor.skipBytes()
      let keyEnd = cursor.position
      let valueCount = cursor.skipBytes()
      let valueEnd = cursor.position
      guard !cursor.hasFailed, keyCount >= 0 else { return nil }
      return View(
        section: section, keyRange: (keyEnd &- keyCount)..<keyEnd,
        valueRange: valueCount < 0 ? nil : (valueEnd &- valueCount)..<valueEnd)
    }
  }

  package func makeIterator() -> Iterator {
    var cursor = RecordCursor(section)
    cursor.position = start
    _ = cursor.readVarint()  // the count
    return Iterator(section: section, cursor: cursor, remaining: count)
  }

  package var underestimatedCount: Int { count }
}
