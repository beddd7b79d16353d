// Where a transactional producer stands: a plain value that is told what happened and says what is to be done next.
// `TransactionSession` talks to the coordinators for it.
//
//    starting ──▶ ready ──▶ open ──▶ committing ──▶ ready
//                   ▲         │  ╲        │
//                   │         ▼   ▼       ▼ no answer
//                renewing   failed      unsettled ──▶ (the same ending once more)
//                   ▲         │
//                   └──── aborting ◀───┘
//
// - failed: something of the transaction did not work, so all that is left is to abort it.
// - unsettled: nobody knows whether the coordinator got the outcome; it has to be told again before anything else.
// - renewing: a sequence may be missing, so before the next transaction a new epoch begins (KIP-360). In version 2 every
//   transaction has an epoch of its own anyway (KIP-890).
// - dead: another producer has the transactional id now, or the coordinator will not have this one.

import MillraceProtocol

/// Under what a producer writes.
struct ProducerIdentity: Sendable, Equatable {
  var id: Int64
  var epoch: Int16
}

struct TransactionState: Sendable {
  /// How partitions get into a transaction.
  enum Version: Sendable, Equatable {
    /// The producer tells the coordinator first (KIP-98).
    case one
    /// With the first batch, and every transaction has an epoch of its own (KIP-890).
    case two
  }

  enum Outcome: Sendable, Equatable {
    case commit
    case abort
  }

  enum Phase: Sendable, Equatable {
    case starting
    case renewing
    case ready
    case open
    case failed(KafkaError)
    case ending(Outcome)
    case unsettled(Outcome)
    case dead(KafkaError)
    case closed
  }

  /// What has to be done before a transaction can begin.
  enum Preparation: Equatable {
    case nothing
    /// The transaction before has to be ended, once more.
    case settle(Outcome)
    /// A producer id is needed, or the next epoch of the one that we have.
    case initialize(after: ProducerIdentity?)
  }

  private(set) var phase = Phase.starting
  private(set) var identity: ProducerIdentity?
  private(set) var version = Version.one
  /// The coordinator may have something of this transaction.
  private(set) var hasContent = false
  /// How often partitions or groups were announced to the coordinator without an answer that it has them.
  private var openAnnouncements = 0

  // MARK: Beginning

  func preparation() throws(KafkaError) -> Preparation {
    switch phase {
    case .starting: return .initialize(after: nil)
    case .renewing: return .initialize(after: identity)
    case .ready: return .nothing
    case .unsettled(let outcome): return .settle(outcome)
    case .open, .failed, .ending:
      throw KafkaError(.invalidArgument, "a producer has one transaction at a time, and one is open")
    case .dead(let error): throw error
    case .closed: throw .closed("the producer")
    }
  }

  mutating func initialized(_ identity: ProducerIdentity) {
    guard phase == .starting || phase == .renewing else { return }
    self.identity = identity
    phase = .ready
  }

  /// The producer id could not be had. It may the next time, unless somebody else has it now.
  mutating func initializationFailed(_ error: KafkaError) -> KafkaError {
    guard phase == .starting || phase == .renewing else { return error }
    return TransactionFailure.isFatal(error, from: .coordinator) ? die(error) : error
  }

  mutating func begin(_ version: Version) throws(KafkaError) {
    guard case .nothing = try preparation() else {
      throw KafkaError(.invalidArgument, "the transaction before is not settled")
    }
    self.version = version
    hasContent = false
    openAnnouncements = 0
    phase = .open
  }

  // MARK: In the transaction

  /// Throws what stands against adding something to the transaction.
  func check() throws(KafkaError) {
    switch phase {
    case .open: return
    case .failed(let error), .dead(let error): throw error
    case .closed: throw .closed("the producer")
    case .starting, .renewing, .ready, .ending, .unsettled:
      throw KafkaError(.invalidArgument, "the transaction has ended; nothing can be added to it")
    }
  }

