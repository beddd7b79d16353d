// A value that arrives once and that any number of tasks wait for. Unlike the value of a `Task`, waiting ends when the
// waiting task is cancelled, and the work goes on for the others.

import NIOCore
import Synchronization

final class Deferred<Value: Sendable>: Sendable {
  private typealias Waiter = CheckedContinuation<Result<Value, KafkaError>, Never>

  private enum State {
    case waiting([UInt64: Waiter])
    case ready(Result<Value, KafkaError>)
  }

  private struct Box {
    var state = State.waiting([:])
    var nextWaiter: UInt64 = 0
    /// Waiters that were cancelled before they could be registered.
    var cancelled: Set<UInt64> = []
  }

  private let box = Mutex(Box())

  init() {}

  /// Whether the value is there.
  var isFulfilled: Bool {
    box.withLock { if case .ready = $0.state { true } else { false } }
  }

  /// Wakes everybody who waits. Only the first result counts.
  func fulfil(_ result: Result<Value, KafkaError>) {
    let waiters = box.withLock { box -> [UInt64: Waiter] in
      guard case .waiting(let waiters) = box.state else { return [:] }
      box.state = .ready(result)
      return waiters
    }
    for waiter in waiters.values { waiter.resume(returning: result) }
  }

  /// Waits for the value; throws `.cancelled` when the waiting task is cancelled.
  func value() async throws(KafkaError) -> Value {
    let id = box.withLock { box in
      box.nextWaiter &+= 1
      return box.nextWaiter
    }
    let result = await withTaskCancellationHandler {
      await withCheckedContinuation { (waiter: Waiter) in
        let ready = box.withLock { box -> Result<Value, KafkaError>? in
          if box.cancelled.remove(id) != nil { return .failure(.cancelled) }
          switch box.state {
          case .ready(let result):
            return result
          case .waiting(var waiters):
            box.state = .waiting([:])
            waiters[id] = waiter
            box.state = .waiting(waiters)
            return nil
          }
        }
        if let ready { waiter.resume(returning: ready) }
      }
    } onCancel: {
      let waiter = box.withLock { box -> Waiter? in
        guard case .waiting(var waiters) = box.state else { return nil }
        box.state = .waiting([:])
        let waiter = waiters.removeValue(forKey: id)
        if waiter == nil { box.cancelled.insert(id) }
        box.state = .waiting(waiters)
        return waiter
      }
      waiter?.resume(returning: .failure(.cancelled))
    }
    return try result.get()
  }
}

extension Deferred<Void> {
  /// Waits until it is fulfilled; after `limit` that is done for whoever waits.
  func value(
    within limit: TimeAmount, orGracefulShutdown endsOnGracefulShutdown: Bool = false,
    on eventLoopGroup: any EventLoopGroup
  ) async throws(KafkaError) {
    let impatience = eventLoopGroup.any().scheduleTask(in: limit) { self.fulfil(.success(())) }
    defer { impatience.cancel() }
    try await value(orGracefulShutdown: endsOnGracefulShutdown)
  }
}

/// Sleeps; the only way to wake earlier is to cancel the task.
func pause(_ duration: Duration) async throws(KafkaError) {
  do {
    try await Task.sleep(for: duration)
  } catch {
    throw .cancelled
  }
}
