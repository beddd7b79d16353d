// How many bytes of requests the whole broker holds: received and not answered yet.
//
// A frame is counted from before it is taken up (a large one from when its length is known) until it is answered.
// As with Kafka's memory pool, a reservation succeeds while any memory is left, so one frame may go over the limit
// and a frame larger than the limit still passes when nothing else is held. Who is refused leaves a wake-up call.
//
// Shared by all event loops: one atomic addition a request, a lock only when memory has run out.

import Synchronization

final class RequestMemory: Sendable {
  let limitBytes: Int
  private let used = Atomic<Int>(0)
  private let waiterCount = Atomic<Int>(0)
  private let waiters = Mutex<[@Sendable () -> Void]>([])

  init(limitBytes: Int) { self.limitBytes = limitBytes }

  var usedBytes: Int { used.load(ordering: .relaxed) }

  func reserve(_ byteCount: Int) -> Bool {
    let before = used.wrappingAdd(byteCount, ordering: .sequentiallyConsistent).oldValue
    if before < limitBytes { return true }
    release(byteCount)
    return false
  }

  func release(_ byteCount: Int) {
    guard byteCount > 0 else { return }
    let now = used.wrappingSubtract(byteCount, ordering: .sequentiallyConsistent).newValue
    if now < limitBytes, waiterCount.load(ordering: .sequentiallyConsistent) > 0 { wakeAll() }
  }

  /// Calls `body` once, soon after memory is left (at once if there is some), on any thread.
  func whenAvailable(_ body: @escaping @Sendable () -> Void) {
    waiters.withLock { $0.append(body) }
    waiterCount.wrappingAdd(1, ordering: .sequentiallyConsistent)
    // The release that should have woken this one may have come before it was counted.
    if used.load(ordering: .sequentiallyConsistent) < limitBytes { wakeAll() }
  }

  private func wakeAll() {
    let bodies = waiters.withLock { waiters in
      let bodies = waiters
      waiters = []
      return bodies
    }
    waiterCount.wrappingSubtract(bodies.count, ordering: .sequentiallyConsistent)
    for body in bodies { body() }
  }
}
