// The one writer of a partition: what only the holder of the partition's lock may touch. It decides whether and where a
// batch goes, writes it, and keeps what belongs to the end of the log: the active segment's indexes, producers, epochs.
// What readers see is published by PartitionLog after each step. It is
// Sendable only so that the lock may pass it from one thread to the next.

import MillraceRecords

final class LogWriter: @unchecked Sendable {
  let directory: PartitionDirectory
  let cache: OpenFileCache
  var segments: [Segment]
  var builder: IndexBuilder
  var endOffset: Int64
  var logStartOffset: Int64
  var producers: ProducerTable
  var epochs: LeaderEpochs
  /// Whether the epochs' file is behind.
  var epochsChanged: Bool
  /// Offsets of the producer snapshots on disk, rising.
  var snapshots: [Int64]
  /// A snapshot that a checkpoint made and the next one replaces.
  var checkpointSnapshot: Int64?
  /// The timestamp that time-based rolling counts from; nil while the active segment is empty or was not asked.
  var firstTimestamp: Int64?
  var activeSinceMs: Int64
  var rollJitterMs: Int64 = 0

  init(
    directory: PartitionDirectory, cache: OpenFileCache, segments: [Segment], builder: IndexBuilder, endOffset: Int64,
    logStartOffset: Int64, producers: ProducerTable, epochs: LeaderEpochs, epochsChanged: Bool, snapshots: [Int64],
    nowMs: Int64
  ) {
    self.directory = directory
    self.cache = cache
    self.segments = segments
    self.builder = builder
    self.endOffset = endOffset
    self.logStartOffset = logStartOffset
    self.producers = producers
    self.epochs = epochs
    self.epochsChanged = epochsChanged
    self.snapshots = snapshots
    activeSinceMs = nowMs
  }

  var fileSystem: any FileSystem { cache.fileSystem }
  var active: Segment { builder.segment }

  var end: LogPosition {
    LogPosition(offset: endOffset, segment: active.baseOffset, position: active.size)
  }

  // MARK: Appending

  /// A batch that was written.
  struct Appended {
    var header: BatchHeader
    var start: LogPosition
    var didRoll: Bool
    var beganTransaction: Bool
    var isFirstOfSegment: Bool
  }

  /// Where and with what time the batch is appended. `header` is the one the batch came with.
  func append(
    _ batch: UnsafeRawBufferPointer, _ header: BatchHeader, leaderEpoch: Int32, nowMs: Int64, config: LogConfig
  ) throws(LogError) -> Appended {
    let (lastOffset, overflow) = endOffset.addingReportingOverflow(Int64(header.lastOffsetDelta))
    guard header.lastOffsetDelta >= 0, !overflow, lastOffset < Int64.max else { throw .invalidBatch }
    guard batch.count <= Int(config.segmentBytes) else {
      throw .recordTooLarge(byteCount: batch.count, limit: Int(config.segmentBytes))
    }
    let appendTime = config.timestampType == .logAppendTime && !header.isControl ? nowMs : nil
    let didRoll = try rollIfDue(
      byteCount: batch.count, lastOffset: lastOffset, maxTimestamp: appendTime ?? header.maxTimestamp, nowMs: nowMs,
      config: config)
    let start = end
    let stamped = try write(batch, leaderEpoch: leaderEpoch, appendTime: appendTime, at: start.position)

    active.setSize(start.position + Int64(batch.count))
    builder.add(stamped, at: start.position)
    if firstTimestamp == nil, start.position == 0 { firstTimestamp = stamped.maxTimestamp }
    if epochs.assign(leaderEpoch, at: stamped.baseOffset) { epochsChanged = true }
    endOffset = lastOffset + 1
    return Appended(
      header: stamped, start: start, didRoll: didRoll, beganTransaction: producers.add(stamped, nowMs: nowMs),
      isFirstOfSegment: start.position == 0)
  }

  /// Writes the stamped header and the rest of the batch, or nothing.
  private func write(
    _ batch: UnsafeRawBufferPointer, leaderEpoch: Int32, appendTime: Int64?, at position: Int64
  ) throws(LogError) -> BatchHeader {
    let segment = active
    let file: SegmentFile
    do {
      file = try segment.log.open(position == 0 ? .create : .readWrite)
    } catch { throw .storage(error) }
    do {
      return try withUnsafeTemporaryAllocation(
        byteCount: BatchHeader.byteCount, alignment: 8
      ) { (head) throws(StorageError) in
        let stamped = BatchHeader.stamp(
          batch, into: head, baseOffset: endOffset, partitionLeaderEpoch: leaderEpoch, logAppendTime: appendTime)
        segment.log.noteWrite()
        try file.write(
          UnsafeRawBufferPointer(head),
          UnsafeRawBufferPointer(rebasing: batch[BatchHeader.byteCount...]), at: position)
        segment.log.noteWrite()
        return stamped
      }
    } catch {
      // A part may be in the file. Without room that part goes away again and the log stays whole; any other failure,
      // or this one's, ends the writing.
      guard error.isOutOfSpace else { throw .storage(error) }
      do {
        try file.truncate(to: position)
      } catch { throw .storage(error) }
      throw .storage(error)
    }
  }

