// How many connections were taken this second, on all listeners: `max.connection.creation.rate`.

import NIOCore
import Synchronization

final class ConnectionRate: Sendable {
  private static let window: TimeAmount = .seconds(1)

  private struct State {
    var windowStart: NIODeadline
    var taken = 0
  }

  /// Connections a second.
  let limit: Int
  private let state: Mutex<State>

  init(limit: Int, now: NIODeadline = .now()) {
    self.limit = limit
    state = Mutex(State(windowStart: now))
  }

  func take() { state.withLock { $0.taken += 1 } }

  /// How long to wait before one more may be taken, or nil if it may be now.
  func wait(_ now: NIODeadline) -> TimeAmount? {
    state.withLock { state in
      if now - state.windowStart >= Self.window {
        state.windowStart = now
        state.taken = 0
      }
      return state.taken < limit ? nil : Self.window - (now - state.windowStart)
    }
  }
}
