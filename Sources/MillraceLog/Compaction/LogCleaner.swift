// Compacts the logs of a store in the background: `log.cleaner.threads` threads, each on the dirtiest log that nobody else
// has. A thread that finds nothing sleeps for `log.cleaner.backoff.ms`; a look costs a few instructions for each compacted
// log.

import Synchronization

/// How the cleaner works; read anew before every log, so that it can be changed at any time.
package struct CleanerSettings: Sendable, Equatable {
  /// `log.cleaner.threads`
  package var threads: Int
  /// `log.cleaner.dedupe.buffer.size`, for all threads together
  package var dedupeBufferBytes: Int
  /// `log.cleaner.io.buffer.size`, for all threads together
  package var ioBufferBytes: Int
  /// `log.cleaner.io.buffer.load.factor`
  package var loadFactor: Double
  /// `log.cleaner.backoff.ms`
  package var backoffMs: Int64
  /// `log.cleaner.io.max.bytes.per.second`, for all threads together
  package var maxBytesPerSecond: Double

  package init(
    threads: Int = 1, dedupeBufferBytes: Int = 128 << 20, ioBufferBytes: Int = 512 << 10, loadFactor: Double = 0.9,
    backoffMs: Int64 = 15_000, maxBytesPerSecond: Double = .greatestFiniteMagnitude
  ) {
    self.threads = threads
    self.dedupeBufferBytes = dedupeBufferBytes
    self.ioBufferBytes = ioBufferBytes
    self.loadFactor = loadFactor
    self.backoffMs = backoffMs
    self.maxBytesPerSecond = maxBytesPerSecond
  }
}

/// What became of a log that the cleaner took on.
package enum CleanerReport: Sendable {
  case cleaned(PartitionID, bytesBefore: Int64, bytesAfter: Int64, firstDirtyOffset: Int64)
  /// A batch is damaged: the log is not compacted any more.
  case uncleanable(PartitionID, LogError)
  /// It did not work this time.
  case failed(PartitionID, LogError)
  /// The log was deleted or truncated meanwhile, or the cleaner was stopped.
  case abandoned(PartitionID)
}

