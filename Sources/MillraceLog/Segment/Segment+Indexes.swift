// Checking the indexes of a closed segment against its log, and making them anew. Nothing here changes the log.

import MillraceRecords

extension Segment {
  /// Whether the indexes are whole, in order and end with what the log says. What the middle says is checked where it is
  /// used.
  func indexesAreUsable() throws(LogError) -> Bool {
    let size = self.size
    if size == 0 { return true }
    do {
      guard let entries = try index.checkedEntries(), let times = try timeIndex.checkedEntries() else { return false }
      if let first = entries.first, first.position <= 0 { return false }
      if let last = entries.last, try !isTrue(last) { return false }
      // Closing a segment wrote its largest timestamp.
      guard let newest = times.last else { return false }
      return try isTrue(newest)
    } catch { throw .storage(error) }
  }

  /// Whether the batch at the entry's position ends with the entry's offset.
  func isTrue(_ entry: OffsetIndexEntry) throws(StorageError) -> Bool {
    guard entry.position >= 0, entry.relativeOffset >= 0 else { return false }
    return try header(at: Int64(entry.position))?.lastOffset == baseOffset + Int64(entry.relativeOffset)
  }

  /// Whether a batch that ends with the entry's offset has the entry's timestamp.
  func isTrue(_ entry: TimeIndexEntry) throws(StorageError) -> Bool {
    guard entry.relativeOffset >= 0 else { return false }
    let offset = baseOffset + Int64(entry.relativeOffset)
    let found = try index.last { Int64($0.relativeOffset) <= Int64(entry.relativeOffset) }
    do {
      return try HeaderScan.run(try file(), from: Int64(found?.entry.position ?? 0), to: size) {
        (scan) throws(LogError) in
        while let header = try scan.next() {
          if header.lastOffset >= offset {
            return header.lastOffset == offset && header.maxTimestamp == entry.timestamp
          }
        }
        return false
      }
    } catch {
      if case .storage(let cause) = error { throw cause }
      return false
    }
  }

  /// The header of the batch at `position`; nil when there is none.
  func header(at position: Int64) throws(StorageError) -> BatchHeader? {
    do {
      return try HeaderScan.run(try file(), from: position, to: size, blockSize: BatchHeader.byteCount) {
        (scan) throws(LogError) in try scan.peek()
      }
    } catch {
      if case .storage(let cause) = error { throw cause }
      return nil
    }
  }

  /// Makes both indexes from the headers of the log, as far as they can be read.
  func rebuildIndexes() throws(LogError) {
    do {
      try index.replace(with: [])
      try timeIndex.replace(with: [])
    } catch { throw .storage(error) }
    var builder = IndexBuilder(segment: self)
    do {
      try HeaderScan.run(try file(), from: 0, to: size, blockSize: 64 << 10) { (scan) throws(LogError) in
        while let header = try scan.peek() {
          builder.add(header, at: scan.position)
          scan.skip(header)
        }
      }
    } catch {
      guard case .corrupt = error else { throw error }
    }
    setLargestTimestamp(builder.largest)
    // Without room the entries stay in memory, where lookups find them.
    try? builder.finish()
  }
}
