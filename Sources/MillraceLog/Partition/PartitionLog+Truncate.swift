// Taking records away: from the front (DeleteRecords), and from the end.

extension PartitionLog {
  /// Records before `offset` are no more: they are not served, and segments that hold only such records go with the
  /// next round of retention. Returns the new start of the log. -1 stands for the high watermark.
  package func deleteRecords(before offset: Int64, nowMs: Int64) throws(LogError) -> Int64 {
    let start = try writer.withLock { (slot) throws(LogError) -> Int64 in
      let writer = try opened(&slot, nowMs: nowMs)
      if let error = offlineError { throw error }
      let highWatermark = view.withLock { $0?.highWatermark.offset ?? 0 }
      let start = offset == -1 ? highWatermark : offset
      guard start >= 0, start <= highWatermark else {
        throw .offsetOutOfRange(requested: offset, start: writer.logStartOffset, end: highWatermark)
      }
      guard start > writer.logStartOffset else { return writer.logStartOffset }
      writer.logStartOffset = start
      if writer.epochs.removeBefore(start) { writer.epochsChanged = true }
      view.withLock { $0?.logStartOffset = start }
      return start
    }
    home.noteChange(self, byteCount: 0)
    return start
  }

  /// Takes segments that end before the start of the log out of it, with the snapshots that only they need. Their files
  /// get another name at once and go later.
  func discardSegments(_ writer: LogWriter, config: LogConfig, nowMs: Int64) {
    // The active segment stays, whatever is in it.
    let kept = max(0, writer.segments.partitioningIndex { $0.baseOffset > writer.logStartOffset } - 1)
    let discarded = writer.segments[..<kept]
    writer.segments.removeFirst(kept)
    view.withLock { view in
      view?.logStartOffset = writer.logStartOffset
      view?.segments = writer.segments
      view?.closedSegments.removeAll { closed in discarded.contains { $0 === closed } }
      if !discarded.isEmpty { view?.directoryChanged = true }
    }
    let dueMs = DataDirectory.Removal.due(config.fileDeleteDelayMs, after: nowMs)
    for segment in discarded {
      segment.retire()
      do {
        try moveAway(segment, dueMs: dueMs)
      } catch {
        home.options.onError(.storage(error))
      }
    }
    let first = writer.segments[0].baseOffset
    writer.removeSnapshots { $0 < first && $0 != writer.snapshots.last }
  }

  /// Gives the files of a segment that is no longer the log's a name under which they go later.
  func moveAway(_ segment: Segment, dueMs: Int64) throws(StorageError) {
    for path in segment.slots.map(\.path) where try home.fileSystem.status(of: path) != nil {
      try home.fileSystem.rename(path, to: path + FileNames.deletedSuffix)
      home.remove(DataDirectory.Removal(path: path + FileNames.deletedSuffix, isDirectory: false, dueMs: dueMs))
    }
  }

  /// Takes away everything from `offset` on, and the rest of a batch that `offset` lies in. What is left is durable on
  /// return; who waited for more is told that it will not come.
  package func truncate(to offset: Int64, nowMs: Int64) throws(LogError) {
    let end: Int64
    do {
      end = try upkeep.withLock { (_) throws(LogError) in try truncateHeld(to: offset, nowMs: nowMs) }
    } catch {
      if isOffline.load(ordering: .acquiring) { fail(error) }
      throw error
    }
    home.noteChange(self, byteCount: 0)
    for callback in waiting.withLock({ $0.waiters.take(after: end) }) {
      callback(.failure(.offsetOutOfRange(requested: offset, start: end, end: end)))
    }
  }

  private func truncateHeld(to offset: Int64, nowMs: Int64) throws(LogError) -> Int64 {
    try writer.withLock { (slot) throws(LogError) -> Int64 in
      let writer = try opened(&slot, nowMs: nowMs)
      if let error = offlineError { throw error }
      guard offset < writer.endOffset else { return writer.endOffset }
      guard offset >= writer.logStartOffset else {
        throw .offsetOutOfRange(requested: offset, start: writer.logStartOffset, end: writer.endOffset)
      }
      isOffline.store(true, ordering: .releasing)
      let end = try writer.cut(at: offset, unsynchronized: view.withLock { $0?.closedSegments ?? [] })
      let logStart = writer.logStartOffset
      var loader = LogLoader(
        id: id, topicId: topicId, directory: directory, cache: home.cache, config: config,
        known: KnownOffsets(recoveryPoint: end, logStartOffset: logStart, isClean: true), nowMs: nowMs)
      let loaded = try loader.load()
      slot = loaded.writer
      view.withLock { view in
        let generation = view?.generation ?? 0
        view = loaded.view
        view?.generation = generation + 1
      }
      isOffline.store(false, ordering: .releasing)
      return end
    }
  }
}

extension LogWriter {
  /// Cuts the files so that the log ends before the batch that `offset` lies in, and returns where that is.
  func cut(at offset: Int64, unsynchronized: [Segment]) throws(LogError) -> Int64 {
    let index = max(0, segments.partitioningIndex { $0.baseOffset > offset } - 1)
    let segment = segments[index]
    let found = try segment.find(offset, limit: segment.size)
    do {
      for removed in segments[(index + 1)...].reversed() {
        removed.release()
        for kind in LogFileKind.allCases { try fileSystem.removeIfPresent(removed.path(kind)) }
      }
      // It may name markers that go now; the rest is read from the log.
      segment.transactionIndex.slot.release()
      try fileSystem.removeIfPresent(segment.path(.transactionIndex))
      if let found {
        segment.log.noteWrite()
        try segment.log.open().truncate(to: found.position)
      }
      removeSnapshots { $0 > offset }
      for kept in unsynchronized where kept.baseOffset < segment.baseOffset { try kept.log.synchronize() }
      if segment.size > 0 { try segment.log.synchronize() }
      try fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
    for segment in segments[...index] { segment.release() }
    return found?.header.baseOffset ?? offset
  }
}
