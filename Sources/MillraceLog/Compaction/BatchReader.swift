// Reads the batches of a segment one after the other, whole and checked, in blocks.

import MillraceRecords

struct BatchReader {
  let segment: Segment
  let bufferSize: Int
  /// Told of every block that is read.
  let didRead: (Int) throws(LogError) -> Void

  /// Calls `body` with each batch from the one at `start` on, until it returns false.
  func forEach(
    from start: Int64, _ body: (BatchView, _ position: Int64) throws(LogError) -> Bool
  ) throws(LogError) {
    let size = segment.size
    guard start < size else { return }
    let file = try segment.file()
    var position = start
    var wanted = bufferSize
    var buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: bufferSize, alignment: 16)
    defer { buffer.deallocate() }
    while position < size {
      if wanted > buffer.count {
        buffer.deallocate()
        buffer = .allocate(byteCount: wanted, alignment: 16)
      }
      let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(Int64(wanted), size - position))])
      try file.fill(part, from: position)
      try didRead(part.count)
      var done = 0
      wanted = bufferSize
      while done < part.count {
        let at = position + Int64(done)
        let rest = UnsafeRawBufferPointer(rebasing: part[done...])
        guard let byteCount = try batchSize(rest, at: at, in: file) else { break }
        guard byteCount <= rest.count else {
          // A batch that is cut off by the block: the next one begins with it, and holds it.
          wanted = max(bufferSize, byteCount)
          break
        }
        let batch = try Self.checked(rest, at: at, in: file)
        done += byteCount
        guard try body(batch, at) else { return }
      }
      // Less than a header may be left.
      if done == 0, wanted <= part.count { throw .corrupt(path: file.path, position: position) }
      position += Int64(done)
    }
  }

  /// The size of the batch that `bytes` begin with; nil when they do not hold its header.
  private func batchSize(_ bytes: UnsafeRawBufferPointer, at position: Int64, in file: SegmentFile) throws(LogError)
    -> Int?
  {
    guard bytes.count >= BatchHeader.byteCount else {
      guard segment.size - position >= Int64(BatchHeader.byteCount) else {
        throw .corrupt(path: file.path, position: position)
      }
      return nil
    }
    guard let header = try? BatchHeader(parsing: bytes), Int64(header.sizeInBytes) <= segment.size - position,
      header.lastOffsetDelta >= 0, header.baseOffset >= segment.baseOffset,
      segment.relative(header.baseOffset) != nil, segment.relative(header.lastOffset) != nil
    else { throw .corrupt(path: file.path, position: position) }
    return header.sizeInBytes
  }

  private static func checked(
    _ bytes: UnsafeRawBufferPointer, at position: Int64, in file: SegmentFile
  ) throws(LogError) -> BatchView {
    do {
      let batch = try BatchView(bytes)
      try batch.verifyChecksum()
      return batch
    } catch { throw .corrupt(path: file.path, position: position) }
  }
}