  /// Why records that are not written yet never will be.
  var failure: KafkaError? {
    switch phase {
    case .failed(let error), .dead(let error): error
    case .ending(.abort), .unsettled(.abort): .transactionAborted
    case .closed: .closed("the producer")
    case .starting, .renewing, .ready, .open, .ending(.commit), .unsettled(.commit): nil
    }
  }

  /// Something goes to a broker that makes it part of the transaction.
  mutating func writes() {
    hasContent = true
  }

  /// Partitions or a group are announced to the coordinator.
  mutating func announces() {
    hasContent = true
    openAnnouncements += 1
  }

  mutating func announced() {
    openAnnouncements -= 1
  }

  /// Something of the transaction did not work, so it cannot be committed any more.
  mutating func failed(_ error: KafkaError, from source: TransactionFailure.Source) {
    // Once the outcome is on its way nothing of the transaction is: what fails then was never part of it.
    guard phase == .open else { return }
    if TransactionFailure.isFatal(error, from: source) {
      _ = die(error)
    } else {
      phase = .failed(error)
    }
  }

  // MARK: Ending

  /// Begins to commit. Nil: there is nothing to tell the coordinator, and that was it.
  ///
  /// - Throws: why it has to be aborted instead.
  mutating func commit() throws(KafkaError) -> Outcome? {
    try check()
    guard hasContent else {
      phase = .ready
      return nil
    }
    phase = .ending(.commit)
    return .commit
  }

  /// Begins to abort. False when there is no transaction that could be.
  mutating func abort() -> Bool {
    switch phase {
    case .open, .failed:
      phase = .ending(.abort)
      return true
    case .starting, .renewing, .ready, .ending, .unsettled, .dead, .closed: return false
    }
  }

  /// What is to be told to the coordinator when nothing of an aborted transaction is on its way any more. Nil: nothing,
  /// and that was it.
  mutating func abortion(hasBrokenSequences: Bool) -> Outcome? {
    guard phase == .ending(.abort) else { return nil }
    guard hasContent else {
      phase = hasBrokenSequences ? .renewing : .ready
      return nil
    }
    return .abort
  }

  /// The coordinator took the outcome. `next`: what to go on with, in version 2.
  mutating func ended(_ next: ProducerIdentity?, hasBrokenSequences: Bool) {
    switch phase {
    case .ending, .unsettled: break
    case .starting, .renewing, .ready, .open, .failed, .dead, .closed: return
    }
    if let next {
      identity = next
      phase = .ready
    } else {
      phase = hasBrokenSequences || openAnnouncements > 0 ? .renewing : .ready
    }
  }

  /// The coordinator did not take the outcome. Returns what to say of it; nil when that is just as well.
  mutating func endFailed(_ error: KafkaError) -> KafkaError? {
    let outcome: Outcome
    switch phase {
    case .ending(let ending), .unsettled(let ending): outcome = ending
    case .starting, .renewing, .ready, .open, .failed, .dead, .closed: return error
    }
    // What was announced did not arrive, so the coordinator knows of no transaction.
    if outcome == .abort, openAnnouncements > 0, error.brokerCode == .invalidTxnState {
      phase = .renewing
      return nil
    }
    if TransactionFailure.isFatal(error, from: .coordinator) { return die(error) }
    // The answer says that it was not: it has to be aborted.
    if outcome == .commit, error.brokerCode == .transactionAbortable {
      phase = .failed(error)
      return error
    }
    guard error.isRetriable || error.code != .broker else { return die(error) }
    phase = .unsettled(outcome)
    return outcome == .commit
      ? error.adding("it is not known whether the transaction was committed") : error
  }

  mutating func close() {
    phase = .closed
  }

  private mutating func die(_ error: KafkaError) -> KafkaError {
    let error = TransactionFailure.fenced(error)
    phase = .dead(error)
    return error
  }
}
