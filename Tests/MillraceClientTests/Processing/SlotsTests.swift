// So many at a time, also when those who wait are cancelled.

import Synchronization
import Testing

@testable import MillraceClient

@Suite struct SlotsTests {
  /// How many run.
  private final class Counts: Sendable {
    private let counts = Mutex((now: 0, most: 0, all: 0))

    func begin() {
      counts.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
        $0.all += 1
      }
    }
    func end() { counts.withLock { $0.now -= 1 } }
    var most: Int { counts.withLock { $0.most } }
    var all: Int { counts.withLock { $0.all } }
  }

  @Test func `no more run than there are slots, and all come to run`() async throws {
    let slots = Slots(3)
    let counts = Counts()
    try await withThrowingTaskGroup(of: Void.self) { group in
      for _ in 0..<200 {
        group.addTask {
          try await slots.acquire()
          counts.begin()
          await Task.yield()
          counts.end()
          slots.release()
        }
      }
      try await group.waitForAll()
    }
    #expect(counts.all == 200)
    #expect(counts.most <= 3)
  }

  @Test func `cancelled waiters leave no slot lost`() async throws {
    let slots = Slots(1)
    try await slots.acquire()
    let waiters = (0..<50).map { _ in
      Task {
        try await slots.acquire()
        slots.release()
      }
    }
    for (index, waiter) in waiters.enumerated() where index % 2 == 0 { waiter.cancel() }
    slots.release()
    for (index, waiter) in waiters.enumerated() {
      let result = await waiter.result
      if index % 2 == 1 { #expect(throws: Never.self) { try result.get() } }
    }
    try await slots.acquire()
    slots.release()
  }
}
