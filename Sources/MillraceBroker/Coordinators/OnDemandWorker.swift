// Does one thing after the other on a thread that is there only while there is something to do: for rare work that may
// take its time.

import Collections
import MillraceLog
import Synchronization

final class OnDemandWorker: Sendable {
  private struct State {
    var jobs = Deque<@Sendable () -> Void>()
    var isRunning = false
  }

  private let name: String
  private let state = Mutex(State())

  init(name: String) { self.name = name }

  func submit(_ job: @escaping @Sendable () -> Void) {
    let isFirst = state.withLock { state in
      state.jobs.append(job)
      defer { state.isRunning = true }
      return !state.isRunning
    }
    guard isFirst else { return }
    BackgroundThread.start(name: name) { [self] in
      while let job = next() { job() }
    }
  }

  private func next() -> (@Sendable () -> Void)? {
    state.withLock { state in
      guard let job = state.jobs.popFirst() else {
        state.isRunning = false
        return nil
      }
      return job
    }
  }
}
