import Synchronization

@testable import MillraceBroker

/// A clock that a test moves; the wall clock can jump against the other.
final class HandClock: BrokerClock {
  private struct State {
    var wallMs: Int64
    var uptime: ContinuousClock.Instant = .now
  }

  private let state: Mutex<State>

  init(wallMs: Int64 = SystemClock().nowMs()) { state = Mutex(State(wallMs: wallMs)) }

  func nowMs() -> Int64 { state.withLock { $0.wallMs } }
  func monotonic() -> ContinuousClock.Instant { state.withLock { $0.uptime } }

  func pass(ms: Int64) {
    state.withLock {
      $0.wallMs += ms
      $0.uptime += .milliseconds(ms)
    }
  }

  func jump(ms: Int64) { state.withLock { $0.wallMs += ms } }
}
