// Which batches of a damaged segment are where they were, with the offsets that they had.
//
// A batch's first offset is not under its checksum. What vouches for it is everything else that speaks of it: the batches
// before and behind, the name of the segment and of the next, the indexes, and what is left of a damaged neighbour's
// header. So the survey first takes every whole batch as it is, in pieces: runs of batches of which each begins at the
// offset where the one before it ends. Two that agree are right, since damage does not change two offsets alike. Then
//
//   1. the pieces are chosen whose offsets rise and that have the most batches; what they contradict was altered,
//   2. a batch that is a piece of its own, and for which nothing vouches, is given up if a neighbour contradicts it.
//
// Compaction leaves gaps between batches. Where it was, a gap contradicts nobody; a batch between two of its gaps, or
// alone between damaged ones, is taken at its word.

import MillraceRecords

struct SegmentSurvey {
  /// Whole batches that stand one behind the other, in the file and in their offsets.
  struct Piece {
    let position: Int64
    var end: Int64
    var offsets: Range<Int64>
    var batchCount = 1
    let first: BatchHeader
    var last: BatchHeader
    /// How much says that the offsets are right.
    var weight: Int

    init(_ header: BatchHeader, at position: Int64) {
      self.position = position
      end = position + Int64(header.sizeInBytes)
      offsets = header.baseOffset..<header.nextOffset
      first = header
      last = header
      weight = 1
    }

    mutating func take(_ header: BatchHeader) -> Bool {
      guard header.baseOffset == offsets.upperBound, follows(header) else { return false }
      end += Int64(header.sizeInBytes)
      offsets = offsets.lowerBound..<header.nextOffset
      last = header
      batchCount += 1
      weight += 1
      return true
    }

    /// A producer's batches that follow each other have sequences that do.
    private func follows(_ header: BatchHeader) -> Bool {
      guard header.hasProducerId, header.producerId == last.producerId, header.producerEpoch == last.producerEpoch,
        header.baseSequence >= 0, last.baseSequence >= 0
      else { return true }
      return header.baseSequence == BatchHeader.sequence(last.lastSequence, advancedBy: 1)
    }
  }

  /// What else is known of the segment.
  struct Surroundings {
    var baseOffset: Int64
    /// No batch ends behind it.
    var limit: Int64
    /// Where the segment ends, if that is known.
    var endOffset: Int64?
    /// Compaction may have left gaps before this offset.
    var compactedTo: Int64
    var index: [OffsetIndexEntry] = []
    var timeIndex: [TimeIndexEntry] = []
  }

  let file: SegmentFile
  let size: Int64
  let around: Surroundings

  /// `next` is where the segment behind begins, `endOffset` where the last one ends, if that is known for sure.
  init(
    _ log: LogInspector.File, of inspector: LogInspector, next: Int64?, endOffset: Int64?, compactedTo: Int64
  ) throws(LogError) {
    func path(_ kind: LogFileKind) -> String { "\(inspector.directory)/\(FileNames.name(log.offset, kind))" }
    file = try inspector.open(log.path)
    size = min(try LogError.wrap(try file.size()), Int64(Int32.max))
    around = Surroundings(
      baseOffset: log.offset, limit: min(next ?? endOffset ?? .max, Self.lastOffset(in: log.offset) + 1),
      endOffset: next ?? endOffset, compactedTo: compactedTo, index: try inspector.offsetIndex(path(.index)),
      timeIndex: try inspector.timeIndex(path(.timeIndex)))
  }

  /// The last offset that an index entry of a segment can hold.
  private static func lastOffset(in baseOffset: Int64) -> Int64 {
    let (sum, overflow) = baseOffset.addingReportingOverflow(Int64(Int32.max))
    return overflow || sum == .max ? .max - 1 : sum
  }

  struct Verdict {
    /// By position, with rising offsets.
    var kept: [Piece]
    /// Whole, and with offsets that are not believed.
    var altered: [Piece]

    /// More gaps than this between whole batches, which nobody's damage leaves, are compaction's.
    private static let mostGaps = 8

    var looksCompacted: Bool {
      zip(kept, kept.dropFirst()).count { $0.end == $1.position && $0.offsets.upperBound < $1.offsets.lowerBound }
        > Self.mostGaps
    }
  }

  func run() throws(LogError) -> Verdict {
    try Jury(self, try wholePieces()).verdict()
  }

  func isWithin(_ piece: Piece) -> Bool {
    piece.offsets.lowerBound >= around.baseOffset && piece.offsets.upperBound <= around.limit
  }

  // MARK: Reading

  private func wholePieces() throws(LogError) -> [Piece] {
    var pieces: [Piece] = []
    var position: Int64 = 0
    while position < size {
      let header = try header(at: position)
      if let header, try BatchCheck.isWhole(file, header, at: position) {
        if pieces.isEmpty || pieces[pieces.count - 1].end != position || !pieces[pieces.count - 1].take(header) {
          pieces.append(Piece(header, at: position))
        }
        position += Int64(header.sizeInBytes)
        continue
      }
      guard let next = try next(behind: header, at: position) else { break }
      position = next
    }
    return pieces
  }

  /// Where the first whole batch behind `position` begins. Values may hold what reads as a batch, so a damaged header is
  /// followed where the batch that it leads to agrees with it.
  private func next(behind damaged: BatchHeader?, at position: Int64) throws(LogError) -> Int64? {
    if let damaged {
      let end = position + Int64(damaged.sizeInBytes)
      if let next = try header(at: end), next.baseOffset == damaged.nextOffset,
        try BatchCheck.isWhole(file, next, at: end)
      {
        return end
      }
    }
    var from = position + 1
    while size - from >= Int64(BatchHeader.byteCount) {
      guard let (at, header) = try BatchCheck.candidate(in: file, from: from, to: size) else { return nil }
      if header.nextOffset > header.baseOffset, try BatchCheck.isWhole(file, header, at: at) { return at }
      from = at + 1
    }
    return nil
  }

  /// What reads as a header that may stand at `position`; nil when nothing does.
  func header(at position: Int64) throws(LogError) -> BatchHeader? {
    do throws(LogError) {
      return try HeaderScan.run(file, from: position, to: size, blockSize: BatchHeader.byteCount) {
        (scan) throws(LogError) in
        guard let header = try scan.peek(), header.nextOffset > header.baseOffset else { return nil }
        return header
      }
    } catch {
      guard case .corrupt = error else { throw error }
      return nil
    }
  }
}
