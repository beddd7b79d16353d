// Something for one task to sleep on that others can wake it from.

import NIOCore
import Synchronization

final class Signal: Sendable {
  private struct State {
    var isSet = false
    var waiter: Deferred<Void>?
  }

  private let state = Mutex(State())
  private let loop: any EventLoop

  init(on loop: any EventLoop) {
    self.loop = loop
  }

  /// Wakes whoever waits, or else the next one that is about to.
  func set() {
    let waiter = state.withLock { state in
      defer { state.waiter = nil }
      if state.waiter == nil { state.isSet = true }
      return state.waiter
    }
    waiter?.fulfil(.success(()))
  }

  /// Waits until `set`, or until the time is up; throws only `.cancelled`.
  func wait(until deadline: NIODeadline?) async throws(KafkaError) {
    let waiter = Deferred<Void>()
    let isSet = state.withLock { state in
      defer { state.isSet = false }
      if !state.isSet { state.waiter = waiter }
      return state.isSet
    }
    guard !isSet else { return }
    let timer = deadline.map { loop.scheduleTask(deadline: $0) { waiter.fulfil(.success(())) } }
    defer {
      timer?.cancel()
      // Whoever sets it next must not wake one that has gone.
      state.withLock { if $0.waiter === waiter { $0.waiter = nil } }
    }
    try await waiter.value()
  }
}
