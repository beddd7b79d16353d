// Making the transaction index of a closed segment from the log. A transaction may have begun segments earlier, so the
// walk begins with the producers of a snapshot at the start of a segment, usually this one's own.

import MillraceRecords

struct TransactionIndexRebuild {
  let segments: [Segment]
  private var starts: [Int64: Int64] = [:]

  init(_ segments: [Segment]) {
    self.segments = segments
  }

  /// The index of `segments[index]`, whose batches all come before `end`.
  mutating func run(_ index: Int, end: Int64) throws(LogError) -> TransactionIndexContent {
    var first = index
    starts = [:]
    while first >= 0 {
      if let producers = try snapshot(at: segments[first]) {
        for (id, state) in producers { starts[id] = state.transactionStart }
        break
      }
      first -= 1
    }
    for earlier in segments[max(0, first)..<index] { _ = try walk(earlier) }
    let entries = try walk(segments[index])
    return TransactionIndexContent(entries: entries, through: end, lastStableOffset: starts.values.min() ?? end)
  }

  private func snapshot(at segment: Segment) throws(LogError) -> [Int64: ProducerState]? {
    try LogError.wrap(try segment.log.fileSystem.contents(of: segment.path(.snapshot)))
      .flatMap(ProducerSnapshot.decode)
  }

  /// The transactions that end in the segment with an abort, as far as its headers can be read.
  private mutating func walk(_ segment: Segment) throws(LogError) -> [AbortedTransactionEntry] {
    var entries: [AbortedTransactionEntry] = []
    let size = segment.size
    guard size > 0 else { return [] }
    let file = try segment.file()
    do {
      try HeaderScan.run(file, from: 0, to: size, blockSize: 64 << 10, over: segment.damages) {
        (scan) throws(LogError) in
        while let header = try scan.peek() {
          if header.hasProducerId, header.isControl {
            if let marker = try EndTransactionMarker(in: file, header, at: scan.position),
              let start = starts.removeValue(forKey: header.producerId), !marker.isCommit
            {
              entries.append(
                AbortedTransactionEntry(
                  producerId: header.producerId, firstOffset: start, lastOffset: header.lastOffset,
                  lastStableOffset: starts.values.min() ?? header.nextOffset))
            }
          } else if header.hasProducerId, header.isTransactional, starts[header.producerId] == nil {
            starts[header.producerId] = header.baseOffset
          }
          scan.skip(header)
        }
      }
    } catch {
      // Damage is reported by whoever reads the batches.
      guard case .corrupt = error else { throw error }
    }
    return entries
  }
}

extension LogView {
  /// The aborted transactions that a `read_committed` reader of the offsets from `first` up to `end` has to leave out;
  /// `first` lies in the segment at `index`. The markers may be segments behind the records.
  func abortedTransactions(
    from first: Int64, before end: Int64, segment index: Int
  ) throws(LogError) -> [AbortedTransaction] {
    var found: [AbortedTransaction] = []
    var index = index
    while index < segments.count {
      let segment = segments[index]
      var isComplete = segment.transactionIndex.collect(from: first, before: end, into: &found)
      if isComplete == nil {
        try loadTransactionIndex(index)
        isComplete = segment.transactionIndex.collect(from: first, before: end, into: &found)
      }
      if isComplete ?? true { break }
      index += 1
    }
    return found
  }

  func loadTransactionIndex(_ index: Int) throws(LogError) {
    let segment = segments[index]
    let end = index + 1 < segments.count ? segments[index + 1].baseOffset : self.end.offset
    if let content = try segment.transactionIndex.read(), content.through == end {
      segment.transactionIndex.set(
        content.entries, stored: content.entries.count, lastStableOffset: content.lastStableOffset)
      return
    }
    var rebuild = TransactionIndexRebuild(segments)
    let content = try rebuild.run(index, end: end)
    segment.transactionIndex.set(content.entries, lastStableOffset: content.lastStableOffset)
    // Without room it stays in memory.
    try? segment.transactionIndex.store(through: end, lastStableOffset: content.lastStableOffset)
  }
}
