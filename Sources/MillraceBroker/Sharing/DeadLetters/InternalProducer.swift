// A transactional producer inside the broker: what it writes into several partitions becomes visible together or not at
// all, as for any other (KIP-98, KIP-890), but without the way over the network. It blocks, and is used by one thread at
// a time.
//
//   whole before? ──▶ partitions added ──▶ batches appended ──▶ all durable ──▶ EndTxn decided, durable
//
// Its transactional id is an ordinary one: tools list it, and after a crash the coordinator completes or aborts what
// was open.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords
import NIOCore

final class InternalProducer: @unchecked Sendable {
  /// Longer than any transaction of the broker's own takes; after a crash it is aborted by the next one anyway.
  private static let timeoutMs: Int32 = 60_000
  private static let retryDelay = Duration.milliseconds(50)
  private static let initialAttempts = 100
  /// The versions whose clients raise the epoch with each transaction, and leave adding partitions to the broker.
  private static let raisingEndTxn: Int16 = 5
  private static let keepingEndTxn: Int16 = 4

  private let transactionalId: String
  private let catalog: CatalogRuntime
  private let transactions: TransactionRuntime
  private let clock: any BrokerClock
  private var producer: (id: Int64, epoch: Int16)?
  /// What comes next in partitions that the current epoch wrote to.
  private var sequences: [TransactionPartition: Int32] = [:]
  /// What the open transaction has appended, and has to be durable before its outcome is decided.
  private var appended: [TransactionPartition: (log: PartitionLog, end: Int64)] = [:]
  private var isOpen = false

  init(
    transactionalId: String, catalog: CatalogRuntime, transactions: TransactionRuntime, clock: any BrokerClock
  ) {
    self.transactionalId = transactionalId
    self.catalog = catalog
    self.transactions = transactions
    self.clock = clock
  }

  enum Outcome {
    case committed
    /// Nothing of it will ever be visible.
    case aborted(ProduceFailure)
    /// The coordinator will complete or abort it: only what is read afterwards tells.
    case unknown(ProduceFailure)
  }

  /// Runs `body`, which appends, and commits what it did, or aborts it when `body` throws.
  func transact(_ body: (InternalProducer) throws(ProduceFailure) -> Void) -> Outcome {
    do throws(ProduceFailure) {
      try prepare()
      try body(self)
      try waitUntilDurable()
    } catch {
      if isOpen { try? end(commits: false) }
      // The next one takes the id over anew, which also aborts what could not be aborted now.
      producer = nil
      return .aborted(error)
    }
    guard isOpen else { return .committed }
    do throws(ProduceFailure) {
      try end(commits: true)
      return .committed
    } catch {
      producer = nil
      return .unknown(error)
    }
  }

  // MARK: Within a transaction

  /// Appends a batch to a topic, held to the same rules as one that comes from a client.
  func append(_ records: inout BatchBuilder, _ compression: CompressionType, to index: Int32, of topic: Topic)
    throws(ProduceFailure)
  {
    guard let partition = topic.partition(index) else { throw ProduceFailure(.unknownTopicOrPartition) }
    let place = TransactionPartition(topic: topic.name, partition: index)
    let transaction = try join(place, partition.log)
    let count = records.recordCount
    let sequence = sequences[place] ?? 0
    var fields = BatchFields(
      producerId: current.id, producerEpoch: current.epoch, baseSequence: sequence, isTransactional: true)
    fields.compression = compression
    let batch: [UInt8]
    do { batch = try records.build(fields) } catch { throw ProduceFailure(.unknownServerError, "\(error)") }
    let result = try ProduceAppend.append(
      .bytes(ByteBuffer(bytes: batch)), to: partition, of: topic, version: ProduceRequest.stableVersions.upperBound,
      transaction, nowMs: clock.nowMs())
    sequences[place] = (sequence &+ count) & .max
    appended[place] = (partition.log, result.lastOffset + 1)
  }

