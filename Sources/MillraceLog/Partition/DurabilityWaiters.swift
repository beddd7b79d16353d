// Who waits for the high watermark, in the order of the offsets waited for. Callbacks are handed out, not called: nobody
// calls them with a lock held.

import DequeModule

struct DurabilityWaiters {
  typealias Callback = @Sendable (Result<Void, LogError>) -> Void

  private var waiting: Deque<(offset: Int64, callback: Callback)> = []
  /// Why no offset beyond the high watermark will ever become durable.
  private(set) var failure: LogError?

  var isEmpty: Bool { waiting.isEmpty }

  mutating func add(_ offset: Int64, _ callback: @escaping Callback) {
    // Nearly always the largest so far.
    var index = waiting.endIndex
    while index > waiting.startIndex, waiting[index - 1].offset > offset { index -= 1 }
    waiting.insert((offset, callback), at: index)
  }

  mutating func take(through highWatermark: Int64) -> [Callback] {
    var taken: [Callback] = []
    while let first = waiting.first, first.offset <= highWatermark {
      taken.append(first.callback)
      waiting.removeFirst()
    }
    return taken
  }

  mutating func fail(_ error: LogError) -> [Callback] {
    if failure == nil { failure = error }
    defer { waiting = [] }
    return waiting.map(\.callback)
  }

  /// Those who wait for more than the log still has.
  mutating func take(after logEndOffset: Int64) -> [Callback] {
    var taken: [Callback] = []
    while let last = waiting.last, last.offset > logEndOffset {
      taken.append(last.callback)
      waiting.removeLast()
    }
    return taken.reversed()
  }
}
