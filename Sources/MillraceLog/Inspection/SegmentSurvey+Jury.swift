// Choosing among the pieces of a segment: see SegmentSurvey.swift for the rules.

import MillraceRecords

extension SegmentSurvey {
  struct Jury {
    private let survey: SegmentSurvey
    private var pieces: [Piece]
    /// Pieces that something speaks against besides other pieces.
    private var doubted: Set<Int> = []

    init(_ survey: SegmentSurvey, _ pieces: [Piece]) throws(LogError) {
      self.survey = survey
      self.pieces = pieces
      try hearWitnesses()
    }

    func verdict() -> Verdict {
      let within = pieces.indices.filter { survey.isWithin(pieces[$0]) }
      let chosen = heaviestRising(within)
      var isChosen = [Bool](repeating: false, count: pieces.count)
      for index in chosen { isChosen[index] = true }
      // Pieces that were not chosen and that nothing but a single batch stands against.
      let unrefuted = within.filter { index in
        !isChosen[index] && !chosen.contains { pieces[$0].weight > 1 && contradicts(index, $0) }
      }
      let kept = chosen.filter { index in
        guard pieces[index].weight == 1 else { return true }
        return !doubted.contains(index) && !unrefuted.contains { contradicts(index, $0) }
          && !isMisplaced(index, isChosen, unrefuted)
      }
      let keptSet = Set(kept)
      return Verdict(
        kept: kept.map { pieces[$0] },
        altered: pieces.indices.filter { !keptSet.contains($0) }.map { pieces[$0] })
    }

    // MARK: Witnesses

    /// Adds to the weight of single batches what vouches for them.
    private mutating func hearWitnesses() throws(LogError) {
      var entries: [Int64: Int64] = [:]
      for entry in survey.around.index where entry.position > 0 && entry.relativeOffset >= 0 {
        entries[Int64(entry.position)] = survey.around.baseOffset + Int64(entry.relativeOffset)
      }
      var times: [Int64: Int64] = [:]
      for entry in survey.around.timeIndex where entry.relativeOffset >= 0 {
        times[entry.timestamp] = survey.around.baseOffset + Int64(entry.relativeOffset)
      }
      for index in pieces.indices where pieces[index].batchCount == 1 {
        let piece = pieces[index]
        let lastOffset = piece.offsets.upperBound - 1
        if piece.position == 0, piece.offsets.lowerBound == survey.around.baseOffset { pieces[index].weight += 1 }
        if piece.end == survey.size, piece.offsets.upperBound == survey.around.endOffset { pieces[index].weight += 1 }
        if let entry = entries[piece.position] { hear(index, entry == lastOffset, denies: entry != lastOffset) }
        // The time index names the first batch that has a timestamp.
        if let entry = times[piece.first.maxTimestamp] {
          hear(index, entry == lastOffset, denies: entry > lastOffset)
        }
        if isReachedOverAltered(index) { pieces[index].weight += 1 }
        if isReachedBySequences(index) { pieces[index].weight += 1 }
        try hearNeighbours(of: index)
      }
    }

    private mutating func hear(_ index: Int, _ vouches: Bool, denies: Bool) {
      if vouches { pieces[index].weight += 1 }
      if denies { doubted.insert(index) }
    }

    /// Whether a piece on the other side of an altered batch leads to this one's first offset, or from its last.
    private func isReachedOverAltered(_ index: Int) -> Bool {
      for (other, between) in [(index - 2, index - 1), (index + 2, index + 1)] where pieces.indices.contains(other) {
        let (first, second) = other < index ? (other, index) : (index, other)
        guard pieces[first].end == pieces[between].position, pieces[between].end == pieces[second].position else {
          continue
        }
        let gap = pieces[second].offsets.lowerBound - pieces[first].offsets.upperBound
        if gap == Int64(pieces[between].offsets.count) { return true }
      }
      return false
    }

    /// Whether the sequences jump to this piece, or from it, as far as the offsets do.
    private func isReachedBySequences(_ index: Int) -> Bool {
      for (first, second) in [(index - 1, index), (index, index + 1)] where first >= 0 && second < pieces.count {
        guard pieces[first].end == pieces[second].position,
          pieces[first].offsets.upperBound < pieces[second].offsets.lowerBound
        else { continue }
        if missing(between: pieces[first].last, and: pieces[second].first) == 0 { return true }
      }
      return false
    }

    /// What is left of the headers of damaged neighbours.
    private mutating func hearNeighbours(of index: Int) throws(LogError) {
      let piece = pieces[index]
      let before = index > 0 ? pieces[index - 1].end : 0
      if before < piece.position, let damaged = try survey.header(at: before),
        before + Int64(damaged.sizeInBytes) == piece.position
      {
        let gap = missing(between: damaged, and: piece.first)
        // As a producer writes it, or what is left of that proves nothing.
        let isCredible = Int64(damaged.recordCount) == Int64(damaged.lastOffsetDelta) + 1
        if gap == 0 || isCredible { hear(index, gap: gap, at: piece.offsets.lowerBound) }
      }
      let isFollowed = index + 1 < pieces.count && pieces[index + 1].position == piece.end
      if !isFollowed, let damaged = try survey.header(at: piece.end) {
        hear(index, gap: missing(between: piece.last, and: damaged), at: piece.offsets.upperBound)
      }
    }

