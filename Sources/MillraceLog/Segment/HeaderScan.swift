// Walks the batch headers of a segment's file, reading blocks rather than headers: small batches come many to a read. Of
// batches that are larger than a block only the headers are read.

import MillraceRecords

struct HeaderScan {
  /// Enough for the few kilobytes between two index entries.
  static let blockSize = 8192

  let file: SegmentFile
  /// Where the next batch begins.
  private(set) var position: Int64
  /// Batches end here or before.
  let limit: Int64
  /// Where to step over bytes that are known to be none.
  private let damages: [Damage]
  private let block: UnsafeMutableRawBufferPointer
  private var blockStart: Int64 = 0
  private var blockCount = 0
  /// The size of the batch before this one: this one's is likely to be like it.
  private var lastSize = 0

  /// Runs `body` with a scan that begins at `start`, which must be where a batch begins.
  static func run<Result, E: Error>(
    _ file: SegmentFile, from start: Int64, to limit: Int64, blockSize: Int = Self.blockSize,
    over damages: [Damage] = [], _ body: (inout HeaderScan) throws(E) -> Result
  ) throws(E) -> Result {
    try withUnsafeTemporaryAllocation(byteCount: blockSize, alignment: 8) { (block) throws(E) in
      var scan = HeaderScan(file: file, position: start, limit: limit, damages: damages, block: block)
      return try body(&scan)
    }
  }

  private init(
    file: SegmentFile, position: Int64, limit: Int64, damages: [Damage], block: UnsafeMutableRawBufferPointer
  ) {
    self.file = file
    self.position = position
    self.limit = limit
    self.damages = damages
    self.block = block
  }

  /// The header at `position`, without moving on; nil at the limit. Throws `corrupt` when there is no batch, or one that
  /// passes the limit.
  mutating func peek() throws(LogError) -> BatchHeader? {
    for damage in damages where damage.position <= position && position < damage.end { position = damage.end }
    guard position < limit else { return nil }
    guard limit - position >= Int64(BatchHeader.byteCount) else { throw corrupt }
    let inBlock = position - blockStart
    if inBlock < 0 || inBlock + Int64(BatchHeader.byteCount) > Int64(blockCount) { try fill() }
    let header: BatchHeader
    do {
      let bytes = UnsafeRawBufferPointer(rebasing: block[Int(position - blockStart)..<blockCount])
      header = try BatchHeader(parsing: bytes)
    } catch {
      throw corrupt
    }
    guard Int64(header.sizeInBytes) <= limit - position, header.lastOffsetDelta >= 0, header.baseOffset >= 0,
      !header.baseOffset.addingReportingOverflow(Int64(header.lastOffsetDelta)).overflow
    else { throw corrupt }
    return header
  }

  /// Moves past `header`, which `peek` returned.
  mutating func skip(_ header: BatchHeader) {
    position += Int64(header.sizeInBytes)
    lastSize = header.sizeInBytes
  }

  mutating func next() throws(LogError) -> BatchHeader? {
    guard let header = try peek() else { return nil }
    skip(header)
    return header
  }

  var corrupt: LogError { .corrupt(path: file.path, position: position) }

  private mutating func fill() throws(LogError) {
    let size = lastSize < block.count ? block.count : BatchHeader.byteCount
    let wanted = Int(clamping: min(Int64(size), limit - position))
    do {
      let part = UnsafeMutableRawBufferPointer(rebasing: block[..<wanted])
      blockCount = try file.read(into: part, at: position)
    } catch {
      throw .storage(error)
    }
    blockStart = position
  }
}
