// Collects the answers of several coordinators, which come in any order and on any thread, into one.

import Synchronization

final class Gathering<Value: Sendable>: Sendable {
  private struct State {
    var values: [Value?]
    var missing: Int
  }

  private let state: Mutex<State>
  private let complete: @Sendable ([Value]) -> Void

  /// Calls `complete` with all values in their order, at once if there is nothing to wait for.
  init(count: Int, _ complete: @escaping @Sendable ([Value]) -> Void) {
    state = Mutex(State(values: Array(repeating: nil, count: count), missing: count))
    self.complete = complete
    if count == 0 { complete([]) }
  }

  /// Each index once.
  func put(_ value: Value, at index: Int) {
    let all = state.withLock { state -> [Value]? in
      precondition(state.values[index] == nil, "gathered twice")
      state.values[index] = value
      state.missing -= 1
      return state.missing == 0 ? state.values.compactMap { $0 } : nil
    }
    if let all { complete(all) }
  }
}
