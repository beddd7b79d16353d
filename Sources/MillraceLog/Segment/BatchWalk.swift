// Goes over a segment from batch to batch by checksums and by offsets, which must rise and are not under the checksum.
// Where a batch fails, the next whole one is looked for.

import MillraceRecords

struct BatchWalk {
  let file: SegmentFile
  var position: Int64
  /// The offset that comes next, or a later one where compaction took records.
  var expected: Int64
  let size: Int64
  var endOffset = Int64.max

  init(file: SegmentFile, position: Int64, expected: Int64, size: Int64) {
    self.file = file
    self.position = position
    self.expected = expected
    self.size = size
  }

  /// The header of the batch at `position`, if it is whole and in line.
  func sound() throws(LogError) -> BatchHeader? {
    guard let header = try header(at: position), isInLine(header), try BatchCheck.isWhole(file, header, at: position)
    else { return nil }
    // A first offset that is too large shows in the batch behind. Which of the two is wrong, the neighbours say.
    let after = position + Int64(header.sizeInBytes)
    guard header.baseOffset > expected, let next = try self.header(at: after), next.baseOffset < header.nextOffset,
      try BatchCheck.isWhole(file, next, at: after)
    else { return header }
    if next.baseOffset == expected + Int64(header.lastOffsetDelta) + 1 { return nil }
    let third = try self.header(at: after + Int64(next.sizeInBytes))
    return third?.baseOffset == header.nextOffset + Int64(next.lastOffsetDelta) + 1 ? header : nil
  }

  /// The first whole batch behind `position` that may follow.
  func next() throws(LogError) -> (position: Int64, header: BatchHeader)? {
    var from = position + 1
    while size - from >= Int64(BatchHeader.byteCount) {
      guard let (at, header) = try BatchCheck.candidate(in: file, from: from, to: size) else { return nil }
      if isInLine(header), try BatchCheck.isWhole(file, header, at: at) { return (at, header) }
      from = at + 1
    }
    return nil
  }

  private func isInLine(_ header: BatchHeader) -> Bool {
    header.baseOffset >= expected && header.nextOffset <= endOffset
  }

  private func header(at position: Int64) throws(LogError) -> BatchHeader? {
    do throws(LogError) {
      return try HeaderScan.run(file, from: position, to: size, blockSize: BatchHeader.byteCount) {
        (scan) throws(LogError) in try scan.peek()
      }
    } catch {
      guard case .corrupt = error else { throw error }
      return nil
    }
  }
}
