// Checking the indexes of a closed segment against its log, and making them anew. Nothing here changes the log.

import MillraceRecords

extension Segment {
  /// Whether the indexes are whole, in order and end with what the log says. What the middle says is checked where it is
  /// used.
  func indexesAreUsable() throws(LogError) -> Bool {
    if size == 0 { return true }
    guard let entries = try index.checkedEntries(), let times = try timeIndex.checkedEntries() else { return false }
    if let first = entries.first, first.position <= 0 { return false }
    if let last = entries.last, try !isTrue(last) { return false }
    // Closing a segment wrote its largest timestamp.
    guard let newest = times.last else { return false }
    return try isTrue(newest)
  }

  /// Whether the batch at the entry's position ends with the entry's offset.
  func isTrue(_ entry: OffsetIndexEntry) throws(LogError) -> Bool {
    guard entry.position >= 0, entry.relativeOffset >= 0 else { return false }
    return try header(at: Int64(entry.position))?.lastOffset == baseOffset + Int64(entry.relativeOffset)
  }

  /// Whether a batch that ends with the entry's offset has the entry's timestamp.
  func isTrue(_ entry: TimeIndexEntry) throws(LogError) -> Bool {
    guard entry.relativeOffset >= 0 else { return false }
    let offset = baseOffset + Int64(entry.relativeOffset)
    let found = try index.last { $0.relativeOffset <= entry.relativeOffset }
    let header = try firstHeader(from: Int64(found?.entry.position ?? 0)) { $0.lastOffset >= offset }
    return header?.lastOffset == offset && header?.maxTimestamp == entry.timestamp
  }

  /// Whether no batch behind the last offset index entry is younger: what closing a segment sees to.
  func isLargest(_ entry: TimeIndexEntry) throws(LogError) -> Bool {
    let last = try index.last()
    return try firstHeader(from: Int64(last?.position ?? 0)) { $0.maxTimestamp > entry.timestamp } == nil
  }

  /// The header of the batch at `position`; nil when there is none.
  func header(at position: Int64) throws(LogError) -> BatchHeader? {
    try firstHeader(from: position, blockSize: BatchHeader.byteCount) { _ in true }
  }

  /// The first header from `position` on that `isWanted`; nil at the end of what can be read as batches.
  private func firstHeader(
    from position: Int64, blockSize: Int = HeaderScan.blockSize, _ isWanted: (BatchHeader) -> Bool
  ) throws(LogError) -> BatchHeader? {
    guard size > 0, position >= 0 else { return nil }
    do {
      return try HeaderScan.run(try file(), from: position, to: size, blockSize: blockSize, over: damages) {
        (scan) throws(LogError) in
        while let header = try scan.next() {
          if isWanted(header) { return header }
        }
        return nil
      }
    } catch {
      guard case .corrupt = error else { throw error }
      return nil
    }
  }

  /// Makes both indexes from the headers of the log, as far as they can be read.
  func rebuildIndexes() throws(LogError) {
    try index.replace(with: [])
    try timeIndex.replace(with: [])
    var builder = IndexBuilder(segment: self)
    if size > 0 {
      do {
        try HeaderScan.run(try file(), from: 0, to: size, blockSize: 64 << 10, over: damages) {
          (scan) throws(LogError) in
          var expected: Int64 = 0
          while let header = try scan.peek() {
            if scan.position != expected { builder.requireEntry() }
            expected = scan.position + Int64(header.sizeInBytes)
            builder.add(header, at: scan.position)
            scan.skip(header)
          }
        }
      } catch {
        guard case .corrupt = error else { throw error }
      }
    }
    setLargestTimestamp(builder.largest)
    // Without room the entries stay in memory, where lookups find them.
    try? builder.finish()
  }
}
