// So many at a time: a semaphore for tasks. First come, first served.

import Synchronization

package final class Slots: Sendable {
  private struct State {
    var free: Int
    var waiters: [Deferred<Void>] = []
  }

  private let state: Mutex<State>

  package init(_ count: Int) {
    precondition(count > 0)
    state = Mutex(State(free: count))
  }

  /// Waits for a slot; throws only `.cancelled`, and then has none.
  package func acquire() async throws(KafkaError) {
    let waiter = Deferred<Void>()
    let isFree = state.withLock { state in
      guard state.free == 0 else {
        state.free -= 1
        return true
      }
      state.waiters.append(waiter)
      return false
    }
    guard !isFree else { return }
    do throws(KafkaError) {
      try await waiter.value()
    } catch {
      let wasWaiting = state.withLock { state in
        guard let index = state.waiters.firstIndex(where: { $0 === waiter }) else { return false }
        state.waiters.remove(at: index)
        return true
      }
      // It was given one in the same moment.
      if !wasWaiting { release() }
      throw error
    }
  }

  package func release() {
    let next = state.withLock { state -> Deferred<Void>? in
      guard state.waiters.isEmpty else { return state.waiters.removeFirst() }
      state.free += 1
      return nil
    }
    next?.fulfil(.success(()))
  }
}