  /// Makes a partition part of the transaction; says what a batch appended there has to stand to.
  func join(_ place: TransactionPartition, _ log: PartitionLog) throws(ProduceFailure) -> TransactionGuard {
    let token: UInt64?
    do throws(LogError) {
      token = try log.beginVerification(producerId: current.id, epoch: current.epoch)
    } catch { throw ProduceFailure(error) }
    guard let token else { return .open }
    let claim = TransactionRuntime.Claim(
      transactionalId: transactionalId, producerId: current.id, producerEpoch: current.epoch)
    let code: ErrorCode = waiting {
      transactions.addPartitions([place], claim, clientVersion: TransactionVersion.latest, mayWait: false, $0)
    }
    guard code == .none else {
      log.endVerification(producerId: current.id, token: token)
      throw ProduceFailure(
        code, "The transaction coordinator does not take partition \(place.partition) of topic \(place.topic).")
    }
    isOpen = true
    return .verified(token: token, fromTheStart: sequences[place] == nil)
  }

  /// Who writes, for batches that are appended by others.
  var current: (id: Int64, epoch: Int16) {
    guard let producer else { preconditionFailure("no transaction was begun") }
    return producer
  }

  // MARK: Beginning and ending

  private func prepare() throws(ProduceFailure) {
    isOpen = false
    appended = [:]
    if producer == nil { try initialize() }
    // The outcome of the one before has to stand everywhere.
    waitUntilDone { transactions.whenComplete(transactionalId, $0) }
  }

  /// Takes the transactional id over. A transaction of before a crash is completed or aborted by that.
  func initialize() throws(ProduceFailure) {
    let made: Result<Topic, CatalogError> = waiting {
      catalog.ensureTopic(named: TransactionRuntime.topicName, done: $0)
    }
    switch made {
    case .success(let topic): transactions.adopt(topic, isNew: true)
    case .failure(let error): throw ProduceFailure(error.code, error.message)
    }
    let request = InitProducerIdRequest(
      transactionalId: transactionalId, transactionTimeoutMs: Self.timeoutMs, producerId: -1, producerEpoch: -1)
    var code = ErrorCode.none
    for _ in 0..<Self.initialAttempts {
      let response: InitProducerIdResponse = waiting { transactions.initProducerId(request, $0) }
      code = ErrorCode(rawValue: response.errorCode)
      switch code {
      case .none:
        become(response.producerId, response.producerEpoch)
        return
      case .concurrentTransactions, .coordinatorLoadInProgress: pause(Self.retryDelay)
      default: throw ProduceFailure(code, "The transaction coordinator refuses a producer id.")
      }
    }
    throw ProduceFailure(code, "The transaction before does not come to its end.")
  }

  private func become(_ id: Int64, _ epoch: Int16) {
    producer = (id, epoch)
    sequences = [:]
  }

  private func waitUntilDurable() throws(ProduceFailure) {
    for (log, end) in appended.values {
      let outcome: Result<Void, LogError> = waiting { log.whenDurable(through: end, $0) }
      if case .failure(let error) = outcome { throw ProduceFailure(error) }
    }
  }

  private func end(commits: Bool) throws(ProduceFailure) {
    let raises = TransactionVersion.raisesEpoch(catalog.transactionVersion)
    let request = EndTxnRequest(
      transactionalId: transactionalId, producerId: current.id, producerEpoch: current.epoch, committed: commits)
    let response: EndTxnResponse = waiting {
      transactions.end(request, version: raises ? Self.raisingEndTxn : Self.keepingEndTxn, $0)
    }
    let code = ErrorCode(rawValue: response.errorCode)
    guard code == .none else { throw ProduceFailure(code, "The transaction coordinator does not end the transaction.") }
    if raises { become(response.producerId, response.producerEpoch) }
  }

  private func pause(_ duration: Duration) {
    waitUntilDone { _ = transactions.timers.schedule(after: duration, $0) }
  }
}
