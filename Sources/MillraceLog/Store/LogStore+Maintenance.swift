// What a store does without being asked: checkpoints, `flush.ms`, removing what was deleted. One thread; `maintain` is one
// round of it. What needs a wall clock that can be trusted (retention, forgetting idle producers) the owner asks for.

extension LogStore {
  /// The longest the thread sleeps: `flush.ms` and removals are that exact.
  private static let longestSleep = Duration.milliseconds(500)

  func start() {
    for directory in directories { directory.commit.start() }
    let ended = WakeUp()
    state.withLock { $0.maintenanceEnded = ended }
    BackgroundThread.start(name: "log-maintenance") { [self] in
      while !state.withLock({ $0.isClosing }) {
        maintain(nowMs: Wallclock.nowMs)
        wakeUp.wait(until: .now + Self.longestSleep)
      }
      ended.signal()
    }
  }

  /// Does what is due at `nowMs`.
  package func maintain(nowMs: Int64) {
    let lastCheckpointMs = state.withLock { $0.lastCheckpointMs }
    let isDueByTime = nowMs < lastCheckpointMs || nowMs - lastCheckpointMs >= options.checkpointIntervalMs
    if isDueByTime || directories.contains(where: \.isCheckpointDueByBytes) { checkpoint(nowMs: nowMs) }
    for directory in directories {
      for log in directory.changedLogs() { log.flushIfDue(nowMs: nowMs) }
    }
    removeDue(nowMs: nowMs)
  }

  /// Forgets producers that were idle for `producer.id.expiration.ms`. `nowMs` must be a time that can be trusted.
  package func forgetIdleProducers(nowMs: Int64) {
    for log in state.withLock({ Array($0.logs.values) }) { log.forgetIdleProducers(nowMs: nowMs) }
  }

  /// Flushes what waits for a commit, on the calling thread. For a store without threads.
  package func commit() {
    for directory in directories { directory.commit.commitQueued() }
  }

  private func removeDue(nowMs: Int64) {
    for removal in directories.flatMap({ $0.takeRemovals(dueAt: nowMs) }) {
      do {
        try removal.isDirectory ? removeTree(removal.path) : fileSystem.removeIfPresent(removal.path)
      } catch {
        options.onError(.storage(error))
      }
    }
  }

  private func removeTree(_ path: String) throws(StorageError) {
    for entry in try fileSystem.list(path) {
      let inner = "\(path)/\(entry.name)"
      if entry.isDirectory { try removeTree(inner) } else { try fileSystem.removeIfPresent(inner) }
    }
    try fileSystem.removeDirectory(path)
  }
}
