import Synchronization
import Testing

@testable import MillraceBroker

@Suite struct `The queue of a producer's transactional writes` {
  private final class Log: Sendable {
    let order = Mutex<[Int]>([])
    let parked = Mutex<(@Sendable () -> Void)?>(nil)
  }

  @Test func `writes pass one at a time in their order, and the stack does not grow with their number`() async {
    let writes = TransactionalWrites()
    let log = Log()
    let first = writes.enter(1) { done in log.parked.withLock { $0 = done } }
    #expect(first)
    let count = TransactionalWrites.maxWaiting
    let bases = Mutex<[UInt]>([])
    for index in 0..<count {
      let isTaken = writes.enter(1) { done in
        var here = 0
        let address = withUnsafePointer(to: &here) { UInt(bitPattern: $0) }
        bases.withLock { $0.append(address) }
        log.order.withLock { $0.append(index) }
        done()
      }
      #expect(isTaken)
    }
    log.parked.withLock { $0 }?()
    #expect(log.order.withLock { $0 } == Array(0..<count))
    let (low, high) = bases.withLock { ($0.min() ?? 0, $0.max() ?? 0) }
    #expect(high - low < 4096)
  }

  @Test func `beyond the bound a write is refused, others of other producers are not`() {
    let writes = TransactionalWrites()
    let log = Log()
    _ = writes.enter(1) { done in log.parked.withLock { $0 = done } }
    for _ in 0..<TransactionalWrites.maxWaiting { _ = writes.enter(1) { $0() } }
    let refused = writes.enter(1) { _ in Issue.record("it was refused") }
    #expect(!refused)
    let other = writes.enter(2) { done in
      log.order.withLock { $0.append(2) }
      done()
    }
    #expect(other)
    #expect(log.order.withLock { $0 } == [2])
    log.parked.withLock { $0 }?()
    let again = writes.enter(1) { $0() }
    #expect(again)
  }
}
