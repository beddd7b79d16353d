// Checkpoints: recording how far each log is durable, so that a crash costs reading only what came after.
//
// For each log that changed: its producers are written to a snapshot as of its end, it is flushed that far (a `commit`
// log nearly always is), and then the offset goes into the directory's recovery-point file. Everything before the file
// is a hint; the file is replaced as a whole.

extension LogStore {
  /// Records the recovery point of every log that changed. Flushes buffered logs.
  package func checkpoint(nowMs: Int64? = nil) {
    let nowMs = nowMs ?? Wallclock.nowMs
    state.withLock { $0.lastCheckpointMs = nowMs }
    for directory in directories {
      do {
        try checkpointGate.withLock { (_) throws(StorageError) in
          try checkpoint(directory, directory.takeChanged(), nowMs: nowMs)
        }
      } catch {
        options.onError(.storage(error))
      }
    }
  }

  private func checkpoint(
    _ directory: DataDirectory, _ logs: [PartitionLog], nowMs: Int64
  ) throws(StorageError) {
    guard !logs.isEmpty else { return }
    var marked: [(log: PartitionLog, offset: Int64)] = []
    for log in logs {
      if let offset = log.prepareCheckpoint() { marked.append((log, offset)) }
    }
    directory.commit.commit(marked.map(\.log))
    directory.recorded.withLock { recorded in
      // Of a log that takes no more writes the record stays: it may be what says that deleted segments are deleted.
      for (log, offset) in marked where !log.isOffline.load(ordering: .acquiring) {
        log.record(upTo: offset, in: &recorded)
      }
    }
    try storeCheckpoints(of: directory)
  }

  /// Replaces the directory's checkpoint files with what is recorded.
  func storeCheckpoints(of directory: DataDirectory) throws(StorageError) {
    try directory.filesGate.withLock { (_) throws(StorageError) in
      let recorded = directory.recorded.withLock { $0 }
      // First, since a recovery point above the high watermark is not believed.
      try directory.store(recorded.highWatermarks, as: .highWatermark)
      try directory.store(recorded.recoveryPoints, as: .recoveryPoint)
      try directory.store(recorded.logStarts, as: .logStart)
    }
  }
}

extension LogStore {
  /// Replaces the file that says where compaction goes on.
  func storeCleaned(of directory: DataDirectory) throws(StorageError) {
    try directory.filesGate.withLock { (_) throws(StorageError) in
      try directory.store(directory.recorded.withLock { $0.cleaned }, as: .cleaner)
    }
  }
}

extension PartitionLog {
  /// Writes what a recovery from the end of the log needs. Returns that end; nil for a log that is not open.
  func prepareCheckpoint() -> Int64? {
    writer.withLock { writer -> Int64? in
      guard let writer else { return nil }
      do throws(StorageError) {
        try writer.storeEpochs()
      } catch {
        home.options.onError(.storage(error))
        return nil
      }
      try? writer.active.index.flush()
      try? writer.active.timeIndex.flush()
      writer.storeTransactionIndex()
      writer.takeCheckpointSnapshot()
      return writer.endOffset
    }
  }

  /// Notes the offsets of this log, of which everything before `offset` is meant to be durable.
  func record(upTo offset: Int64, in recorded: inout RecordedOffsets) {
    guard let view = view.withLock({ $0 }) else { return }
    recorded.recoveryPoints[id] = min(offset, view.durableOffset)
    recorded.logStarts[id] = view.logStartOffset > view.segments[0].baseOffset ? view.logStartOffset : nil
    recorded.highWatermarks[id] = view.highWatermark.offset
  }
}

extension LogWriter {
  /// A snapshot at the end of the log. The one that the checkpoint before last made goes; those at the starts of
  /// segments stay.
  func takeCheckpointSnapshot() {
    let before = checkpointSnapshot
    takeSnapshot()
    guard snapshots.last == endOffset, before != endOffset else { return }
    checkpointSnapshot = endOffset
    removeSnapshots { offset in
      offset < before ?? endOffset && !segments.contains { $0.baseOffset == offset }
    }
  }
}
