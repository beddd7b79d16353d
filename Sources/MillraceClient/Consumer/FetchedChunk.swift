// What a fetch brought of one partition: batches that are decoded one at a time, when somebody wants them, so that no
// more than one is decompressed. A fetch begins with the batch that holds the offset asked for and may end in the middle
// of one.

import MillraceRecords
import NIOCore

struct FetchedChunk: Sendable {
  /// Slices that begin beyond this are copies, so batches from larger memory are copied once as a whole instead.
  private static let largestSharedStorage = 1 << 24

  let partition: TopicPartition
  /// Which assignment of the partition it was fetched for.
  let token: UInt64
  /// The offset of the next record wanted.
  private(set) var position: Int64
  let highWatermark: Int64
  /// What it takes of the prefetch memory.
  let byteCount: Int
  private var rest: ByteBuffer
  private var aborted: AbortedTransactions

  init(
    _ partition: TopicPartition, token: UInt64, from position: Int64, highWatermark: Int64, records: ByteBuffer,
    aborted: AbortedTransactions = AbortedTransactions()
  ) {
    self.partition = partition
    self.token = token
    self.position = position
    self.highWatermark = highWatermark
    self.aborted = aborted
    rest = records
    byteCount = records.readableBytes
  }

  /// The offset after the last whole batch in `records`; nil if there is no whole batch.
  static func endOffset(of records: ByteBuffer) throws(BatchError) -> Int64? {
    try records.withUnsafeReadableBytes { (bytes) throws(BatchError) in
      var batches = BatchIterator(bytes)
      var end: Int64?
      while let (batch, _) = try batches.next() { end = batch.header.nextOffset }
      return end
    }
  }

  /// The next batch with records for the application; nil when there is none left. `position` is behind it then.
  mutating func next(_ isolation: IsolationLevel, checksCRCs: Bool) throws(BatchError) -> RecordBatch? {
    while let (header, bytes) = try nextBytes() {
      guard header.lastOffset >= position else { continue }
      if checksCRCs {
        try bytes.withUnsafeReadableBytes { (bytes) throws(BatchError) in try BatchView(bytes).verifyChecksum() }
      }
      let isAborted = isolation == .readCommitted ? try aborted.hides(header, bytes) : false
      if isAborted || header.isControl {
        position = header.nextOffset
        continue
      }
      let batch = try RecordBatch(
        partition, header, section: try Self.section(header, bytes), from: position, highWatermark: highWatermark)
      position = header.nextOffset
      if batch.recordCount > 0 { return batch }
    }
    return nil
  }

  private mutating func nextBytes() throws(BatchError) -> (BatchHeader, ByteBuffer)? {
    let header: BatchHeader
    do {
      header = try rest.withUnsafeReadableBytes { (bytes) throws(BatchError) in try BatchHeader(parsing: bytes) }
    } catch .truncated {
      return nil
    }
    guard let bytes = rest.readSlice(length: header.sizeInBytes) else { return nil }
    return (header, bytes)
  }

  private static func section(_ header: BatchHeader, _ batch: ByteBuffer) throws(BatchError) -> ByteBuffer {
    if header.compression == CompressionType.none, batch.storageCapacity <= largestSharedStorage,
      let section = batch.getSlice(
        at: batch.readerIndex + BatchHeader.byteCount, length: batch.readableBytes - BatchHeader.byteCount)
    {
      return section
    }
    return try batch.withUnsafeReadableBytes { (bytes) throws(BatchError) in
      try BatchView(bytes).withRecordSection { (section) throws(BatchError) in ByteBuffer(bytes: section) }
    }
  }
}

/// Which batches of a fetch belong to transactions that were aborted (KIP-98). The broker lists those that begin before
/// the fetch ends; each lasts to the abort marker of its producer.
struct AbortedTransactions: Sendable {
  private var upcoming: CircularBuffer<(producerId: Int64, firstOffset: Int64)>
  private var producers: Set<Int64> = []

  init(_ transactions: [(producerId: Int64, firstOffset: Int64)] = []) {
    upcoming = CircularBuffer(transactions.sorted { $0.firstOffset < $1.firstOffset })
  }

  /// Takes the next batch into account, and says whether its records were aborted.
  mutating func hides(_ header: BatchHeader, _ batch: ByteBuffer) throws(BatchError) -> Bool {
    while let next = upcoming.first, next.firstOffset <= header.lastOffset {
      producers.insert(next.producerId)
      upcoming.removeFirst()
    }
    guard header.isTransactional, producers.contains(header.producerId) else { return false }
    if header.isControl, try Self.isAbort(batch) { producers.remove(header.producerId) }
    return true
  }

  private static func isAbort(_ batch: ByteBuffer) throws(BatchError) -> Bool {
    try batch.withUnsafeReadableBytes { (bytes) throws(BatchError) in
      try BatchView(bytes).withRecords { (records) throws(BatchError) in
        guard let record = try records.next() else { return false }
        return ControlRecordType(key: record.key) == .abort
      }
    }
  }
}
