// What a store does without being asked: checkpoints, `flush.ms`, forgetting idle producers, removing what was deleted.
// One thread; `maintain` is one round of it.

extension LogStore {
  /// The longest the thread sleeps: `flush.ms` and removals are that exact.
  private static let longestSleep = Duration.milliseconds(500)
  /// Kafka's `producer.id.expiration.check.interval.ms`.
  private static let producerCheckIntervalMs: Int64 = 600_000

  func start() {
    for directory in directories { directory.commit.start() }
    let ended = WakeUp()
    state.withLock { $0.maintenanceEnded = ended }
    BackgroundThread.start(name: "log maintenance") { [self] in
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
    forgetIdleProducers(nowMs: nowMs)
  }

  private func forgetIdleProducers(nowMs: Int64) {
    let logs = state.withLock { state -> [PartitionLog] in
      guard nowMs < state.lastProducerCheckMs || nowMs - state.lastProducerCheckMs >= Self.producerCheckIntervalMs
      else { return [] }
      state.lastProducerCheckMs = nowMs
      return Array(state.logs.values)
    }
    for log in logs { log.forgetIdleProducers(nowMs: nowMs) }
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
