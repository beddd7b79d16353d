// The requests of a connection that wait for their answers. A broker answers in the order of the requests, so an answer
// belongs to the oldest one; its correlation id must say the same.

import NIOCore

struct RequestPipeline<Completion> {
  enum Failure: Error, Equatable {
    case nothingAsked(correlationId: Int32)
    case outOfOrder(expected: Int32, received: Int32)
  }

  private struct Waiting {
    var correlationId: Int32
    var deadline: NIODeadline
    var completion: Completion
  }

  private var waiting = CircularBuffer<Waiting>()

  var count: Int { waiting.count }
  var isEmpty: Bool { waiting.isEmpty }

  mutating func sent(_ correlationId: Int32, deadline: NIODeadline, _ completion: Completion) {
    waiting.append(Waiting(correlationId: correlationId, deadline: deadline, completion: completion))
  }

  /// The completion that an answer with `correlationId` belongs to.
  mutating func answered(_ correlationId: Int32) throws(Failure) -> Completion {
    guard let oldest = waiting.first else { throw .nothingAsked(correlationId: correlationId) }
    guard oldest.correlationId == correlationId else {
      throw .outOfOrder(expected: oldest.correlationId, received: correlationId)
    }
    waiting.removeFirst()
    return oldest.completion
  }

  /// When the first of the waiting requests times out. They may have different time-outs, so it need not be the oldest.
  var nextDeadline: NIODeadline? {
    waiting.lazy.map(\.deadline).min()
  }

  /// Empties the pipeline of a connection that is gone.
  mutating func removeAll() -> [Completion] {
    defer { waiting.removeAll() }
    return waiting.map(\.completion)
  }
}