package final class LogCleaner: Sendable {
  /// How long a log is left alone after a failure.
  private static let retryDelay = Duration.seconds(60)
  /// The longest sleep for the sake of `maxBytesPerSecond`, so that a stop is not kept waiting.
  private static let longestPause = Duration.milliseconds(200)

  private let store: LogStore
  private let settings: @Sendable () -> CleanerSettings
  /// The time, unless it cannot be trusted: tombstones go by it.
  private let nowMs: @Sendable () -> Int64?
  private let onReport: @Sendable (CleanerReport) -> Void
  private let state = Mutex(State())
  private let transferred = Mutex(Transferred())

  private struct State {
    var isStopping = false
    /// By number; thread 0 is there as long as the cleaner is.
    var threads: [Int: (wakeUp: WakeUp, ended: WakeUp)] = [:]
    var retryAt: [PartitionID: ContinuousClock.Instant] = [:]
  }

  private struct Transferred {
    var since = ContinuousClock.now
    var byteCount: Double = 0
  }

  package init(
    store: LogStore, settings: @escaping @Sendable () -> CleanerSettings, nowMs: @escaping @Sendable () -> Int64?,
    onReport: @escaping @Sendable (CleanerReport) -> Void
  ) {
    self.store = store
    self.settings = settings
    self.nowMs = nowMs
    self.onReport = onReport
  }

  // MARK: Threads

  package func start() { startThread(0) }

  /// Returns when all threads have ended. What they were at begins again with the next start.
  package func stop() {
    let threads = state.withLock { state -> [(wakeUp: WakeUp, ended: WakeUp)] in
      state.isStopping = true
      return Array(state.threads.values)
    }
    for thread in threads { thread.wakeUp.signal() }
    for thread in threads { thread.ended.wait() }
  }

  private var isStopping: Bool { state.withLock { $0.isStopping } }

  private func startThread(_ number: Int) {
    let thread = (wakeUp: WakeUp(), ended: WakeUp())
    let isNew = state.withLock { state -> Bool in
      guard !state.isStopping, state.threads[number] == nil else { return false }
      state.threads[number] = thread
      return true
    }
    guard isNew else { return }
    BackgroundThread.start(name: "log-cleaner") { [self] in
      run(number, thread.wakeUp)
      state.withLock { state in
        if !state.isStopping { state.threads[number] = nil }
      }
      thread.ended.signal()
    }
  }

  private func run(_ number: Int, _ wakeUp: WakeUp) {
    while !isStopping {
      let settings = settings()
      if number == 0 {
        for other in 1..<max(1, settings.threads) { startThread(other) }
      } else if number >= settings.threads {
        return
      }
      if number < settings.threads, let nowMs = nowMs(), cleanDirtiest(nowMs: nowMs) != nil { continue }
      wakeUp.wait(until: .now + .milliseconds(max(1, settings.backoffMs)))
    }
  }

  // MARK: Choosing and cleaning

  /// Compacts the log that is worth it most. Nil when none is.
  @discardableResult
  package func cleanDirtiest(nowMs: Int64) -> CleanerReport? {
    guard let cleanable = takeDirtiest(nowMs: nowMs) else { return nil }
    defer { cleanable.log.isBeingCleaned.store(false, ordering: .releasing) }
    let report = clean(cleanable, nowMs: nowMs)
    if case .failed(let id, _) = report { leaveAlone(id) }
    if case .abandoned(let id) = report { leaveAlone(id) }
    onReport(report)
    return report
  }

  private func leaveAlone(_ id: PartitionID) {
    state.withLock { $0.retryAt[id] = .now + Self.retryDelay }
  }

  private func takeDirtiest(nowMs: Int64) -> CleanableLog? {
    let retryAt = state.withLock { state in
      if !state.retryAt.isEmpty { state.retryAt = state.retryAt.filter { $0.value > .now } }
      return state.retryAt
    }
    var candidates: [CleanableLog] = []
    for log in store.openedLogs where log.config.isCompacted && retryAt[log.id] == nil {
      if log.isBeingCleaned.load(ordering: .acquiring) { continue }
      do throws(LogError) {
        if let cleanable = try log.cleanable(from: checkpoint(log), nowMs: nowMs) { candidates.append(cleanable) }
      } catch .closed, .deleted {
        continue
      } catch {
        leaveAlone(log.id)
        onReport(.failed(log.id, error))
      }
    }
    for candidate in candidates.sorted(by: { $0.dirtyRatio > $1.dirtyRatio }) {
      let isMine = !candidate.log.isBeingCleaned.exchange(true, ordering: .acquiringAndReleasing)
      if isMine { return candidate }
    }
    return nil
  }

  private func checkpoint(_ log: PartitionLog) -> Int64? { log.home.recorded.withLock { $0.cleaned[log.id] } }

  private func clean(_ found: CleanableLog, nowMs: Int64) -> CleanerReport {
    let log = found.log
    let settings = settings()
    do {
      guard let cleanable = try belowRecoveryPoint(found, nowMs: nowMs) else { return .abandoned(log.id) }
      let pass = CompactionPass(
        cleanable: cleanable, limits: limits(settings), nowMs: nowMs,
        didTransfer: { [self] in didTransfer($0, settings.maxBytesPerSecond) }, isStopping: { [self] in isStopping })
      let outcome = try pass.run()
      log.home.recorded.withLock { $0.cleaned[log.id] = outcome.firstDirtyOffset }
      do throws(StorageError) {
        try store.storeCleaned(of: log.home)
      } catch {
        // Then the next start compacts once more what is compacted.
        store.options.onError(.storage(error))
      }
      return .cleaned(
        log.id, bytesBefore: outcome.bytesBefore, bytesAfter: outcome.bytesAfter,
        firstDirtyOffset: outcome.firstDirtyOffset)
    } catch CompactionPass.Failure.log(.corrupt(let path, let position)) {
      log.isUncleanable.store(true, ordering: .relaxed)
      return .uncleanable(log.id, .corrupt(path: path, position: position))
    } catch CompactionPass.Failure.log(let error) {
      return .failed(log.id, error)
    } catch {
      return .abandoned(log.id)
    }
  }

  /// Recovery after a crash reads from the recorded recovery point, and must find there what was written: nothing above
  /// it is compacted. Makes a checkpoint if that is less than what there is.
  private func belowRecoveryPoint(_ found: CleanableLog, nowMs: Int64) throws -> CleanableLog? {
    let log = found.log
    func recoveryPoint() -> Int64 { log.home.recorded.withLock { $0.recoveryPoints[log.id] } ?? 0 }
    if recoveryPoint() >= found.endOffset { return found }
    store.checkpoint(nowMs: nowMs)
    return try log.cleanable(from: checkpoint(log), limit: recoveryPoint(), nowMs: nowMs)
  }

  private func limits(_ settings: CleanerSettings) -> CompactionPass.Limits {
    let threads = max(1, settings.threads)
    return CompactionPass.Limits(
      mapBytes: settings.dedupeBufferBytes / threads, loadFactor: settings.loadFactor,
      // A half for reading, a half for writing.
      ioBytes: settings.ioBufferBytes / threads / 2)
  }

  /// Sleeps while more has been read and written than the rate allows.
  private func didTransfer(_ byteCount: Int, _ rate: Double) {
    guard rate > 0, rate < 1e15 else { return }
    let pause = transferred.withLock { transferred -> Duration in
      let now = ContinuousClock.now
      let elapsed = now - transferred.since
      if elapsed > .seconds(10), transferred.byteCount <= rate * 10 { transferred = Transferred() }
      transferred.byteCount += Double(byteCount)
      return .seconds(transferred.byteCount / rate) - (now - transferred.since)
    }
    guard pause > .zero else { return }
    let until = ContinuousClock.now + pause
    let wakeUp = WakeUp()
    while !isStopping, .now < until { wakeUp.wait(until: min(until, .now + Self.longestPause)) }
  }
}

extension LogStore {
  /// The logs that were asked for.
  var openedLogs: [PartitionLog] { state.withLock { $0.isClosing ? [] : Array($0.logs.values) } }
}
