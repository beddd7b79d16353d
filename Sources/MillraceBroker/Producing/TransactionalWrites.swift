// Lets the transactional writes of each producer pass one at a time. A write may have to ask the coordinator before it
// is appended, and the ones behind it, which need not ask any more, must not overtake it: their sequence numbers would
// be out of order.

import Collections
import Synchronization

final class TransactionalWrites: Sendable {
  typealias Write = @Sendable (_ done: @escaping @Sendable () -> Void) -> Void

  /// Who waits behind the write under way, by producer id.
  private let waiting = Mutex<[Int64: Deque<Write>]>([:])

  /// Calls `write` when all earlier writes of the producer are done, at once if there are none. It says when it is done,
  /// once.
  func enter(_ producerId: Int64, _ write: @escaping Write) {
    let isFirst = waiting.withLock { waiting in
      guard waiting[producerId] == nil else {
        waiting[producerId]!.append(write)
        return false
      }
      waiting[producerId] = []
      return true
    }
    if isFirst { begin(producerId, write) }
  }

  private func begin(_ producerId: Int64, _ write: Write) {
    write { [self] in
      let next = waiting.withLock { waiting -> Write? in
        if let next = waiting[producerId]?.popFirst() { return next }
        waiting[producerId] = nil
        return nil
      }
      if let next { begin(producerId, next) }
    }
  }
}
