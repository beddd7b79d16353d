// Carries a `TransactionState` through its requests to the coordinators. What it does not do is touch records: that is
// the `ProduceSender`'s, which asks here whether it may and tells when something failed.

import MillraceProtocol
import Synchronization

final class TransactionSession: Sendable {
  let transactionalId: String
  private let timeout: Duration
  private let cluster: Cluster
  private let state = Mutex(TransactionState())
  /// The announcement of partitions that began last. The end of the transaction waits for it.
  private let announcement = Mutex<Deferred<Void>?>(nil)

  init(_ transactionalId: String, timeout: Duration, _ cluster: Cluster) {
    self.transactionalId = transactionalId
    self.timeout = timeout
    self.cluster = cluster
  }

  // MARK: For the sender

  var failure: KafkaError? { state.withLock { $0.failure } }
  var version: TransactionState.Version { state.withLock { $0.version } }
  var isEnding: Bool { state.withLock { if case .ending = $0.phase { true } else { false } } }

  /// Records are about to be sent.
  func sends() {
    state.withLock { $0.writes() }
  }

  func recordsFailed(_ error: KafkaError) {
    state.withLock { $0.failed(error, from: .partition) }
  }

  /// Begins to make partitions part of the transaction, in version 1: it does not end before `done` is fulfilled. False
  /// when none is open.
  func startAnnouncing(_ done: Deferred<Void>) -> Bool {
    state.withLock { state in
      guard state.phase == .open else { return false }
      state.announces()
      announcement.withLock { $0 = done }
      return true
    }
  }

  /// Makes partitions part of the transaction, after `startAnnouncing`. Throws when the transaction has failed by that.
  func announce(_ partitions: [TopicPartition]) async throws(KafkaError) {
    try await failing { () throws(KafkaError) in
      try await self.cluster.add(partitions, to: try self.current()) { () throws(KafkaError) in try self.check() }
      self.state.withLock { $0.announced() }
    }
  }

  // MARK: In the transaction

  /// Throws what stands against adding something to the transaction.
  func check() throws(KafkaError) {
    let result = state.withLock { state -> Result<Void, KafkaError> in
      Result { () throws(KafkaError) in try state.check() }
    }
    try result.get()
  }

  func commit(
    _ offsets: [TopicPartition: OffsetAndMetadata], _ group: GroupIdentity
  ) async throws(KafkaError) {
    try check()
    guard !offsets.isEmpty else { return }
    let version = version
    state.withLock { version == .one ? $0.announces() : $0.writes() }
    try await failing { () throws(KafkaError) in
      let check: @Sendable () throws(KafkaError) -> Void = { () throws(KafkaError) in try self.check() }
      let transaction = try self.current()
      if version == .one {
        try await self.cluster.add(group: group.group, to: transaction, check: check)
        self.state.withLock { $0.announced() }
      }
      try await self.cluster.commit(offsets, group, in: transaction, version, check: check)
    }
  }

  private func current() throws(KafkaError) -> TransactionIdentity {
    guard let identity = state.withLock({ $0.identity }) else { throw .closed("the transaction") }
    return TransactionIdentity(transactionalId: transactionalId, producer: identity)
  }

  private func failing(_ body: () async throws(KafkaError) -> Void) async throws(KafkaError) {
    do throws(KafkaError) {
      try await body()
    } catch {
      state.withLock { $0.failed(error, from: .coordinator) }
      throw error
    }
  }

  // MARK: Beginning and ending

  /// Makes the producer ready for a transaction. Returns the identity to write under when it is a new one.
  func prepare() async throws(KafkaError) -> ProducerIdentity? {
    var fresh: ProducerIdentity?
    while true {
      let next = state.withLock { state in
        Result { () throws(KafkaError) in try state.preparation() }
      }
      switch try next.get() {
      case .nothing: return fresh
      case .settle(let outcome):
        fresh = try await tell(outcome, hasBrokenSequences: true) ?? fresh
      case .initialize(let previous):
        do throws(KafkaError) {
          let identity = try await cluster.initProducerId(transactionalId, timeout: timeout, after: previous)
          state.withLock { $0.initialized(identity) }
          fresh = identity
        } catch {
          throw state.withLock { $0.initializationFailed(error) }
        }
      }
    }
  }

  func begin() async throws(KafkaError) {
    let version = try await cluster.transactionVersion(of: transactionalId)
    let result = state.withLock { state in
      Result { () throws(KafkaError) in try state.begin(version) }
    }
    try result.get()
  }

  /// Commits what all brokers have. Returns the identity to go on with when it is a new one.
  func commit() async throws(KafkaError) -> ProducerIdentity? {
    let outcome = state.withLock { state in
      Result { () throws(KafkaError) in try state.commit() }
    }
    guard try outcome.get() != nil else { return nil }
    return try await tell(.commit, hasBrokenSequences: false)
  }

  /// From here on records of the transaction fail. False when there is none.
  func startAborting() -> Bool {
    state.withLock { $0.abort() }
  }

  /// Aborts, when nothing is on its way any more. Returns the identity to go on with when it is a new one.
  func abort(hasBrokenSequences: Bool) async throws(KafkaError) -> ProducerIdentity? {
    guard state.withLock({ $0.abortion(hasBrokenSequences: hasBrokenSequences) }) != nil else { return nil }
    return try await tell(.abort, hasBrokenSequences: hasBrokenSequences)
  }

  private func tell(
    _ outcome: TransactionState.Outcome, hasBrokenSequences: Bool
  ) async throws(KafkaError) -> ProducerIdentity? {
    // Should it arrive after the end, it would open a transaction that nobody ends.
    try await announcement.withLock { $0 }?.value()
    do throws(KafkaError) {
      let next = try await cluster.end(try current(), outcome, version)
      state.withLock { $0.ended(next, hasBrokenSequences: hasBrokenSequences) }
      return next
    } catch {
      if let failure = state.withLock({ $0.endFailed(error) }) { throw failure }
      return nil
    }
  }

  func close() {
    state.withLock { $0.close() }
  }
}
