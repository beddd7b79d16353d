// A line on standard error that is rewritten in place, for a person at a terminal. In a pipe it says nothing.
import Synchronization

final class ProgressLine: Sendable {
  private let isShown: Bool
  private let state = Mutex((lastMs: Int64(0), drawn: false))
  /// Redrawing more often than this helps nobody.
  private static let intervalMs: Int64 = 200

  /// - Parameter besideOutput: also when the output goes to the terminal, which it does at the end only.
  init(besideOutput: Bool = false) {
    isShown = Output.error.isTerminal && (besideOutput || !Output.standard.isTerminal)
  }

  func update(_ text: @autoclosure () -> String) {
    guard isShown else { return }
    let now = Surroundings.nowMs()
    let due = state.withLock { state in
      guard now - state.lastMs >= Self.intervalMs else { return false }
      state = (now, true)
      return true
    }
    if due {
      try? Output.error.write("\r\u{1B}[K" + text())
      try? Output.error.flush()
    }
  }

  func clear() {
    guard
      state.withLock({ state in
        defer { state.drawn = false }
        return state.drawn
      })
    else { return }
    try? Output.error.write("\r\u{1B}[K")
    try? Output.error.flush()
  }
}
