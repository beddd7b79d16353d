// What a service tells about itself, for people to watch. Nothing is decided by it, and the audit does not look at it.

import Synchronization

final class StageTally: Sendable {
  struct Counts: Sendable, Equatable {
    var records = 0
    var transactions = 0
    var retries = 0
    var deadLetters = 0
    var kills = 0
    var failures = 0
    /// How many records wait for the stage; nil when nobody has looked.
    var lag: Int64?
    var lastFailure: String?
  }

  let name: String
  private let state = Mutex(Counts())

  init(_ name: String) { self.name = name }

  var counts: Counts { state.withLock { $0 } }

  func committed(_ records: Int) {
    state.withLock {
      $0.records += records
      $0.transactions += 1
    }
  }

  func retried() { state.withLock { $0.retries += 1 } }
  func deadLettered() { state.withLock { $0.deadLetters += 1 } }
  func killed() { state.withLock { $0.kills += 1 } }
  func lags(by records: Int64) { state.withLock { $0.lag = records } }

  func failed(_ error: any Error) {
    state.withLock {
      $0.failures += 1
      $0.lastFailure = "\(error)"
    }
  }
}
