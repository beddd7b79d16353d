// One pass over one log: read the keys of what is dirty into the map, as many as it holds, then write every segment up to
// there anew without the records that the map knows a later one for. Small neighbours become one segment.

import MillraceRecords

struct CompactionPass {
  /// What a pass works with.
  struct Limits: Sendable {
    /// `log.cleaner.dedupe.buffer.size`, this thread's part.
    var mapBytes = 128 << 20
    /// `log.cleaner.io.buffer.load.factor`
    var loadFactor = 0.9
    /// `log.cleaner.io.buffer.size`
    var ioBytes = 512 << 10
  }

  struct Outcome: Sendable {
    /// Where the next pass begins.
    var firstDirtyOffset: Int64
    var bytesBefore: Int64 = 0
    var bytesAfter: Int64 = 0
  }

  enum Failure: Error {
    /// The pass was told to stop, or the log changed under it. What was replaced stays replaced.
    case abandoned
    case log(LogError)
  }

  /// Fewer slots than this are not worth saving, and hold any batch of ordinary size.
  private static let fewestSlots = 4096
  private static let smallestBuffer = 4096

  let cleanable: CleanableLog
  let limits: Limits
  let nowMs: Int64
  /// Waits as long as the disk is to be spared after this many bytes.
  let didTransfer: (Int) -> Void
  let isStopping: () -> Bool

  private var log: PartitionLog { cleanable.log }
  private var view: LogView { cleanable.view }

  func run() throws(Failure) -> Outcome {
    do throws(LogError) {
      let map = try buildMap()
      let end = map.latestOffset + 1
      var outcome = Outcome(firstDirtyOffset: end)
      var filter = BatchFilter(
        map: map, nowMs: nowMs, deleteRetentionMs: max(0, log.config.deleteRetentionMs), producers: lastOfProducers(),
        transactions: try transactions(from: view.segments[0].baseOffset, before: end))
      for group in groups(before: end) { try compact(group, &filter, &outcome) }
      return outcome
    } catch .closed {
      throw .abandoned
    } catch {
      throw .log(error)
    }
  }

  private func checkStop() throws(LogError) {
    if isStopping() || log.offlineError != nil { throw .closed }
  }

  private func reader(_ segment: Segment) -> BatchReader {
    BatchReader(segment: segment, bufferSize: max(limits.ioBytes, Self.smallestBuffer)) { (count) throws(LogError) in
      try checkStop()
      didTransfer(count)
    }
  }

  // MARK: The map

  private func buildMap() throws(LogError) -> OffsetMap {
    let range = cleanable.endOffset - cleanable.firstDirtyOffset
    let budget = max(Self.fewestSlots, limits.mapBytes / OffsetMap.slotByteCount)
    // No more than one key an offset.
    let needed = Double(range) / min(max(limits.loadFactor, 0.01), 1) + 2
    var slots = needed < Double(budget) ? max(Self.fewestSlots, Int(needed)) : budget
    while true {
      let map = OffsetMap(slotCount: slots, loadFactor: limits.loadFactor)
      try fill(map)
      if map.latestOffset >= cleanable.firstDirtyOffset { return map }
      // The first batch alone has more keys than the map: without it the log would never be compacted again.
      slots *= 2
    }
  }

  /// Reads keys until the end of what can be compacted, or until the map is full; then it has all of the batches before
  /// `latestOffset`.
  private func fill(_ map: OffsetMap) throws(LogError) {
    let start = cleanable.firstDirtyOffset
    map.latestOffset = start - 1
    var transactions = try transactions(from: start, before: cleanable.endOffset)
    let first = max(0, view.segmentIndex(for: start))
    for index in first..<max(first, cleanable.segmentCount) {
      let segment = view.segments[index]
      let position = segment.size > 0 ? try segment.find(start, limit: segment.size)?.position : nil
      var isFull = false
      if let position {
        try reader(segment).forEach(from: position) { (batch, at) throws(LogError) in
          let header = batch.header
          if header.isControl {
            _ = transactions.isNeedless(header, EndTransactionMarker(batch.bytes))
          } else if !transactions.isAborted(header) {
            do {
              try batch.forEachRecord { record in
                guard !isFull, record.offset >= start, let key = record.key else { return }
                if map.isFull, map.offset(of: key) == nil { isFull = true } else { map.put(key, record.offset) }
              }
            } catch { throw .corrupt(path: segment.path(.log), position: at) }
          }
          guard !isFull else { return false }
          map.latestOffset = max(map.latestOffset, header.lastOffset)
          return true
        }
      }
      if isFull { return }
      map.latestOffset = cleanable.end(of: index) - 1
    }
  }

