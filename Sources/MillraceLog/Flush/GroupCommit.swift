// Makes what was appended durable, many appends and many partitions to a flush. One thread per data directory takes all
// partitions that were appended to since it last looked, notes how far each log reaches, flushes, and raises each high
// watermark to what it noted. What is appended during a flush is the next one's.
//
// A lone append: two changes of thread take about as long as the flush of a quick disk, and there is nothing to group. So
// an event loop that appended something small while the thread was idle does not wake it, but looks again when its turn
// is over, all that had arrived with it being appended. If one log has a little to flush then, and flushes are quick, it
// flushes that by itself; otherwise it wakes the thread then. Whoever else appends meanwhile wakes the thread at once,
// which takes all there is.
//
// A flush that fails is final for the logs it was for: they go offline for writing, nobody is told that anything is
// durable, and it is not tried again (after a failed fsync the pages may count as clean).

import Synchronization

final class GroupCommit: Sendable {
  private let queue = Mutex(Queue())
  private let wakeUp = WakeUp()
  /// Held from noting how far logs reach until the flush is done: two flushes must not share the work of one log.
  private let gate: Mutex<FlushPace>
  private let flush: Flush
  private let afterTurn: AfterTurn

  private struct Queue {
    var logs: [PartitionLog] = []
    var failed: [PartitionLog.Failed] = []
    /// The thread is idle, and has to be woken.
    var isWaiting = false
    var isStopping = false
    var isRunning = false
    var whenStopped: WakeUp?

    var isEmpty: Bool { logs.isEmpty && failed.isEmpty }

    mutating func takeAll() -> (logs: [PartitionLog], failed: [PartitionLog.Failed]) {
      defer {
        logs = []
        failed = []
      }
      return (logs, failed)
    }
  }

  init(flush: Flush, quickFlush: Duration, afterTurn: @escaping AfterTurn) {
    self.flush = flush
    gate = Mutex(FlushPace(quick: quickFlush))
    self.afterTurn = afterTurn
  }

  func start() {
    queue.withLock { $0.isRunning = true }
    BackgroundThread.start(name: "log-commit") { self.run() }
  }

  /// Has the log take part in the next commit. Cheap when it already will.
  ///
  /// - Parameter isSmall: the caller appended little, and waits for nothing else in this turn.
  func add(_ log: PartitionLog, isSmall: Bool = false) {
    if log.isQueuedForCommit.exchange(true, ordering: .acquiringAndReleasing) { return }
    let isIdle = queue.withLock { queue -> Bool in
      queue.logs.append(log)
      return queue.isWaiting
    }
    guard isIdle, !(isSmall && afterTurn({ self.endTurn() })) else { return }
    wakeIfIdle()
  }

  private func wakeIfIdle() {
    let mustWake = queue.withLock { queue -> Bool in
      guard queue.isWaiting, !queue.isEmpty else { return false }
      queue.isWaiting = false
      return true
    }
    if mustWake { wakeUp.signal() }
  }

  /// The turn is over in which the thread was not woken.
  private func endTurn() {
    let lone = queue.withLock { queue -> PartitionLog? in
      guard queue.isWaiting, queue.logs.count == 1 else { return nil }
      return queue.takeAll().logs[0]
    }
    if let lone, !commitAlone(lone) { queue.withLock { $0.logs.append(lone) } }
    wakeIfIdle()
  }

  /// Flushes the log on the calling thread if that takes no longer than a change of thread.
  private func commitAlone(_ log: PartitionLog) -> Bool {
    guard log.hasLittleToFlush else { return false }
    let outcome = gate.withLockIfAvailable { pace in pace.isQuick ? flush([log], &pace) : nil }
    guard let outcome = outcome ?? nil else { return false }
    tell(outcome)
    return true
  }

  /// Tells those who wait for the log, on the thread: whoever found that it failed may hold a lock that they need.
  func tell(_ failed: PartitionLog.Failed) {
    let (isRunning, mustWake) = queue.withLock { queue -> (Bool, Bool) in
      guard queue.isRunning else { return (false, false) }
      queue.failed.append(failed)
      defer { queue.isWaiting = false }
      return (true, queue.isWaiting)
    }
    if mustWake { wakeUp.signal() }
    if !isRunning { failed.tell() }
  }

  /// Ends the thread after it has committed what is queued.
  func stop() {
    let stopped = WakeUp()
    let isRunning = queue.withLock { queue -> Bool in
      queue.isStopping = true
      queue.whenStopped = stopped
      return queue.isRunning
    }
    wakeUp.signal()
    if isRunning { stopped.wait() }
  }

  private func run() {
    while let (logs, failed) = next() {
      for failure in failed { failure.tell() }
      if !logs.isEmpty { commit(logs) }
    }
    let (late, stopped) = queue.withLock { queue in
      queue.isRunning = false
      return (queue.takeAll().failed, queue.whenStopped)
    }
    for failure in late { failure.tell() }
    stopped?.signal()
  }

  /// Waits for work; nil when the thread is to end.
  private func next() -> (logs: [PartitionLog], failed: [PartitionLog.Failed])? {
    while true {
      let (work, isStopping) = queue.withLock { queue in
        queue.isWaiting = queue.isEmpty
        return (queue.takeAll(), queue.isStopping)
      }
      if !work.logs.isEmpty || !work.failed.isEmpty { return work }
      if isStopping { return nil }
      wakeUp.wait()
    }
  }

  /// Flushes what is queued, on the calling thread.
  func commitQueued() {
    let logs = queue.withLock { queue in
      defer { queue.logs = [] }
      return queue.logs
    }
    if !logs.isEmpty { commit(logs) }
  }

  /// Flushes the logs now, on the calling thread, and tells those who wait.
  func commit(_ logs: [PartitionLog]) {
    tell(gate.withLock { pace in flush(logs, &pace) })
  }

  private struct Outcome {
    var raised: [(log: PartitionLog, highWatermark: Int64)] = []
    var failed: [PartitionLog.Failed] = []
  }

  /// With the gate held.
  private func flush(_ logs: [PartitionLog], _ pace: inout FlushPace) -> Outcome {
    var works: [(work: CommitWork, error: StorageError?)] = []
    works.reserveCapacity(logs.count)
    for log in logs {
      log.isQueuedForCommit.store(false, ordering: .sequentiallyConsistent)
      if let work = log.beginCommit() { works.append((work, nil)) }
    }
    let began = ContinuousClock.now
    flush.run(&works)
    if works.count == 1 { pace.note(began.duration(to: .now)) }
    var outcome = Outcome()
    for (work, error) in works {
      // Before anybody else may take the log's work: what is not durable now never counts as durable.
      if let error {
        outcome.failed.append(work.log.takeOffline(.storage(error)))
      } else if let highWatermark = work.log.noteDurable(work) {
        outcome.raised.append((work.log, highWatermark))
      }
    }
    return outcome
  }

  private func tell(_ outcome: Outcome) {
    for failure in outcome.failed { failure.tell() }
    for (log, highWatermark) in outcome.raised { log.announce(highWatermark) }
  }
}

/// What one log has for a commit.
struct CommitWork {
  let log: PartitionLog
  /// How far the log reaches: what will be durable.
  let end: LogPosition
  let generation: Int
  let active: Segment
  /// Segments that were closed since the last commit.
  let closed: [Segment]
  let directoryChanged: Bool
}
