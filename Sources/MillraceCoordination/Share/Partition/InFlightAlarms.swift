// When to look at which offsets: the ends of acquisition locks, and the times of delayed retries.
//
// An alarm says only that something there may have run out; the run itself knows its deadline. So a lock that is
// renewed or given back touches no alarm: it goes off at the old time, finds what is there, and is set again if need be.
// Every run that has a deadline is covered by an alarm that goes off no later.

import Collections

struct InFlightAlarms: Sendable {
  struct Alarm: Sendable, Comparable {
    var deadlineMs: Int64
    var offsets: ClosedRange<Int64>

    static func < (a: Alarm, b: Alarm) -> Bool { a.deadlineMs < b.deadlineMs }
  }

  /// Alarms that nothing depends on any more are cleared away when there are this many more than twice the needed.
  private static let slack = 64

  private var heap = Heap<Alarm>()

  var nextMs: Int64? { heap.min?.deadlineMs }
  var count: Int { heap.count }

  mutating func set(_ offsets: ClosedRange<Int64>, at deadlineMs: Int64) {
    heap.insert(Alarm(deadlineMs: deadlineMs, offsets: offsets))
  }

  /// The offsets of the next alarm that has gone off.
  mutating func popDue(_ nowMs: Int64) -> ClosedRange<Int64>? {
    guard let next = heap.min, next.deadlineMs <= nowMs else { return nil }
    return heap.removeMin().offsets
  }

  /// Keeps the memory within twice of what the runs need.
  mutating func tidy(_ runs: InFlightRuns) {
    guard heap.count > 2 * runs.tally.deadlines + Self.slack else { return }
    var needed: [Alarm] = []
    var next = runs.startPosition
    while let position = next {
      let run = runs[position]
      if let deadlineMs = run.deadlineMs { needed.append(Alarm(deadlineMs: deadlineMs, offsets: run.offsets)) }
      next = runs.position(after: position)
    }
    heap = Heap(needed)
  }
}
