// Opening a partition's files at first use, and closing them.

extension PartitionLog {
  /// Opens the log if it is not open. For those who must not take what a checkpoint says of a log that cannot be opened
  /// (see `offsets`) for what the log holds.
  package func open() throws(LogError) {
    try writer.withLock { (slot) throws(LogError) in _ = try opened(&slot, nowMs: Wallclock.nowMs) }
  }

  /// The writer; opens the log if it is not open.
  func opened(_ slot: inout LogWriter?, nowMs: Int64) throws(LogError) -> LogWriter {
    if let writer = slot { return writer }
    if let error = offlineError { throw error }
    var loader = LogLoader(
      id: id, topicId: topicId, directory: directory, cache: home.cache, config: config, known: known, nowMs: nowMs)
    let loaded: LogLoader.Loaded
    do throws(LogError) {
      loaded = try loader.load()
    } catch {
      if case .inconsistentTopicId = error, !isMistakenToldOf.exchange(true, ordering: .relaxed) {
        home.options.onError(error)
      }
      throw error
    }
    slot = loaded.writer
    view.withLock { $0 = loaded.view }
    closedFiles.withLock { $0 = nil }
    if loaded.writer.epochsChanged || loaded.view.durableOffset != known.recoveryPoint {
      home.noteChange(self, byteCount: 0)
    }
    if loaded.report.checkedBytes > 0 || !loaded.report.findings.isEmpty { home.options.onRecovery(loaded.report) }
    return loaded.writer
  }
}
