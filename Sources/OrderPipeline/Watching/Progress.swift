// How far the run is: what the intake has placed, and what a reader of committed records has seen come out.

import Synchronization

final class Progress: Sendable {
  private struct State {
    var placed = 0
    /// How many orders there are in all, once the intake is closed.
    var total: Int?
    /// Orders that were fulfilled or failed.
    var ended: Set<String> = []
    /// Orders that will never be processed.
    var rejected: Set<String> = []
    /// Orders that ran out of attempts. They are in `ended` too once they were redriven.
    var waiting: Set<String> = []
    var notified: Set<String> = []
    var latency = Latencies()
    /// When somebody last saw something move.
    var movedAt = ContinuousClock.now
    /// Nothing more is expected to happen.
    var isOver = false
  }

  struct Snapshot: Sendable {
    var placed = 0
    var total: Int?
    var ended = 0
    var rejected = 0
    var waiting = 0
    var notified = 0
    var latency = Latencies()

    /// Orders that came to an end or are dead letters.
    var settled: Int { ended + rejected + waiting }
    /// Every order is somewhere, and every customer knows.
    var isSettled: Bool { settled == total && notified == ended }
  }

  private let start = ContinuousClock.now
  private let state = Mutex(State())

  var elapsed: Duration { ContinuousClock.now - start }

  // MARK: The intake

  func placed(_ count: Int) {
    state.withLock {
      guard count > $0.placed else { return }
      $0.placed = count
      $0.movedAt = .now
    }
  }

  func closed(after count: Int) { state.withLock { $0.total = count } }

  /// How many orders are under way.
  var open: Int { state.withLock { $0.placed - $0.ended.count - $0.rejected.count - $0.waiting.count } }

  // MARK: The observer

  func ended(_ orderId: String, after milliseconds: Int64) {
    move {
      guard $0.ended.insert(orderId).inserted else { return }
      // One that was redriven waited for somebody to do that.
      if $0.waiting.remove(orderId) == nil { $0.latency.add(milliseconds) }
    }
  }

  func rejected(_ orderId: String) { move { $0.rejected.insert(orderId) } }

  func waits(_ orderId: String) {
    move { if !$0.ended.contains(orderId) { $0.waiting.insert(orderId) } }
  }

  func notified(_ orderId: String) { move { $0.notified.insert(orderId) } }

  private func move(_ change: (inout State) -> Void) {
    state.withLock {
      change(&$0)
      $0.movedAt = .now
    }
  }

  // MARK: Everybody

  func end() { state.withLock { $0.isOver = true } }
  var isOver: Bool { state.withLock { $0.isOver } }

  var stillFor: Duration { state.withLock { ContinuousClock.now - $0.movedAt } }

  var snapshot: Snapshot {
    state.withLock {
      Snapshot(
        placed: $0.placed, total: $0.total, ended: $0.ended.count, rejected: $0.rejected.count,
        waiting: $0.waiting.count, notified: $0.notified.count, latency: $0.latency)
    }
  }
}