  // MARK: Rolling

  private func rollIfDue(
    byteCount: Int, lastOffset: Int64, maxTimestamp: Int64, nowMs: Int64, config: LogConfig
  ) throws(LogError) -> Bool {
    let size = active.size
    guard size > 0 else {
      // An empty segment that cannot hold the offset only comes from a log start that was set by hand.
      return false
    }
    var isDue = size + Int64(byteCount) > Int64(config.segmentBytes) || active.relative(lastOffset) == nil
    if !isDue { isDue = try indexesAreFull(config) }
    if !isDue { isDue = try hasWaited(config.rollAfterMs, maxTimestamp: maxTimestamp, nowMs: nowMs) }
    if isDue { roll(nowMs: nowMs, config: config) }
    return isDue
  }

  private func indexesAreFull(_ config: LogConfig) throws(LogError) -> Bool {
    if try active.index.count() >= Int(config.segmentIndexBytes) / OffsetIndexEntry.byteCount { return true }
    let mostAborts = max(1, Int(config.segmentIndexBytes) / AbortedTransactionEntry.byteCount)
    if active.transactionIndex.count >= mostAborts {
      return true
    }
    // One entry is kept for closing the segment.
    return try active.timeIndex.count() >= Int(config.segmentIndexBytes) / TimeIndexEntry.byteCount - 1
  }

  /// Whether the active segment is older than `segment.ms`: by the timestamps of its first batch and the one to come,
  /// or by the clock when the first has none.
  private func hasWaited(_ segmentMs: Int64, maxTimestamp: Int64, nowMs: Int64) throws(LogError) -> Bool {
    if firstTimestamp == nil { firstTimestamp = try active.header(at: 0)?.maxTimestamp ?? -1 }
    let first = firstTimestamp ?? -1
    let (waited, overflow) =
      first >= 0
      ? maxTimestamp.subtractingReportingOverflow(first) : nowMs.subtractingReportingOverflow(activeSinceMs)
    return !overflow && waited > segmentMs - rollJitterMs
  }

  /// Closes the active segment and begins the next one at the log's end. The new segment's file is made by its first
  /// write. Nothing here can fail: what is written are hints, and an index that found no room stays in memory.
  func roll(nowMs: Int64, config: LogConfig) {
    try? builder.finish()
    active.transactionIndex.close(lastStableOffset: lastStableOffset)
    storeTransactionIndex()
    active.setActive(false)
    let next = Segment(
      baseOffset: endOffset, directory: directory, byteCount: 0, isNew: true,
      indexIntervalBytes: config.indexIntervalBytes, cache: cache)
    segments.append(next)
    builder = IndexBuilder(segment: next)
    firstTimestamp = nil
    activeSinceMs = nowMs
    rollJitterMs = config.randomJitterMs()
    takeSnapshot()
  }

  // MARK: Snapshots

  /// Where the earliest open transaction began, or the end of the log.
  private var lastStableOffset: Int64 {
    producers.producers.values.lazy.compactMap(\.transactionStart).min() ?? endOffset
  }

  /// Writes the active segment's aborted transactions. A hint like the snapshot, which it belongs to: without it they
  /// are read from the log.
  func storeTransactionIndex() {
    // A segment without batches has no files.
    guard active.size > 0 else { return }
    try? active.transactionIndex.store(through: endOffset, lastStableOffset: lastStableOffset)
  }

  /// Writes the producers as of the log's end, unless there is such a snapshot. Whole, but not durable: a snapshot that
  /// a crash takes away costs a longer replay.
  func takeSnapshot() {
    guard snapshots.last != endOffset else { return }
    let path = directory.path(endOffset, .snapshot)
    do {
      try fileSystem.replaceFile(
        at: path, in: directory.path, with: ProducerSnapshot.encode(producers.producers), isDurable: false)
      snapshots.append(endOffset)
    } catch {
      try? fileSystem.removeIfPresent(path + FileNames.temporarySuffix)
    }
  }

  /// Makes the snapshot at the start of the first segment that stays durable. Of producers whose batches are all in
  /// segments that go, nothing else would tell after a power cut.
  func preserveProducers() throws(LogError) {
    guard let first = segments.last(where: { $0.baseOffset <= logStartOffset })?.baseOffset,
      first > segments[0].baseOffset, snapshots.contains(first)
    else { return }
    do {
      let file = try fileSystem.open(directory.path(first, .snapshot), .readWrite)
      defer { fileSystem.close(file) }
      try fileSystem.synchronize(file)
      try fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
  }

  func removeSnapshots(where isSuperfluous: (Int64) -> Bool) {
    let all = snapshots
    for offset in all where isSuperfluous(offset) {
      try? fileSystem.removeIfPresent(directory.path(offset, .snapshot))
    }
    snapshots = all.filter { !isSuperfluous($0) }
  }

  /// Writes the leader epochs if they changed; durable on return.
  func storeEpochs() throws(StorageError) {
    guard epochsChanged else { return }
    try fileSystem.replaceFile(
      at: directory.path(FileNames.leaderEpochs), in: directory.path, with: epochs.fileContent)
    epochsChanged = false
  }
}
