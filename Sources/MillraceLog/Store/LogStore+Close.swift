// A clean stop: every open log is flushed, its indexes and producers are written, the checkpoints say where each log
// ends, and the marker says that they do.

import Synchronization

extension LogStore {
  /// Stops the store. Logs take no more appends; who still waits for durability is answered first.
  package func close(nowMs: Int64) {
    let (wasClosing, logs, ended) = state.withLock { state in
      defer { state.isClosing = true }
      return (state.isClosing, Array(state.logs.values), state.maintenanceEnded)
    }
    guard !wasClosing else { return }
    wakeUp.signal()
    ended?.wait()
    for directory in directories {
      directory.commit.stop()
      close(directory, logs.filter { $0.home === directory })
      directory.unlock()
    }
  }

  private func close(_ directory: DataDirectory, _ logs: [PartitionLog]) {
    _ = directory.takeChanged()
    let open = logs.filter(\.isOpen)
    for log in open { log.closeWriter() }
    directory.commit.commit(open)
    // A log that failed may end anywhere: without the marker it is read on the next start.
    let isClean = logs.allSatisfy { $0.isClosedCleanly }
    directory.recorded.withLock { recorded in
      for log in open where !log.isOffline.load(ordering: .acquiring) { log.record(upTo: .max, in: &recorded) }
    }
    for log in logs { log.endUse(.closed) }
    do {
      try storeCheckpoints(of: directory)
      guard isClean else { return }
      try fileSystem.replaceFile(
        at: "\(directory.path)/\(Self.cleanMarkerName)", in: directory.path, with: Self.cleanMarker)
    } catch {
      options.onError(.storage(error))
    }
  }
}

extension PartitionLog {
  /// No appends from here on; what the end of the log needs goes into its files.
  func closeWriter() {
    writer.withLock { slot in
      guard let writer = slot, !isOffline.load(ordering: .acquiring) else { return }
      try? writer.storeEpochs()
      try? writer.builder.finish()
      writer.storeTransactionIndex()
      writer.takeCheckpointSnapshot()
      isClosing.store(true, ordering: .releasing)
    }
  }

  /// Whether all of the log is durable.
  var isClosedCleanly: Bool {
    guard !isOffline.load(ordering: .acquiring) else { return false }
    return view.withLock { $0.map { $0.durableOffset >= $0.end.offset } ?? true }
  }

  /// Lets go of the files. Every later use throws `error`.
  func endUse(_ error: LogError) {
    fail(error)
    writer.withLock { slot in
      let segments = view.withLock { view -> [Segment] in
        defer { view = nil }
        return view?.segments ?? []
      }
      for segment in segments { segment.release() }
      slot = nil
    }
  }
}

extension LogStore {
  /// Stops as a crash does: threads end, nothing is written, files are closed and the lock is free. For tests.
  package func abandon() {
    let ended = state.withLock { state in
      state.isClosing = true
      return state.maintenanceEnded
    }
    wakeUp.signal()
    ended?.wait()
    for log in state.withLock({ Array($0.logs.values) }) { log.endUse(.closed) }
    for directory in directories {
      directory.commit.stop()
      directory.unlock()
    }
  }
}