    /// How many offsets are missing between two batches, but for those whose records are gone: where the sequences of a
    /// producer jump as far as the offsets do.
    private func missing(between first: BatchHeader, and second: BatchHeader) -> Int64 {
      let (gap, overflow) = second.baseOffset.subtractingReportingOverflow(first.nextOffset)
      // Damage can have made any offset.
      if overflow { return -1 }
      guard gap > 0, gap < Int64(Int32.max), first.hasProducerId, first.producerId == second.producerId,
        first.producerEpoch == second.producerEpoch, first.baseSequence >= 0, second.baseSequence >= 0
      else { return gap }
      return second.baseSequence == BatchHeader.sequence(first.lastSequence, advancedBy: Int32(gap) + 1) ? 0 : gap
    }

    private mutating func hear(_ index: Int, gap: Int64, at offset: Int64) {
      hear(index, gap == 0, denies: gap < 0 || gap > 0 && offset >= survey.around.compactedTo)
    }

    // MARK: Contradictions

    /// Whether the offsets of the two cannot both be right.
    private func contradicts(_ one: Int, _ other: Int) -> Bool {
      let (first, second) = one < other ? (one, other) : (other, one)
      return first != second && pieces[first].offsets.upperBound > pieces[second].offsets.lowerBound
    }

    private enum Side { case unknown, agrees, jumps, contradicts }

    /// Whether a single batch does not go with what stands next to it. Between two gaps it can be where compaction left
    /// it: were it altered, its neighbours would leave it no room.
    private func isMisplaced(_ index: Int, _ isChosen: [Bool], _ unrefuted: [Int]) -> Bool {
      switch (before(index, isChosen, unrefuted), after(index, isChosen, unrefuted)) {
      case (.contradicts, _), (_, .contradicts), (.jumps, .unknown), (.unknown, .jumps): true
      default: false
      }
    }

    private func before(_ index: Int, _ isChosen: [Bool], _ unrefuted: [Int]) -> Side {
      let piece = pieces[index]
      guard piece.offsets.lowerBound >= survey.around.compactedTo else { return .unknown }
      if piece.position == 0 { return piece.offsets.lowerBound == survey.around.baseOffset ? .agrees : .jumps }
      guard index > 0, pieces[index - 1].end == piece.position, isChosen[index - 1] || unrefuted.contains(index - 1)
      else { return .unknown }
      return step(from: pieces[index - 1], to: piece)
    }

    private func after(_ index: Int, _ isChosen: [Bool], _ unrefuted: [Int]) -> Side {
      let piece = pieces[index]
      guard piece.offsets.upperBound >= survey.around.compactedTo else { return .unknown }
      if piece.end == survey.size {
        return survey.around.endOffset.map { $0 == piece.offsets.upperBound ? .agrees : .jumps } ?? .unknown
      }
      guard index + 1 < pieces.count, pieces[index + 1].position == piece.end,
        isChosen[index + 1] || unrefuted.contains(index + 1)
      else { return .unknown }
      return step(from: piece, to: pieces[index + 1])
    }

    private func step(from first: Piece, to second: Piece) -> Side {
      // Offsets that follow each other would have made one piece of them, were it not for the sequences.
      first.offsets.upperBound == second.offsets.lowerBound ? .contradicts : .jumps
    }

    // MARK: Choosing

    /// Those of `candidates` that have the most weight together and whose offsets rise.
    private func heaviestRising(_ candidates: [Int]) -> [Int] {
      if zip(candidates, candidates.dropFirst()).allSatisfy({ !contradicts($0, $1) }) { return candidates }
      // The best choice among the pieces that end at or before an offset: a Fenwick tree over the ends.
      let ends = candidates.map { pieces[$0].offsets.upperBound }.sorted()
      var best = [(weight: Int, last: Int)](repeating: (0, -1), count: ends.count + 1)
      var previous = [Int](repeating: -1, count: pieces.count)
      var total = [Int](repeating: 0, count: pieces.count)
      for index in candidates {
        var rank = ends.partitioningIndex { $0 > pieces[index].offsets.lowerBound }
        var found = (weight: 0, last: -1)
        while rank > 0 {
          if best[rank].weight > found.weight { found = best[rank] }
          rank &= rank - 1
        }
        previous[index] = found.last
        total[index] = found.weight + pieces[index].weight
        rank = ends.partitioningIndex { $0 >= pieces[index].offsets.upperBound } + 1
        while rank <= ends.count {
          if total[index] > best[rank].weight { best[rank] = (total[index], index) }
          rank += rank & -rank
        }
      }
      var chosen: [Int] = []
      var next = candidates.max { total[$0] < total[$1] } ?? -1
      while next >= 0 {
        chosen.append(next)
        next = previous[next]
      }
      return chosen.reversed()
    }
  }
}
