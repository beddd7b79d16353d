// Fetches that wait at the same place, to be woken in turn: what one of them can take is taken by one.

import Collections

struct WaitingTurns {
  /// The memory of those who left is given back when there is this much more of it than twice the needed.
  private static let slack = 16

  private var waiting: [ObjectIdentifier: any FetchWaiter] = [:]
  /// Whose turn is next; some of them may have left.
  private var turns: Deque<ObjectIdentifier> = []

  var isEmpty: Bool { waiting.isEmpty }
  var all: [any FetchWaiter] { Array(waiting.values) }

  mutating func add(_ waiter: any FetchWaiter) {
    let id = ObjectIdentifier(waiter)
    guard waiting.updateValue(waiter, forKey: id) == nil else { return }
    turns.append(id)
    if turns.count > 2 * waiting.count + Self.slack {
      var left = Set(waiting.keys)
      turns = Deque(turns.filter { left.remove($0) != nil })
    }
  }

  mutating func remove(_ waiter: any FetchWaiter) { waiting[ObjectIdentifier(waiter)] = nil }

  /// Whose turn it is; then it is last in line.
  mutating func next() -> (any FetchWaiter)? {
    while let id = turns.popFirst() {
      guard let waiter = waiting[id] else { continue }
      turns.append(id)
      return waiter
    }
    return nil
  }
}
