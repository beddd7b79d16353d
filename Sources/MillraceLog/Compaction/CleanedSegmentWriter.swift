// Writes the segment that takes the place of others, under `.cleaned` names until it is whole and durable.

import MillraceRecords

final class CleanedSegmentWriter {
  /// Positions in an index have 31 bits.
  private static let mostBytes = Int64(Int32.max)

  private let segment: Segment
  private let file: SegmentFile
  private let fileSystem: any FileSystem
  private let bufferSize: Int
  private let didWrite: (Int) -> Void
  private var builder: IndexBuilder
  private var buffer: [UInt8] = []
  /// Bytes in the file.
  private var written: Int64 = 0

  init(
    replacing old: [Segment], in log: PartitionLog, bufferSize: Int, didWrite: @escaping (Int) -> Void
  ) throws(LogError) {
    fileSystem = log.home.fileSystem
    self.bufferSize = bufferSize
    self.didWrite = didWrite
    segment = Segment(
      baseOffset: old[0].baseOffset, directory: log.directory, byteCount: 0, isNew: true,
      indexIntervalBytes: log.config.indexIntervalBytes, cache: log.home.cache, stage: .cleaned)
    builder = IndexBuilder(segment: segment)
    do {
      // What an earlier try may have left.
      for slot in [segment.index.slot, segment.timeIndex.slot, segment.transactionIndex.slot] {
        try fileSystem.removeIfPresent(slot.path)
      }
      file = try segment.log.open(.replace)
    } catch { throw .storage(error) }
  }

  func append(_ batch: UnsafeRawBufferPointer, _ header: BatchHeader) throws(LogError) {
    let position = written + Int64(buffer.count)
    // Horizons make timestamps longer, and so may a batch become.
    guard position + Int64(batch.count) <= Self.mostBytes else {
      throw .recordTooLarge(byteCount: batch.count, limit: Int(Self.mostBytes - position))
    }
    buffer.append(contentsOf: batch)
    builder.add(header, at: position)
    if buffer.count >= bufferSize { try flush() }
  }

  private func flush() throws(LogError) {
    guard !buffer.isEmpty else { return }
    segment.log.noteWrite()
    try buffer.withBytes { (bytes) throws(LogError) in
      try LogError.wrap(try file.write(bytes, at: written))
    }
    segment.log.noteWrite()
    written += Int64(buffer.count)
    segment.setSize(written)
    didWrite(buffer.count)
    buffer.removeAll(keepingCapacity: true)
  }

  /// The segment, whole and durable but for its name.
  func finish(
    aborted: [AbortedTransactionEntry], through end: Int64, lastStableOffset: Int64
  ) throws(LogError) -> Segment {
    try flush()
    try builder.finish()
    segment.setLargestTimestamp(builder.largest)
    segment.setActive(false)
    segment.transactionIndex.set(
      aborted.sorted { $0.lastOffset < $1.lastOffset }, lastStableOffset: lastStableOffset)
    try segment.transactionIndex.store(through: end, lastStableOffset: lastStableOffset)
    do { try segment.log.synchronize() } catch { throw .storage(error) }
    return segment
  }

  /// Takes back what was written, unless it has become the log's.
  func remove() {
    guard segment.log.isCleaned else { return }
    segment.retire()
    for slot in segment.slots { try? fileSystem.removeIfPresent(slot.path) }
  }
}
