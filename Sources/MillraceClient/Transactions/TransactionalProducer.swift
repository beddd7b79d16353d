// The public face of transactions. Behind it: a `Producer` for the records, a `TransactionSession` for the coordinators.

import NIOCore
import Synchronization

/// Writes records, and offsets of what they were made from, all or not at all (KIP-98).
///
/// ```swift
/// let producer = try await TransactionalProducer(ProducerConfiguration(client), transactionalId: "billing-1")
/// for try await batch in consumer.batches {
///   try await producer.withTransaction { transaction in
///     for order in batch { try await transaction.enqueue(invoice(for: order)) }
///     try await transaction.commit(of: consumer)
///   }
/// }
/// await producer.close()
/// ```
///
/// Readers with ``IsolationLevel/readCommitted`` see the records of a transaction when it is committed, and none of one
/// that was aborted. Of all producers with a transactional id only the one that was made last can write: those before are
/// fenced, so that a program that was thought dead does no harm.
public final class TransactionalProducer: Sendable {
  private let producer: Producer
  private let session: TransactionSession
  /// There while a transaction is open; fulfilled when it has ended.
  private let current = Mutex<Deferred<Void>?>(nil)
  /// No transaction begins any more.
  private let isFinished = Atomic<Bool>(false)
  private let isClosed = Atomic<Bool>(false)

  /// Connects to the cluster and takes over the transactional id: a producer that has it is fenced, and its open
  /// transaction is ended.
  ///
  /// - Parameters:
  ///   - configuration: the cluster, and how to write to it. `acks` must be `.all`, and the producer idempotent.
  ///   - transactionalId: names the producer across restarts (`transactional.id`).
  ///   - transactionTimeout: how long a transaction may be open before the coordinator aborts it
  ///     (`transaction.timeout.ms`). Brokers have a limit to it.
  ///   - onDelivery: as for a ``Producer``.
  public init(
    _ configuration: ProducerConfiguration, transactionalId: String, transactionTimeout: Duration = .seconds(60),
    onDelivery: (@Sendable (DeliveryReport) -> Void)? = nil
  ) async throws(KafkaError) {
    guard !transactionalId.isEmpty else {
      throw KafkaError(.configuration, "the transactional id must not be empty")
    }
    guard configuration.usesIdempotence else {
      throw KafkaError(.configuration, "transactions need an idempotent producer with acks all")
    }
    guard transactionTimeout > .zero else {
      throw KafkaError(.configuration, "transactionTimeout must be greater than zero")
    }
    let (configuration, cluster) = try await Producer.connect(configuration)
    session = TransactionSession(transactionalId, timeout: transactionTimeout, cluster)
    producer = Producer(
      ProduceSender(
        configuration, cluster, on: configuration.client.eventLoopGroup.next(), onDelivery: onDelivery,
        transactions: session))
    do throws(KafkaError) {
      try await prepare()
    } catch {
      producer.sender.close()
      throw error
    }
  }

  /// Runs `body` in a transaction: commits what it wrote when it returns, aborts that when it throws.
  ///
  /// One transaction is open at a time. When it is aborted, or the task is cancelled before it is being committed,
  /// nothing of it was written; a consumer has to go back to where it was (``Consumer/seek(_:to:)``) to read once more.
  ///
  /// - Throws: what `body` throws; or `KafkaError` when the transaction was aborted because something of it could not be
  ///   written. With code `.fenced` the producer is of no use any more, nor is it after any other error that all later
  ///   calls repeat. With `.timedOut` or `.connectionFailed` from the commit itself it is not known whether it came
  ///   through; the next call finds out first.
  public func withTransaction<Value>(
    isolation actor: isolated (any Actor)? = #isolation, _ body: (Transaction) async throws -> sending Value
  ) async throws -> sending Value {
    let ended = Deferred<Void>()
    try enter(ended)
    defer { leave(ended) }

    try await prepare()
    try await session.begin()
    producer.sender.openTransaction(announces: session.version == .one)
    let value: Value
    do {
      value = try await body(Transaction(producer, session))
      // Cancellation counts until here: from now on it could not be said what became of the records.
      try await producer.sender.flush(closing: true)
      if Task.isCancelled { throw KafkaError.cancelled }
      try session.check()
    } catch {
      await abort()
      // That somebody else has the id is the reason behind whatever a partition said.
      if let failure = session.failure, failure.code == .fenced { throw failure }
      throw error
    }
    try await commit()
    return value
  }

  /// Begins no transaction from now on, and waits for the end of one that is open. When the task is cancelled, it does not
  /// wait.
  func finish() async {
    isFinished.store(true, ordering: .sequentiallyConsistent)
    if let current = current.withLock({ $0 }) { try? await current.value() }
  }

  /// Aborts what is open and closes the connections.
  public func close() async {
    isFinished.store(true, ordering: .sequentiallyConsistent)
    guard !isClosed.exchange(true, ordering: .sequentiallyConsistent) else { return }
    await abort()
    // Elsewhere it is being ended. A body that still runs is not waited for: it finds its transaction aborted.
    if session.isEnding, let current = current.withLock({ $0 }) { try? await current.value() }
    session.close()
    producer.sender.close()
  }

  // MARK: One at a time

  private func enter(_ transaction: Deferred<Void>) throws(KafkaError) {
    let refusal = current.withLock { current -> KafkaError? in
      if isFinished.load(ordering: .sequentiallyConsistent) { return .closed("the producer") }
      guard current == nil else {
        return KafkaError(.invalidArgument, "a producer has one transaction at a time, and one is open")
      }
      current = transaction
      return nil
    }
    if let refusal { throw refusal }
  }

  private func leave(_ transaction: Deferred<Void>) {
    current.withLock { $0 = nil }
    transaction.fulfil(.success(()))
  }

  // MARK: Steps

  private func prepare() async throws(KafkaError) {
    if let identity = try await session.prepare() { producer.sender.adopt(identity) }
  }

  /// Beside the task: when that is cancelled the coordinator has to be told all the same.
  private func commit() async throws(KafkaError) {
    let start = NIODeadline.now()
    let result = await Task { [session] () async -> Result<ProducerIdentity?, KafkaError> in
      do throws(KafkaError) {
        return .success(try await session.commit())
      } catch {
        return .failure(error)
      }
    }.value
    do throws(KafkaError) {
      if let identity = try result.get() { producer.sender.adopt(identity) }
      producer.sender.metrics?.commitTime.record(since: start)
    } catch {
      await abort()
      throw error
    }
  }

  private func abort() async {
    let sender = producer.sender
    guard session.startAborting() else {
      // Of a producer that is dead, records may wait.
      if let failure = session.failure { sender.abandon(failure) }
      return
    }
    await Task { [session] in
      let start = NIODeadline.now()
      sender.abandon(.transactionAborted)
      try? await sender.flush(closing: true)
      do throws(KafkaError) {
        let identity = try await session.abort(hasBrokenSequences: sender.hasBrokenSequences)
        if let identity { sender.adopt(identity) }
        sender.metrics?.abortTime.record(since: start)
      } catch {
        // The next transaction begins by trying once more, or says why none can.
        sender.logger.debug(
          "a transaction was not aborted", metadata: ["id": "\(session.transactionalId)", "error": "\(error)"])
      }
    }.value
  }
}
