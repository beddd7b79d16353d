// Lets the transactional writes of each producer pass one at a time. A write may have to ask the coordinator before it
// is appended, and the ones behind it, which need not ask any more, must not overtake it: their sequence numbers would
// be out of order.

import Collections
import Synchronization

final class TransactionalWrites: Sendable {
  typealias Write = @Sendable (_ done: @escaping @Sendable () -> Void) -> Void

  /// Who waits behind the write under way, by producer id.
  private let waiting = Mutex<[Int64: Deque<Write>]>([:])

  /// How many writes of a producer may wait. A client has five requests under way; nothing else is behind this than one
  /// who opens connections to fill the memory.
  static let maxWaiting = 1000

  /// Calls `write` when all earlier writes of the producer are done, at once if there are none. It says when it is done,
  /// once, on any thread. False, and `write` is never called, if too many are waiting.
  func enter(_ producerId: Int64, _ write: @escaping Write) -> Bool {
    enum Place { case first, behind, none }
    let place = waiting.withLock { waiting -> Place in
      guard let queue = waiting[producerId] else {
        waiting[producerId] = []
        return .first
      }
      guard queue.count < Self.maxWaiting else { return .none }
      waiting[producerId]!.append(write)
      return .behind
    }
    if place == .first { run(producerId, write) }
    return place != .none
  }

  /// Calls one write after another for as long as they are done when they return. One that is done later goes on with
  /// the ones behind it from where it is done; so the stack does not grow with their number.
  private func run(_ producerId: Int64, _ first: @escaping Write) {
    var next: Write? = first
    while let write = next {
      let turn = Turn()
      write { [self] in
        if turn.isSecond(), let next = takeNext(producerId) { run(producerId, next) }
      }
      next = turn.isSecond() ? takeNext(producerId) : nil
    }
  }

  private func takeNext(_ producerId: Int64) -> Write? {
    waiting.withLock { waiting in
      if let next = waiting[producerId]?.popFirst() { return next }
      waiting[producerId] = nil
      return nil
    }
  }

  /// A write has to return and to be done. Who comes second goes on.
  private final class Turn: Sendable {
    private let isHalfOver = Atomic<Bool>(false)

    func isSecond() -> Bool { isHalfOver.exchange(true, ordering: .acquiringAndReleasing) }
  }
}
