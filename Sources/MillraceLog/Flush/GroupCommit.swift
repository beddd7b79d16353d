// Makes what was appended durable, many appends and many partitions to a flush. One thread per data directory takes all
// partitions that were appended to since it last looked, notes how far each log reaches, flushes, and raises each high
// watermark to what it noted. What is appended during a flush is the next one's.
//
// A flush that fails is final for the logs it was for: they go offline for writing, nobody is told that anything is
// durable, and it is not tried again (after a failed fsync the pages may count as clean).

import Synchronization

final class GroupCommit: Sendable {
  private let queue = Mutex(Queue())
  private let wakeUp = WakeUp()
  /// Held from noting how far logs reach until the flush is done: two flushes must not share the work of one log.
  private let gate = Mutex(())
  private let flush: Flush

  private struct Queue {
    var logs: [PartitionLog] = []
    var failed: [PartitionLog.Failed] = []
    var isWaiting = false

    var isEmpty: Bool { logs.isEmpty && failed.isEmpty }

    mutating func takeAll() -> (logs: [PartitionLog], failed: [PartitionLog.Failed]) {
      defer {
        logs = []
        failed = []
      }
      return (logs, failed)
    }
    var isStopping = false
    var isRunning = false
    var whenStopped: WakeUp?
  }

  init(flush: Flush) {
    self.flush = flush
  }

  func start() {
    queue.withLock { $0.isRunning = true }
    BackgroundThread.start(name: "commit") { self.run() }
  }

  /// Has the log take part in the next commit. Cheap when it already will.
  func add(_ log: PartitionLog) {
    if log.isQueuedForCommit.exchange(true, ordering: .acquiringAndReleasing) { return }
    let mustWake = queue.withLock { queue -> Bool in
      queue.logs.append(log)
      defer { queue.isWaiting = false }
      return queue.isWaiting
    }
    if mustWake { wakeUp.signal() }
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
    var outcomes: [(work: CommitWork, error: StorageError?)] = []
    outcomes.reserveCapacity(logs.count)
    var raised: [(log: PartitionLog, highWatermark: Int64)] = []
    var failed: [PartitionLog.Failed] = []
    gate.withLock { _ in
      for log in logs {
        log.isQueuedForCommit.store(false, ordering: .sequentiallyConsistent)
        if let work = log.beginCommit() { outcomes.append((work, nil)) }
      }
      flush.run(&outcomes)
      for (work, error) in outcomes {
        // Before anybody else may take the log's work: what is not durable now never counts as durable.
        if let error {
          failed.append(work.log.takeOffline(.storage(error)))
        } else if let highWatermark = work.log.noteDurable(work) {
          raised.append((work.log, highWatermark))
        }
      }
    }
    for failure in failed { failure.tell() }
    for (log, highWatermark) in raised { log.announce(highWatermark) }
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
