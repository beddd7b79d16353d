// Finding batches: an index entry says where to begin, the headers from there say the rest. An entry that the log does
// not bear out has the indexes made anew, and the search begins again without trust.

import MillraceRecords

extension Segment {
  /// How far a search may walk past where the index sent it before the index counts as incomplete.
  private static let longestWalk: Int64 = 4 << 20

  private enum Found {
    case batch(position: Int64, header: BatchHeader)
    case nothing
    /// The index entry is not true, or not near.
    case indexIsWrong
  }

  /// The batch that holds `offset`, or the first after it: its position and header. Nil when all batches before `limit`
  /// end before `offset`.
  func find(_ offset: Int64, limit: Int64) throws(LogError) -> (position: Int64, header: BatchHeader)? {
    try checkIndexes()
    var found = try find(offset, from: try entry(notAfter: offset), limit: limit)
    if case .indexIsWrong = found {
      // The writer is adding to the active segment's indexes; they were checked when the log was opened.
      if !isActive { try repairIndexes() }
      found = try find(offset, from: isActive ? nil : try entry(notAfter: offset), limit: limit, isFinal: true)
    }
    guard case .batch(let position, let header) = found else { return nil }
    return (position, header)
  }

  private func entry(notAfter offset: Int64) throws(LogError) -> OffsetIndexEntry? {
    guard offset > baseOffset else { return nil }
    return try index.last { baseOffset + Int64($0.relativeOffset) <= offset }?.entry
  }

  private func find(
    _ offset: Int64, from entry: OffsetIndexEntry?, limit: Int64, isFinal: Bool = false
  ) throws(LogError) -> Found {
    let start = Int64(entry?.position ?? 0)
    guard start >= 0, start <= limit else { return isFinal ? .nothing : .indexIsWrong }
    return try HeaderScan.run(try file(), from: start, to: limit, over: damages) { (scan) throws(LogError) in
      while true {
        let isFirst = scan.position == start
        let header: BatchHeader?
        do throws(LogError) {
          header = try scan.peek()
        } catch {
          if isFirst, entry != nil, !isFinal, case .corrupt = error { return .indexIsWrong }
          throw error
        }
        guard let header else { return .nothing }
        if isFirst, !isFinal, let entry, header.lastOffset != baseOffset + Int64(entry.relativeOffset) {
          return .indexIsWrong
        }
        if header.lastOffset >= offset { return .batch(position: scan.position, header: header) }
        scan.skip(header)
        let walked = scan.position - start
        if !isFinal, walked > Self.longestWalk + Int64(indexIntervalBytes), walked > 4 * Int64(header.sizeInBytes) {
          return .indexIsWrong
        }
      }
    }
  }

  /// The last place where a batch ends, not past `end`, for a read that begins at the batch boundary `start`; and the
  /// offset that comes there. It is `start` when the first batch passes `end`.
  func boundary(
    from start: LogPosition, notAfter end: Int64, limit: Int64
  ) throws(LogError) -> LogPosition {
    try checkIndexes()
    var from = start
    // At the limit begins what this reader may not see, not even to learn its offset.
    if let found = try index.last(where: { Int64($0.position) <= end && Int64($0.position) < limit })?.entry,
      Int64(found.position) > start.position,
      try isTrue(found)
    {
      from = LogPosition(offset: -1, segment: baseOffset, position: Int64(found.position))
    }
    return try HeaderScan.run(try file(), from: from.position, to: limit, over: damages) { (scan) throws(LogError) in
      var last = from
      while let header = try scan.peek() {
        // At an index entry the offset is not known before its batch is looked at.
        if last.offset < 0 { last.offset = header.baseOffset }
        guard scan.position + Int64(header.sizeInBytes) <= end else { break }
        scan.skip(header)
        last = LogPosition(offset: header.nextOffset, segment: baseOffset, position: scan.position)
      }
      return last
    }
  }

  func batchSize(at position: Int64, limit: Int64) throws(LogError) -> Int64 {
    try HeaderScan.run(try file(), from: position, to: limit, blockSize: BatchHeader.byteCount) {
      (scan) throws(LogError) in
      guard let header = try scan.peek() else { throw scan.corrupt }
      return Int64(header.sizeInBytes)
    }
  }
}
