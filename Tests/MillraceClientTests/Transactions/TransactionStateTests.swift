// A transactional producer's life as its coordinator sees it: no socket, no clock.

import MillraceProtocol
import Testing

@testable import MillraceClient

@Suite struct TransactionStateTests {
  private let first = ProducerIdentity(id: 7, epoch: 0)
  private let second = ProducerIdentity(id: 7, epoch: 1)

  private func error(_ code: ErrorCode) -> KafkaError { KafkaError(brokerCode: code, about: "a test") }
  private var lost: KafkaError { KafkaError(.connectionFailed, "the connection was lost") }

  private func opened(_ version: TransactionState.Version = .two) throws -> TransactionState {
    var state = TransactionState()
    state.initialized(first)
    try state.begin(version)
    return state
  }

  /// In the middle of telling the coordinator the outcome.
  private func ending(
    _ outcome: TransactionState.Outcome, _ version: TransactionState.Version = .two
  ) throws -> TransactionState {
    var state = try opened(version)
    state.writes()
    switch outcome {
    case .commit: _ = try state.commit()
    case .abort:
      _ = state.abort()
      _ = state.abortion(hasBrokenSequences: false)
    }
    return state
  }

  @Test func `a producer id comes first`() throws {
    var state = TransactionState()
    #expect(try state.preparation() == .initialize(after: nil))
    #expect(throws: KafkaError.self) { try state.begin(.two) }
    state.initialized(first)
    #expect(try state.preparation() == .nothing)
    try state.begin(.two)
    try state.check()
  }

  @Test func `a commit goes on with the epoch that the coordinator gives`() throws {
    var state = try ending(.commit)
    #expect(state.phase == .ending(.commit))
    state.ended(second, hasBrokenSequences: false)
    #expect(state.phase == .ready)
    #expect(state.identity == second)
  }

  @Test func `what fails once the outcome is on its way does not concern it`() throws {
    var state = try ending(.commit)
    state.failed(error(.invalidTxnState), from: .coordinator)
    state.ended(second, hasBrokenSequences: false)
    #expect(state.phase == .ready)
    #expect(state.identity == second)
  }

  @Test func `in version 1 the epoch stays over a commit`() throws {
    var state = try ending(.commit, .one)
    state.ended(nil, hasBrokenSequences: false)
    #expect(state.phase == .ready)
    #expect(state.identity == first)
  }

  @Test func `the coordinator hears nothing of an empty transaction`() throws {
    var committed = try opened()
    let commit = try committed.commit()
    #expect(commit == nil)
    #expect(committed.phase == .ready)
    var aborted = try opened()
    let isAborting = aborted.abort()
    #expect(isAborting)
    let outcome = aborted.abortion(hasBrokenSequences: false)
    #expect(outcome == nil)
    #expect(aborted.phase == .ready)
  }

  @Test func `one transaction is open at a time, and nothing is added to one that has ended`() throws {
    var state = try opened()
    #expect(throws: KafkaError.self) { try state.preparation() }
    _ = try state.commit()
    let error = #expect(throws: KafkaError.self) { try state.check() }
    #expect(error?.code == .invalidArgument)
  }

  @Test func `after a failure a transaction can be aborted only, and the next one is as good as any`() throws {
    var state = try opened()
    state.writes()
    state.failed(error(.messageTooLarge), from: .partition)
    #expect(state.failure?.brokerCode == .messageTooLarge)
    #expect(throws: KafkaError.self) { try state.check() }
    #expect(throws: KafkaError.self) { _ = try state.commit() }
    let isAborting = state.abort()
    #expect(isAborting)
    #expect(state.failure == .transactionAborted)
    let outcome = state.abortion(hasBrokenSequences: true)
    #expect(outcome == .abort)
    state.ended(second, hasBrokenSequences: true)
    #expect(try state.preparation() == .nothing)
    #expect(state.failure == nil)
  }

  @Test func `in version 1 a missing sequence needs the next epoch`() throws {
    var state = try ending(.abort, .one)
    state.ended(nil, hasBrokenSequences: true)
    #expect(try state.preparation() == .initialize(after: first))
    state.initialized(second)
    #expect(try state.preparation() == .nothing)
    #expect(state.identity == second)
  }

  @Test func `what was announced without an answer may not be known, and needs the next epoch`() throws {
    for code in [ErrorCode.none, .invalidTxnState] {
      var state = try opened(.one)
      state.announces()
      state.failed(lost, from: .coordinator)
      _ = state.abort()
      let outcome = state.abortion(hasBrokenSequences: false)
      #expect(outcome == .abort)
      if code == .none {
        state.ended(nil, hasBrokenSequences: false)
      } else {
        let said = state.endFailed(error(code))
        #expect(said == nil)
      }
      #expect(try state.preparation() == .initialize(after: first))
    }
  }

