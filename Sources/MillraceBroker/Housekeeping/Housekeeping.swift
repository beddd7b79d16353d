// What the broker does by the wall clock without being asked: retention every `log.retention.check.interval.ms`,
// forgetting idle producers every `producer.id.expiration.check.interval.ms`, snapshots of the metadata every
// `metadata.log.max.snapshot.interval.ms`, and compaction. One thread, which sleeps in between, and those of the cleaner;
// nothing is removed while the wall clock cannot be trusted (WallClockTrust).

import Logging
import MillraceCoordination
import MillraceLog
import Synchronization

package final class Housekeeping: Sendable {
  /// The longest between two looks at the clock: a step that is undone sooner than that does not matter.
  private static let longestSleepMs: Int64 = 10 * 60_000

  private let store: LogStore
  private let catalog: CatalogRuntime
  private let logger: Logger
  private let time: GroupTime
  /// Nil without `log.cleaner.enable`.
  private let cleaner: LogCleaner?
  private let wakeUp = WakeUp()
  private let ended = WakeUp()
  private let clock: TrustedClock
  private let state: Mutex<State>

  private struct State {
    /// In the uptime of `time`.
    var retention: Interval
    var producers: Interval
    var snapshots: Interval
    var wasTrusted = true
    var isRunning = false
    var isStopping = false
  }

  /// When something is due next, and then again and again.
  private struct Interval {
    var dueMs: Int64
    let everyMs: Int64

    init(dueMs: Int64, everyMs: Int64) {
      self.dueMs = dueMs
      self.everyMs = everyMs
    }

    /// Due for the first time after `everyMs`; 0 stands for never.
    init(everyMs: Int64) {
      self.init(dueMs: everyMs == 0 ? .max : everyMs, everyMs: everyMs)
    }

    /// Whether it is due; then the next time is set.
    mutating func take(at nowMs: Int64) -> Bool {
      guard nowMs >= dueMs else { return false }
      let (next, overflow) = nowMs.addingReportingOverflow(everyMs)
      dueMs = overflow ? .max : next
      return true
    }
  }

  package init(
    store: LogStore, catalog: CatalogRuntime, configuration: BrokerConfiguration, clock: any BrokerClock,
    logger: Logger
  ) {
    self.store = store
    self.catalog = catalog
    self.logger = logger
    let time = GroupTime(clock)
    let trusted = TrustedClock(time, lastWallMs: store.lastRecordedMs)
    self.time = time
    self.clock = trusted
    cleaner =
      configuration.isCleanerEnabled
      ? LogCleaner(
        store: store, settings: { catalog.cleanerSettings }, nowMs: { trusted.nowMs() },
        onReport: { logger.report($0) }) : nil
    state = Mutex(
      State(
        retention: Interval(
          dueMs: configuration.initialTaskDelayMs, everyMs: configuration.retentionCheckIntervalMs),
        producers: Interval(
          dueMs: configuration.producerIdExpirationCheckIntervalMs,
          everyMs: configuration.producerIdExpirationCheckIntervalMs),
        snapshots: Interval(everyMs: configuration.metadataSnapshotIntervalMs)))
  }

  package func start() {
    state.withLock { $0.isRunning = true }
    BackgroundThread.start(name: "housekeeping") { [self] in
      while !isStopping {
        let sleepMs = round()
        wakeUp.wait(until: .now + .milliseconds(sleepMs))
      }
      ended.signal()
    }
    cleaner?.start()
  }

  /// Returns when the threads have ended; what they were doing is left off soon.
  package func stop() {
    cleaner?.stop()
    let wasRunning = state.withLock { state -> Bool in
      defer { state.isRunning = false }
      state.isStopping = true
      return state.isRunning
    }
    wakeUp.signal()
    if wasRunning { ended.wait() }
  }

  private var isStopping: Bool { state.withLock { $0.isStopping } }

  /// Does what is due. Returns how long there is nothing to do.
  func round() -> Int64 {
    let now = time.now()
    let (isTrusted, changed, retention, producers, snapshots) = state.withLock { state in
      let isTrusted = clock.isTrusted(at: now)
      defer { state.wasTrusted = isTrusted }
      return (
        isTrusted, isTrusted != state.wasTrusted, state.retention.take(at: now.uptimeMs),
        state.producers.take(at: now.uptimeMs), state.snapshots.take(at: now.uptimeMs)
      )
    }
    if changed {
      if isTrusted {
        logger.notice("the clock has stood its ground: retention goes on")
      } else {
        logger.warning(
          "nothing is removed or compacted for an hour: the clock has jumped, or the broker was away for long")
      }
    }
    if isTrusted {
      if retention { enforceRetention(nowMs: now.wallMs) }
      if producers { store.forgetIdleProducers(nowMs: now.wallMs) }
    }
    if snapshots { catalog.takeSnapshot() }
    let uptimeMs = time.now().uptimeMs
    return state.withLock { state in
      let dueMs = min(state.retention.dueMs, state.producers.dueMs, state.snapshots.dueMs)
      return max(0, min(Self.longestSleepMs, dueMs == .max ? .max : dueMs - uptimeMs))
    }
  }

  private func enforceRetention(nowMs: Int64) {
    for report in store.enforceRetention(nowMs: nowMs, isStopping: { isStopping }) { logger.info("\(report)") }
  }
}
