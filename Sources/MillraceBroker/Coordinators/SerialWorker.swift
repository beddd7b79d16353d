// One thread that does one thing after the other, for work on the disk that must neither block an event loop nor
// overtake earlier work.

import Collections
import MillraceLog
import Synchronization

package final class SerialWorker: Sendable {
  private struct State {
    var jobs = Deque<@Sendable () -> Void>()
    var isStopping = false
  }

  private let state = Mutex(State())
  private let wakeUp = WakeUp()
  private let ended = WakeUp()

  package init() {}

  /// Starts the thread. Call once.
  package func start(name: String) {
    BackgroundThread.start(name: name) { [self] in
      while let job = next() { job() }
      ended.signal()
    }
  }

  package func submit(_ job: @escaping @Sendable () -> Void) {
    state.withLock { $0.jobs.append(job) }
    wakeUp.signal()
  }

  /// Does what was submitted, and ends the thread.
  package func stop() {
    state.withLock { $0.isStopping = true }
    wakeUp.signal()
    ended.wait()
  }

  private func next() -> (@Sendable () -> Void)? {
    while true {
      let (job, isStopping) = state.withLock { ($0.jobs.popFirst(), $0.isStopping) }
      if let job { return job }
      if isStopping { return nil }
      wakeUp.wait()
    }
  }
}
