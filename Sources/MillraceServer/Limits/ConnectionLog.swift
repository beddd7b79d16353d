// One line for each connection that was refused or went wrong, and not more than a few a second: a client that
// reconnects in a tight loop must not fill the disk. What was left out is counted, and told with the next line.

import Logging
import Synchronization

final class ConnectionLog: Sendable {
  static let linesPerWindow = 20
  static let window: Duration = .seconds(5)

  private struct State {
    var windowStart: ContinuousClock.Instant
    var lines = 0
    var omitted = 0
  }

  private let logger: Logger
  private let state: Mutex<State>

  init(logger: Logger, now: ContinuousClock.Instant = .now) {
    self.logger = logger
    state = Mutex(State(windowStart: now))
  }

  func warn(_ line: @autoclosure () -> String, now: ContinuousClock.Instant = .now) {
    guard let omitted = admit(now) else { return }
    if omitted > 0 { logger.warning("\(omitted) similar lines about connections were left out") }
    logger.warning("\(line())")
  }

  /// How many lines were left out before this one, or nil if this one is too.
  private func admit(_ now: ContinuousClock.Instant) -> Int? {
    state.withLock { state in
      if now - state.windowStart >= Self.window {
        state.windowStart = now
        state.lines = 0
      }
      guard state.lines < Self.linesPerWindow else {
        state.omitted += 1
        return nil
      }
      state.lines += 1
      let omitted = state.omitted
      state.omitted = 0
      return omitted
    }
  }
}
