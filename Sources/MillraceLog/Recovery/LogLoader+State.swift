// What belongs to the end of a log besides its bytes: leader epochs, producers, open transactions. Each has a file that
// is believed when it is whole, and is read from the log where it is not.

import MillraceRecords

extension LogLoader {
  /// The leader epochs, and whether their file is behind.
  mutating func loadEpochs(logStart: Int64) throws(LogError) -> (LeaderEpochs, Bool) {
    let path = directory.path(FileNames.leaderEpochs)
    let content: [UInt8]?
    do { content = try fileSystem.contents(of: path) } catch { throw .storage(error) }
    var hasChanged = false
    var epochs: LeaderEpochs
    let stored = content.flatMap { LeaderEpochs(fileContent: $0) }
    // A start that was not recorded before a crash may lie before the first epoch that was.
    if let stored, stored.epoch(of: logStart) != nil || stored.entries.isEmpty || logStart == endOffset {
      epochs = stored
    } else {
      epochs = LeaderEpochs()
      if content != nil, stored == nil { report.findings.append(.leaderEpochsUnusable(path: path)) }
      for (index, segment) in segments.enumerated() where segment.baseOffset < trustedOffset {
        hasChanged = try addEpochs(of: segment, before: segments.dropFirst(index + 1).first, to: &epochs) || hasChanged
      }
    }
    // Past what was trusted the file may speak of bytes that are others by now.
    hasChanged = epochs.truncate(to: min(trustedOffset, endOffset)) || hasChanged
    hasChanged = epochs.removeBefore(logStart) || hasChanged
    for segment in segments where following(segment) > trustedOffset {
      hasChanged = try addEpochs(of: segment, from: trustedOffset, to: &epochs) || hasChanged
    }
    return (epochs, hasChanged)
  }

  /// Adds the epochs of the segment's batches. Epochs rise: where the first batch has the same one as the first of the
  /// next segment, those between have it too.
  private func addEpochs(
    of segment: Segment, from offset: Int64 = 0, before next: Segment? = nil, to epochs: inout LeaderEpochs
  ) throws(LogError) -> Bool {
    if let next, let first = try segment.header(at: 0), let after = try next.header(at: 0),
      first.partitionLeaderEpoch == after.partitionLeaderEpoch
    {
      return epochs.assign(first.partitionLeaderEpoch, at: first.baseOffset)
    }
    var hasChanged = false
    try forEachHeader(of: segment, from: offset) { header, _ in
      if epochs.assign(header.partitionLeaderEpoch, at: header.baseOffset) { hasChanged = true }
    }
    return hasChanged
  }

  /// The producers at the end of the log: from the newest snapshot of what is trusted, and the batches after it.
  mutating func loadProducers(logStart: Int64) throws(LogError) -> (ProducerTable, UnstableTransactions) {
    let beyond = snapshots.filter { $0 > endOffset }
    snapshots.removeLast(beyond.count)
    var table = ProducerTable()
    var transactions = UnstableTransactions()
    var replayFrom = segments[0].baseOffset
    for offset in snapshots.reversed() where offset <= trustedOffset {
      let path = directory.path(offset, .snapshot)
      let content: [UInt8]?
      do { content = try fileSystem.contents(of: path) } catch { throw .storage(error) }
      if let producers = content.flatMap(ProducerSnapshot.decode) {
        table = ProducerTable(producers, nowMs: nowMs)
        replayFrom = offset
        break
      }
      report.findings.append(.snapshotUnusable(path: path))
      remove(.snapshot, offset)
      snapshots.removeAll { $0 == offset }
    }
    // Snapshots past what was trusted describe bytes that may be others by now.
    let untrusted = snapshots.filter { $0 > max(trustedOffset, replayFrom) }
    snapshots.removeLast(untrusted.count)
    // Nor may they come back with a power cut, when the log has grown past them.
    try removeDurably(untrusted + beyond)

    for (id, state) in table.producers {
      if let start = state.transactionStart, let position = try position(of: start) {
        transactions.begin(id, at: position)
      }
    }
    try loadTransactionIndexes(replayFrom: replayFrom)
    for (index, segment) in segments.enumerated() where index + 1 == segments.count || following(segment) > replayFrom {
      try replay(segment, from: replayFrom, into: &table, &transactions)
      guard index + 1 < segments.count else { continue }
      let end = segments[index + 1].baseOffset
      let lastStableOffset = transactions.open.first?.start.offset ?? end
      segment.transactionIndex.close(lastStableOffset: lastStableOffset)
      // Without room it stays in memory.
      try? segment.transactionIndex.store(through: end, lastStableOffset: lastStableOffset)
    }
    transactions.highWatermarkRose(to: endOffset)
    return (table, transactions)
  }

