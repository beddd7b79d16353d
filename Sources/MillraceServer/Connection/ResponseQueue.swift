// The answers of one connection, in the order of its requests.
//
// Every request takes a place at the end. Its place is filled whenever its answer is ready, in any order; what leaves
// is the prefix that is ready. A place can be filled once; an answer for a place that is gone is ignored.

import MillraceBroker
import NIOCore

/// A request's place in its connection's sequence, counted from 0.
struct RequestNumber: Hashable, Comparable, Sendable {
  var value: UInt64
  static func < (a: Self, b: Self) -> Bool { a.value < b.value }
}

struct ResponseQueue {
  private struct Place {
    /// Counted against the broker's request memory until answered.
    var requestBytes: Int
    var outcome: ResponseOutcome?
  }

  enum Front {
    case response(OutgoingResponse)
    case close(reason: String)
    /// Nothing can leave: the first request is still being worked on, or there is none.
    case none
  }

  private var places = CircularBuffer<Place>(initialCapacity: 8)
  private var first: UInt64 = 0

  /// Requests without an answer.
  private(set) var unansweredCount = 0
  /// Memory of the requests without an answer.
  private(set) var unansweredBytes = 0
  /// Memory of the answers that wait here.
  private(set) var readyBytes = 0

  var count: Int { places.count }
  var isEmpty: Bool { places.isEmpty }

  mutating func append(requestBytes: Int) -> RequestNumber {
    let number = RequestNumber(value: first &+ UInt64(places.count))
    places.append(Place(requestBytes: requestBytes))
    unansweredCount += 1
    unansweredBytes += requestBytes
    return number
  }

  /// Fills a place. Returns the request memory that is free now, or nil if the place was filled before or is gone.
  mutating func fill(_ number: RequestNumber, with outcome: consuming ResponseOutcome) -> Int? {
    guard number.value >= first, number.value - first < UInt64(places.count) else { return nil }
    let index = places.index(places.startIndex, offsetBy: Int(number.value - first))
    guard places[index].outcome == nil else { return nil }
    let requestBytes = places[index].requestBytes
    readyBytes += outcome.memoryBytes
    places[index].outcome = outcome
    unansweredCount -= 1
    unansweredBytes -= requestBytes
    return requestBytes
  }

  /// Takes the next answer that may leave. Requests without a response leave silently.
  mutating func popReady() -> Front {
    while let outcome = places.first?.outcome {
      places.removeFirst()
      first &+= 1
      readyBytes -= outcome.memoryBytes
      switch outcome {
      case .respond(let response): return .response(response)
      case .close(let reason): return .close(reason: reason)
      case .nothing: continue
      }
    }
    return .none
  }

  /// Drops every place. Returns the request memory that is free now.
  mutating func removeAll() -> Int {
    let freed = unansweredBytes
    first &+= UInt64(places.count)
    places.removeAll()
    unansweredCount = 0
    unansweredBytes = 0
    readyBytes = 0
    return freed
  }
}

extension ResponseOutcome {
  /// Bytes in memory; what is spliced in from files is read only when it can be sent.
  fileprivate var memoryBytes: Int {
    guard case .respond(let response) = self else { return 0 }
    return response.bytes.readableBytes
  }
}
