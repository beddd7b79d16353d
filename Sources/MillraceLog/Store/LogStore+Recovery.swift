// Opening many logs at once after an unclean stop, when each has a tail to read.

import Synchronization

extension LogStore {
  /// Opens all of `logs`, several at a time, and returns when that is done. `progress` is told how many are, from any
  /// thread. A log that cannot be opened is told of by `onError`, and tried again by its first user.
  package func recover(
    _ logs: [PartitionLog], threadsPerDirectory: Int,
    progress: @escaping @Sendable (_ done: Int, _ of: Int) -> Void = { _, _ in }
  ) {
    guard !logs.isEmpty else { return }
    let shared = RecoveryWork(logs: logs)
    let (wanted, overflow) = threadsPerDirectory.multipliedReportingOverflow(by: directories.count)
    let threads = min(overflow ? .max : wanted, logs.count)
    shared.running.store(threads, ordering: .releasing)
    for _ in 0..<threads {
      BackgroundThread.start(name: "log-recovery") { [options] in
        shared.run(progress, options.onError)
      }
    }
    shared.finished.wait()
  }
}

private final class RecoveryWork: Sendable {
  let logs: [PartitionLog]
  let next = Atomic<Int>(0)
  let done = Atomic<Int>(0)
  let running = Atomic<Int>(0)
  let finished = WakeUp()

  init(logs: [PartitionLog]) {
    self.logs = logs
  }

  func run(_ progress: (Int, Int) -> Void, _ onError: (LogError) -> Void) {
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      guard index < logs.count else { break }
      do {
        try logs[index].open()
      } catch {
        onError(error)
      }
      progress(done.add(1, ordering: .relaxed).newValue, logs.count)
    }
    if running.subtract(1, ordering: .acquiringAndReleasing).newValue == 0 { finished.signal() }
  }
}