  private func replay(
    _ segment: Segment, from offset: Int64, into table: inout ProducerTable, _ transactions: inout UnstableTransactions
  ) throws(LogError) {
    try forEachHeader(of: segment, from: offset) { (header, position) throws(LogError) in
      guard header.hasProducerId else { return }
      if header.isControl {
        guard let marker = try EndTransactionMarker(in: try segment.file(), header, at: position) else { return }
        if table.add(marker, header, nowMs: nowMs) { transactions.end(marker, header, in: segment) }
      } else if table.add(header, nowMs: nowMs) {
        let start = LogPosition(offset: header.baseOffset, segment: segment.baseOffset, position: position)
        transactions.begin(header.producerId, at: start)
      }
    }
  }

  /// Gets the transaction indexes ready to take the aborts from `replayFrom` on. Those of earlier segments are read when
  /// somebody asks for them.
  private func loadTransactionIndexes(replayFrom: Int64) throws(LogError) {
    for (index, segment) in segments.enumerated() where index + 1 == segments.count || following(segment) > replayFrom {
      guard segment.baseOffset < replayFrom else {
        segment.transactionIndex.set([])
        continue
      }
      let stored = try segment.transactionIndex.read()
      if let stored, stored.through >= replayFrom, stored.through <= endOffset {
        let kept = stored.entries.partitioningIndex { $0.lastOffset >= replayFrom }
        segment.transactionIndex.set(Array(stored.entries[..<kept]), stored: kept)
        continue
      }
      // It would seem true again when the log has grown past what it says.
      if let stored, stored.through > endOffset { try removeTransactionIndex(of: segment) }
      var rebuild = TransactionIndexRebuild(segments)
      let entries = try rebuild.run(index, end: replayFrom).entries.filter { $0.lastOffset < replayFrom }
      segment.transactionIndex.set(entries)
    }
  }

  private func removeTransactionIndex(of segment: Segment) throws(LogError) {
    do {
      try fileSystem.removeIfPresent(segment.path(.transactionIndex))
      try fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
  }

  private func position(of offset: Int64) throws(LogError) -> LogPosition? {
    let index = segments.partitioningIndex { $0.baseOffset > offset } - 1
    // Retention may have taken the first records of a transaction; its last ones are as open as they were.
    guard index >= 0 else { return LogPosition(offset: offset, segment: segments[0].baseOffset, position: 0) }
    let segment = segments[index]
    do throws(LogError) {
      guard let found = try segment.find(offset, limit: segment.size) else { return nil }
      return LogPosition(offset: offset, segment: segment.baseOffset, position: found.position)
    } catch .corrupt(let path, let position) where path == segment.log.path {
      // All batches before the damage end before the offset.
      return LogPosition(offset: offset, segment: segment.baseOffset, position: position)
    }
  }

  /// Calls `body` with the headers from the batch on that holds `offset`, as far as they can be read.
  private func forEachHeader(
    of segment: Segment, from offset: Int64, _ body: (BatchHeader, Int64) throws(LogError) -> Void
  ) throws(LogError) {
    let size = segment.size
    guard size > 0, following(segment) > offset else { return }
    do {
      guard let start = try segment.find(offset, limit: size)?.position else { return }
      try HeaderScan.run(
        try segment.file(), from: start, to: size, blockSize: 64 << 10, over: segment.damages
      ) { (scan) throws(LogError) in
        while let header = try scan.peek() {
          try body(header, scan.position)
          scan.skip(header)
        }
      }
    } catch {
      // Damage was reported by whoever found it; the state is that of what can be read.
      guard case .corrupt = error else { throw error }
    }
  }

  /// The offset that the segment's batches are before.
  private func following(_ segment: Segment) -> Int64 {
    let index = segments.partitioningIndex { $0.baseOffset > segment.baseOffset }
    return index < segments.count ? segments[index].baseOffset : endOffset
  }

  private func removeDurably(_ snapshots: [Int64]) throws(LogError) {
    guard !snapshots.isEmpty else { return }
    do {
      for offset in snapshots { try fileSystem.removeIfPresent(directory.path(offset, .snapshot)) }
      try fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
  }

  private mutating func remove(_ kind: LogFileKind, _ offset: Int64) {
    do {
      try fileSystem.removeIfPresent(directory.path(offset, kind))
    } catch {
      report.findings.append(.storage(error))
    }
  }
}
