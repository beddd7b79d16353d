// What of a log can be compacted, and whether it is worth it: Kafka's rules (LogCleanerManager).

/// A compacted log as the cleaner sees it.
struct CleanableLog {
  let log: PartitionLog
  let view: LogView
  /// The first record that was not compacted yet.
  let firstDirtyOffset: Int64
  /// How many segments, from the first on, may be compacted.
  let segmentCount: Int
  /// Where they end.
  let endOffset: Int64
  let cleanBytes: Int64
  let dirtyBytes: Int64
  /// A record has waited for `max.compaction.lag.ms`.
  let isOverdue: Bool

  var dirtyRatio: Double { dirtyBytes > 0 ? Double(dirtyBytes) / Double(cleanBytes + dirtyBytes) : 0 }

  func end(of index: Int) -> Int64 { view.segments[index + 1].baseOffset }
}

extension PartitionLog {
  /// What can be compacted at `nowMs`; nil when there is nothing, or it is not worth it yet. Nothing at or above
  /// `limit`, or that is not durable, or whose transactions have not ended, or in the active segment.
  func cleanable(
    from checkpoint: Int64?, limit: Int64 = .max, nowMs: Int64
  ) throws(LogError) -> CleanableLog? {
    let config = self.config
    guard config.isCompacted, offlineError == nil, !isUncleanable.load(ordering: .relaxed) else { return nil }
    if !isOpen, !mayBeCleanable { return nil }
    let view = try currentView()
    guard view.segments.count > 1 else { return nil }
    var firstDirty = checkpoint ?? view.logStartOffset
    if firstDirty < view.logStartOffset || firstDirty > view.end.offset { firstDirty = view.logStartOffset }

    let end = min(limit, view.lastStable.offset, view.durableOffset)
    let (oldest, noOldest) = nowMs.subtractingReportingOverflow(config.minCompactionLagMs)
    let (overdue, noOverdue) = nowMs.subtractingReportingOverflow(config.maxCompactionLagMs)
    var count = 0
    var clean: Int64 = 0
    var dirty: Int64 = 0
    var isOverdue = false
    for index in 0..<(view.segments.count - 1) {
      let segment = view.segments[index]
      let next = view.segments[index + 1].baseOffset
      guard next <= end else { break }
      if next > firstDirty {
        if config.minCompactionLagMs > 0, !noOldest, try segment.largestTimestamp().timestamp > oldest { break }
        dirty += segment.size
        if config.maxCompactionLagMs < .max, !noOverdue, !isOverdue, segment.size > 0,
          let first = try segment.header(at: 0)?.maxTimestamp, first > 0, first < overdue
        {
          isOverdue = true
        }
      } else {
        clean += segment.size
      }
      count = index + 1
    }
    guard count > 0 else { return nil }
    let cleanable = CleanableLog(
      log: self, view: view, firstDirtyOffset: firstDirty, segmentCount: count,
      endOffset: view.segments[count].baseOffset, cleanBytes: clean, dirtyBytes: dirty, isOverdue: isOverdue)
    guard dirty > 0, isOverdue || cleanable.dirtyRatio > config.minCleanableDirtyRatio else { return nil }
    return cleanable
  }

  /// Of a log that nobody opened: whether it has more than its active segment.
  private var mayBeCleanable: Bool {
    closedFiles.withLock { files in
      if files == nil { files = ClosedFiles(directory, home.fileSystem) }
      return files.map { $0.segmentCount > 1 || $0.hasLeftOvers } ?? true
    }
  }
}
