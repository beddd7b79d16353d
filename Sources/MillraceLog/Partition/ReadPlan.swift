// What a read found, and where it is: ranges of files that stay readable as long as the plan is kept, whatever happens
// to the partition meanwhile. No bytes of batches were looked at or copied to make it.

package struct ReadPlan: Sendable {
  package var extents: [Extent]
  package var byteCount: Int
  /// The offset that was asked for, or the first after it that there is. The first batch may begin before it.
  package var firstOffset: Int64
  /// Where to read on.
  package var nextOffset: Int64
  package var offsets: LogOffsets
  /// For `read_committed`: what a reader must leave out of these batches.
  package var abortedTransactions: [AbortedTransaction]

  package init(
    extents: [Extent] = [], byteCount: Int = 0, firstOffset: Int64, nextOffset: Int64, offsets: LogOffsets,
    abortedTransactions: [AbortedTransaction] = []
  ) {
    self.extents = extents
    self.byteCount = byteCount
    self.firstOffset = firstOffset
    self.nextOffset = nextOffset
    self.offsets = offsets
    self.abortedTransactions = abortedTransactions
  }

  package var isEmpty: Bool { byteCount == 0 }
}

package enum Extent: Sendable {
  case file(FileExtent)
  case bytes([UInt8])
}

package struct FileExtent: Sendable {
  package let file: SegmentFile
  package var position: Int64
  package var byteCount: Int

  package init(file: SegmentFile, position: Int64, byteCount: Int) {
    self.file = file
    self.position = position
    self.byteCount = byteCount
  }
}

package struct AbortedTransaction: Sendable, Hashable {
  package var producerId: Int64
  package var firstOffset: Int64

  package init(producerId: Int64, firstOffset: Int64) {
    self.producerId = producerId
    self.firstOffset = firstOffset
  }
}

extension ReadPlan {
  /// Reads the plan's bytes into `buffer`, which holds at least `byteCount`.
  package func load(into buffer: UnsafeMutableRawBufferPointer) throws(LogError) {
    precondition(buffer.count >= byteCount, "the buffer is smaller than the plan")
    var done = 0
    for extent in extents {
      switch extent {
      case .bytes(let bytes):
        UnsafeMutableRawBufferPointer(rebasing: buffer[done...]).copyBytes(from: bytes)
        done += bytes.count
      case .file(let extent):
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[done..<(done + extent.byteCount)])
        try extent.file.fill(part, from: extent.position)
        done += extent.byteCount
      }
    }
  }

  package func load() throws(LogError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    try bytes.withMutableBytes { (buffer) throws(LogError) in try load(into: buffer) }
    return bytes
  }
}

extension SegmentFile {
  /// Fills all of `buffer`; a file that ends before is damaged.
  func fill(_ buffer: UnsafeMutableRawBufferPointer, from position: Int64) throws(LogError) {
    let count: Int
    do {
      count = try read(into: buffer, at: position)
    } catch { throw .storage(error) }
    guard count == buffer.count else { throw .corrupt(path: path, position: position + Int64(count)) }
  }
}
