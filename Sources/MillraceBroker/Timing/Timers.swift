// One-shot timers on one thread, for everything that waits with a deadline: parked fetches, produces that wait for
// their commit, sessions and rebalances of groups. A body runs on the timer thread and has to be short.
//
// The common timer is cancelled long before it is due, so cancelling only forgets the body; the heap is rebuilt when
// most of what it holds has been forgotten. Arming a timer wakes the thread only when it becomes the earliest one.

import Collections
import MillraceLog
import Synchronization

package final class Timers: Sendable {
  /// A handle to one armed timer. Cancelling after it has run does nothing.
  package struct Timer: Sendable {
    fileprivate let timers: Timers
    fileprivate let id: UInt64

    package func cancel() { timers.forget(id) }
  }

  private struct Entry: Comparable {
    let due: ContinuousClock.Instant
    let id: UInt64
    static func < (a: Entry, b: Entry) -> Bool { (a.due, a.id) < (b.due, b.id) }
  }

  private struct State {
    var heap = Heap<Entry>()
    var bodies: [UInt64: @Sendable () -> Void] = [:]
    var nextId: UInt64 = 0
    var isStopped = false
  }

  private let state = Mutex(State())
  private let wakeUp = WakeUp()

  private let clock: any BrokerClock

  package init(clock: any BrokerClock = SystemClock()) {
    self.clock = clock
    clock.whenMoved { [wakeUp] in wakeUp.signal() }
  }

  /// The machine's time, and by how much somebody moved it on.
  private var now: ContinuousClock.Instant { .now + clock.lead }

  /// Starts the thread that runs the timers. Call once.
  package func start() {
    BackgroundThread.start(name: "timers") { [self] in run() }
  }

  /// Forgets every timer and ends the thread.
  package func stop() {
    state.withLock {
      $0.isStopped = true
      $0.bodies.removeAll()
      $0.heap = Heap()
    }
    wakeUp.signal()
  }

  @discardableResult
  package func schedule(after delay: Duration, _ body: @escaping @Sendable () -> Void) -> Timer {
    let due = now.advanced(by: delay)
    let (id, isEarliest) = state.withLock { state -> (UInt64, Bool) in
      state.nextId &+= 1
      let id = state.nextId
      guard !state.isStopped else { return (id, false) }
      let isEarliest = state.heap.min.map { due < $0.due } ?? true
      state.bodies[id] = body
      state.heap.insert(Entry(due: due, id: id))
      return (id, isEarliest)
    }
    if isEarliest { wakeUp.signal() }
    return Timer(timers: self, id: id)
  }

  /// How many timers are armed.
  package var armedCount: Int { state.withLock { $0.bodies.count } }

  fileprivate func forget(_ id: UInt64) {
    state.withLock { state in
      guard state.bodies.removeValue(forKey: id) != nil else { return }
      if state.heap.count > 1024, state.heap.count > state.bodies.count * 2 {
        let bodies = state.bodies
        state.heap = Heap(state.heap.unordered.filter { bodies[$0.id] != nil })
      }
    }
  }

  private func run() {
    while true {
      let (due, next, isStopped) = state.withLock { state -> ([@Sendable () -> Void], ContinuousClock.Instant?, Bool) in
        let now = self.now
        var due: [@Sendable () -> Void] = []
        while let first = state.heap.min {
          let body = state.bodies[first.id]
          if body != nil, first.due > now { return (due, first.due, state.isStopped) }
          state.heap.removeMin()
          if let body {
            state.bodies[first.id] = nil
            due.append(body)
          }
        }
        return (due, nil, state.isStopped)
      }
      if isStopped { return }
      for body in due { body() }
      if due.isEmpty { wakeUp.wait(until: next.map { $0 - clock.lead }) }
    }
  }
}