  @Test func `what was announced with an answer is known`() throws {
    var state = try opened(.one)
    state.announces()
    state.announced()
    _ = state.abort()
    _ = state.abortion(hasBrokenSequences: false)
    let said = state.endFailed(error(.invalidTxnState))
    #expect(said != nil)
    #expect(throws: KafkaError.self) { try state.preparation() }
  }

  @Test func `an outcome without an answer is told once more before anything else`() throws {
    for outcome in [TransactionState.Outcome.commit, .abort] {
      var state = try ending(outcome)
      let said = state.endFailed(lost)
      #expect(said != nil)
      #expect(try state.preparation() == .settle(outcome))
      state.ended(second, hasBrokenSequences: true)
      #expect(try state.preparation() == .nothing)
      #expect(state.identity == second)
    }
  }

  @Test func `an outcome that was cancelled while it was told once more stays to be told`() throws {
    var state = try ending(.commit)
    _ = state.endFailed(lost)
    _ = state.endFailed(.cancelled)
    #expect(try state.preparation() == .settle(.commit))
  }

  @Test func `a commit that the coordinator wants aborted is`() throws {
    var state = try ending(.commit)
    let said = state.endFailed(error(.transactionAbortable))
    #expect(said?.brokerCode == .transactionAbortable)
    let isAborting = state.abort()
    #expect(isAborting)
    let outcome = state.abortion(hasBrokenSequences: false)
    #expect(outcome == .abort)
  }

  @Test(arguments: [ErrorCode.producerFenced, .invalidProducerEpoch, .invalidProducerIdMapping])
  func `a coordinator that knows another producer ends this one`(_ code: ErrorCode) throws {
    var states = [try ending(.commit), try ending(.abort)]
    for index in states.indices { _ = states[index].endFailed(error(code)) }
    var failed = try opened()
    failed.failed(error(code), from: .coordinator)
    var starting = TransactionState()
    _ = starting.initializationFailed(error(code))
    for state in states + [failed, starting] {
      let error = #expect(throws: KafkaError.self) { try state.preparation() }
      #expect(error?.code == .fenced)
      var state = state
      let isAborting = state.abort()
      #expect(!isAborting)
    }
  }

  @Test func `a partition that does not like the epoch does not end the producer`() throws {
    var state = try opened()
    state.writes()
    state.failed(error(.invalidProducerEpoch), from: .partition)
    let isAborting = state.abort()
    #expect(isAborting)
  }

  @Test(arguments: [
    ErrorCode.transactionalIdAuthorizationFailed, .clusterAuthorizationFailed, .producerFenced,
    .unsupportedForMessageFormat,
  ])
  func `some errors end the producer whoever says them`(_ code: ErrorCode) throws {
    for source in [TransactionFailure.Source.partition, .coordinator] {
      var state = try opened()
      state.failed(error(code), from: source)
      let error = #expect(throws: KafkaError.self) { try state.preparation() }
      #expect(error?.brokerCode == code)
    }
  }

  @Test(arguments: [
    ErrorCode.groupAuthorizationFailed, .topicAuthorizationFailed, .unknownMemberId, .illegalGeneration,
    .fencedInstanceId, .transactionAbortable, .outOfOrderSequenceNumber,
  ])
  func `most errors end the transaction only`(_ code: ErrorCode) throws {
    var state = try opened()
    state.failed(error(code), from: .coordinator)
    let isAborting = state.abort()
    #expect(isAborting)
  }

  @Test func `only the first failure counts, and none that comes after the end`() throws {
    var state = try opened()
    state.failed(lost, from: .partition)
    state.failed(error(.messageTooLarge), from: .partition)
    #expect(state.failure == lost)
    _ = state.abort()
    state.failed(error(.producerFenced), from: .partition)
    #expect(state.phase == .ending(.abort))
  }

  @Test func `a producer id that could not be had may be had later`() throws {
    var state = TransactionState()
    let said = state.initializationFailed(lost)
    #expect(said == lost)
    #expect(try state.preparation() == .initialize(after: nil))
  }

  @Test func `after closing nothing begins`() throws {
    var state = try opened()
    state.close()
    let error = #expect(throws: KafkaError.self) { try state.preparation() }
    #expect(error?.code == .closed)
    #expect(throws: KafkaError.self) { try state.check() }
  }
}
