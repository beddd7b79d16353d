// A round of retention over all logs of a store. It costs a look at each log; a disk flush only where something goes.

import Synchronization

/// Segments that retention took from a log.
package struct RetentionReport: Sendable, CustomStringConvertible {
  package var partition: PartitionID
  package var segmentCount: Int
  package var byteCount: Int64
  package var logStartOffset: Int64
  var decision: RetentionDecision

  package var description: String {
    var reasons: [String] = []
    if decision.beforeStart > 0 { reasons.append("\(decision.beforeStart) before the start of the log") }
    if decision.bySize > 0 { reasons.append("\(decision.bySize) by retention.bytes") }
    if decision.byTime > 0 { reasons.append("\(decision.byTime) by retention.ms") }
    return "\(partition): removed segments (\(reasons.joined(separator: ", "))) of \(byteCount) bytes, "
      + "the log starts at \(logStartOffset)"
  }
}

extension LogStore {
  /// Takes from every log the segments that its config says are too old or too many. `nowMs` must be a time that can
  /// be trusted. Goes on with the next log when one cannot, which `onError` is told.
  package func enforceRetention(
    nowMs: Int64, isStopping: () -> Bool = { false }
  ) -> [RetentionReport] {
    let logs = state.withLock { $0.isClosing ? [] : Array($0.logs.values) }
    var reports: [RetentionReport] = []
    for directory in directories {
      var expired: [(log: PartitionLog, what: PartitionLog.Expired)] = []
      for log in logs where log.home === directory && !isStopping() {
        do throws(LogError) {
          if let what = try log.expire(nowMs: nowMs) { expired.append((log, what)) }
        } catch .closed, .deleted {
          continue
        } catch {
          options.onError(error)
        }
      }
      guard !expired.isEmpty else { continue }
      do throws(LogError) {
        try remove(expired.map { ($0.log, $0.what.logStartOffset) }, in: directory, nowMs: nowMs)
      } catch {
        options.onError(error)
      }
      for (log, what) in expired {
        reports.append(
          RetentionReport(
            partition: log.id, segmentCount: what.decision.count, byteCount: what.byteCount,
            logStartOffset: what.logStartOffset, decision: what.decision))
      }
    }
    return reports
  }

  /// Records where the logs start, then takes away what is before. No checkpoint comes between: it would drop the
  /// record before the renames are durable.
  private func remove(
    _ starts: [(log: PartitionLog, offset: Int64)], in directory: DataDirectory, nowMs: Int64
  ) throws(LogError) {
    try checkpointGate.withLock { (_) throws(LogError) in
      directory.recorded.withLock { recorded in
        for (log, offset) in starts { recorded.logStarts[log.id] = offset }
      }
      do throws(StorageError) {
        try directory.filesGate.withLock { (_) throws(StorageError) in
          try directory.store(directory.recorded.withLock { $0.logStarts }, as: .logStart)
        }
      } catch { throw .storage(error) }
      for (log, _) in starts { try log.discardExpired(nowMs: nowMs) }
      directory.commit.commit(starts.map(\.log))
    }
  }
}
