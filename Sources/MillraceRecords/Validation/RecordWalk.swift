// One pass over the records of a batch that reads what validation needs and skips the rest. It is the same reading as
// RecordIterator's, without making a `Record` of each: a broker does this for every record it is sent, so the loop only
// gathers extremes, and which records broke a rule is found in a second pass when one did.
//
// The record section may come in pieces, cut anywhere, so that a compressed batch can be walked as it decompresses.

struct RecordWalk {
  /// The records' largest timestamp.
  private(set) var maxTimestamp = BatchHeader.noTimestamp
  /// The first record that has it.
  private(set) var indexOfMaxTimestamp: Int32 = 0
  /// The smallest timestamp among records that have one.
  private(set) var minTimestamp = Int64.max
  /// What is wrong with the records; nothing is read after that.
  private(set) var error: BatchError?

  private let count: Int32
  private let baseTimestamp: Int64
  private var index: Int32 = 0
  /// Bits in which an offset delta differs from the place of its record, all records together.
  private var disorder: UInt32 = 0
  /// Negative once a key's length was.
  private var keyCounts = 0
  /// The record that a piece ended in.
  private var cutOff: RecordInPieces?

  /// A walk over the records of the batch that `header` begins.
  init(of header: BatchHeader) {
    count = header.recordCount
    baseTimestamp = header.baseTimestamp
    if count < 0 { error = .missingRecords(declared: count, found: 0) }
  }

  /// Whether the records' offset deltas are 0, 1, 2, …
  var isSequential: Bool { disorder == 0 }
  var hasRecordWithoutKey: Bool { keyCounts < 0 }

  /// Reads the next piece of the record section, which is decompressed.
  mutating func read(_ piece: UnsafeRawBufferPointer) {
    guard error == nil, let base = piece.baseAddress else { return }
    let end = piece.count
    var position = 0
    if var record = cutOff {
      switch record.read(piece) {
      case .needsMore:
        cutOff = record
        return
      case .malformed:
        error = .malformedRecord(index: index)
        return
      case .ends(let next):
        cutOff = nil
        position = next
        note(record.timestampDelta, rawOffsetDelta: record.rawOffsetDelta, keyCount: record.keyCount)
      }
    }
    position = readWholeRecords(base, from: position, to: end)
    guard position < end else { return }
    guard index < count else {
      error = .excessRecordBytes
      return
    }
    guard RecordInPieces.isCutOff(base, at: position, end: end) else {
      error = .malformedRecord(index: index)
      return
    }
    var record = RecordInPieces()
    let rest = UnsafeRawBufferPointer(start: base + position, count: end &- position)
    if case .needsMore = record.read(rest) { cutOff = record } else { error = .malformedRecord(index: index) }
  }

  /// Says that there was no further piece.
  mutating func finish() throws(BatchError) {
    if let error { throw error }
    if cutOff != nil { throw .malformedRecord(index: index) }
    guard index == count else { throw .missingRecords(declared: count, found: index) }
  }

  /// Reads records up to the last that is declared, or the first that does not lie in the bytes as it should, and returns
  /// where that begins.
  private mutating func readWholeRecords(_ base: UnsafeRawPointer, from start: Int, to end: Int) -> Int {
    // The loop's own copies stay in registers.
    var position = start
    var index = index
    var maxTimestamp = maxTimestamp
    var indexOfMax = indexOfMaxTimestamp
    var minTimestamp = minTimestamp
    var disorder = disorder
    var keyCounts = keyCounts
    while index < count, position < end {
      let record = RecordFields(base, at: position, end: end)
      guard record.next >= 0 else { break }
      position = record.next
      disorder |= record.rawOffsetDelta ^ UInt32(bitPattern: index &<< 1)
      keyCounts |= record.keyCount
      let timestamp = baseTimestamp &+ record.timestampDelta
      indexOfMax = timestamp > maxTimestamp ? index : indexOfMax
      maxTimestamp = max(maxTimestamp, timestamp)
      minTimestamp = min(minTimestamp, timestamp == BatchHeader.noTimestamp ? .max : timestamp)
      index &+= 1
    }
    self.index = index
    self.maxTimestamp = maxTimestamp
    indexOfMaxTimestamp = indexOfMax
    self.minTimestamp = minTimestamp
    self.disorder = disorder
    self.keyCounts = keyCounts
    return position
  }

  /// Takes a record into account that was read in pieces.
  private mutating func note(_ timestampDelta: Int64, rawOffsetDelta: UInt32, keyCount: Int) {
    disorder |= rawOffsetDelta ^ UInt32(bitPattern: index &<< 1)
    keyCounts |= keyCount
    let timestamp = baseTimestamp &+ timestampDelta
    if timestamp > maxTimestamp {
      maxTimestamp = timestamp
      indexOfMaxTimestamp = index
    }
    if timestamp != BatchHeader.noTimestamp { minTimestamp = min(minTimestamp, timestamp) }
    index &+= 1
  }
}

extension BatchView {
  /// Walks the records, decompressing at most `limit` bytes, a few KiB at a time.
  func walkRecords(limit: Int) throws(BatchError) -> RecordWalk {
    guard let type = header.compression else { throw .unknownCompression(code: header.attributes.compressionCode) }
    var walk = RecordWalk(of: header)
    if type == .none {
      walk.read(recordSection)
      try walk.finish()
      return walk
    }
    let codec = DecompressionCodec.borrow()
    defer { DecompressionCodec.giveBack(codec) }
    var output = RecordWalkOutput(walk)
    // The codec's own buffer serves, rather than a new one.
    swap(&output.scratch, &codec.output)
    output.scratch.removeAll()
    defer { swap(&output.scratch, &codec.output) }
    do {
      try codec.decompressor.decompress(type, recordSection, to: &output, limit: limit)
    } catch { throw output.walk.error ?? .compression(error) }
    walk = output.walk
    try walk.finish()
    return walk
  }
}

/// Shows a walk what a codec decompresses, in one small buffer again and again.
private struct RecordWalkOutput: ~Copyable, DecompressionOutput {
  /// Empty all the time: only its memory is used.
  var scratch = ByteScratch()
  var walk: RecordWalk
  private(set) var total = 0

  /// What codecs get to fill: a block of lz4 as Kafka's clients make them.
  private static let pieceByteCount = 64 << 10
  /// Up to here it is quicker to let a codec that can decompress everything at once do so.
  private static let wholeByteCount = 1 << 20

  init(_ walk: RecordWalk) {
    self.walk = walk
  }

  mutating func room(expecting expected: Int, allowed: Int) -> UnsafeMutableRawBufferPointer {
    scratch.reserve(Self.pieceByteCount)
    return UnsafeMutableRawBufferPointer(rebasing: scratch.free[..<min(allowed, Self.pieceByteCount)])
  }

  mutating func room(exactly count: Int) -> UnsafeMutableRawBufferPointer? {
    count <= Self.wholeByteCount ? block(of: count) : nil
  }

  mutating func block(of count: Int) -> UnsafeMutableRawBufferPointer {
    scratch.reserve(max(1, count))
    return scratch.free
  }

  mutating func take(written: Int) throws(CompressionError) {
    try take(UnsafeRawBufferPointer(rebasing: scratch.free[..<written]))
  }

  mutating func take(_ bytes: UnsafeRawBufferPointer) throws(CompressionError) {
    total += bytes.count
    walk.read(bytes)
    // Nothing more needs decompressing; the walk knows better what is wrong.
    guard walk.error == nil else { throw .failed }
  }
}