  /// The aborted transactions that have records from `start` up to `end`.
  private func transactions(from start: Int64, before end: Int64) throws(LogError) -> CleanedTransactions {
    var entries: [AbortedTransactionEntry] = []
    for index in max(0, view.segmentIndex(for: start))..<view.segments.count {
      let segment = view.segments[index]
      if !segment.transactionIndex.isKnown { try view.loadTransactionIndex(index) }
      entries += (segment.transactionIndex.entries(from: start) ?? []).filter { $0.firstOffset < end }
      if let stable = segment.transactionIndex.lastStableOffset, stable >= end { break }
    }
    return CleanedTransactions(entries)
  }

  private func lastOfProducers() -> [Int64: BatchFilter.LastOfProducer] {
    log.writer.withLock { writer in
      guard let writer else { return [:] }
      return writer.producers.producers.mapValues {
        BatchFilter.LastOfProducer(dataOffset: $0.last?.lastOffset, epoch: $0.epoch)
      }
    }
  }

  // MARK: The segments

  /// Neighbours that fit into one segment, with their index entries and offsets.
  private func groups(before end: Int64) -> [Range<Int>] {
    let config = log.config
    func entries(_ index: Int) -> Int64 {
      let segment = view.segments[index]
      let offsets = (try? segment.index.count()) ?? 0
      let times = (try? segment.timeIndex.count()) ?? 0
      return Int64(max(offsets * OffsetIndexEntry.byteCount, times * TimeIndexEntry.byteCount))
    }
    var groups: [Range<Int>] = []
    var first = 0
    var bytes: Int64 = 0
    var indexBytes: Int64 = 0
    for index in 0..<cleanable.segmentCount where view.segments[index].baseOffset < end {
      let size = view.segments[index].size
      let fits =
        bytes + size <= Int64(config.segmentBytes) && indexBytes + entries(index) <= Int64(config.segmentIndexBytes)
        && cleanable.end(of: index) - 1 - view.segments[first].baseOffset <= Int64(Int32.max)
      if index > first, !fits {
        groups.append(first..<index)
        first = index
        bytes = 0
        indexBytes = 0
      }
      bytes += size
      indexBytes += entries(index)
      if index + 1 == cleanable.segmentCount || view.segments[index + 1].baseOffset >= end {
        groups.append(first..<(index + 1))
      }
    }
    return groups
  }

  private func compact(
    _ group: Range<Int>, _ filter: inout BatchFilter, _ outcome: inout Outcome
  ) throws(LogError) {
    let old = Array(view.segments[group])
    let writer = try CleanedSegmentWriter(replacing: old, in: log, bufferSize: limits.ioBytes, didWrite: didTransfer)
    var isSwapped = false
    defer { if !isSwapped { writer.remove() } }
    let lastWithBatches = old.lastIndex { $0.size > 0 }
    var isChanged = old.count > 1
    for (index, segment) in old.enumerated() {
      try reader(segment).forEach(from: 0) { (batch, position) throws(LogError) in
        let isLast = index == lastWithBatches && position + Int64(batch.header.sizeInBytes) == segment.size
        let result: BatchFilter.Outcome
        do {
          result = try filter.filter(batch, isLast: isLast)
        } catch { throw .corrupt(path: segment.path(.log), position: position) }
        switch result {
        case .keep: try writer.append(batch.bytes, batch.header)
        case .drop: isChanged = true
        case .replace(let bytes):
          isChanged = true
          try bytes.withBytes { (bytes) throws(LogError) in
            guard let header = try? BatchHeader(parsing: bytes) else { throw .invalidBatch }
            try writer.append(bytes, header)
          }
        }
        return true
      }
    }
    outcome.bytesBefore += old.reduce(0) { $0 + $1.size }
    let kept = filter.transactions.takeKept()
    let entryCount = old.reduce(0) { $0 + $1.transactionIndex.count }
    guard isChanged || kept.count != entryCount else {
      outcome.bytesAfter += old.reduce(0) { $0 + $1.size }
      return
    }
    let end = cleanable.end(of: group.upperBound - 1)
    let new = try writer.finish(
      aborted: kept, through: end, lastStableOffset: old.last?.transactionIndex.lastStableOffset ?? old[0].baseOffset)
    outcome.bytesAfter += new.size
    try checkStop()
    isSwapped = try log.swap(old, for: new, end: end, nowMs: nowMs)
    guard isSwapped else { throw .closed }
  }
}
