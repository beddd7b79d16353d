// A Produce request whose batches belong to a transaction (KIP-98, KIP-890). Before the first batch of a transaction is
// written into a partition, the coordinator has to know of that partition, or nobody would ever end the transaction
// there. Producers of transaction version 2 (Produce v12 and later) leave the adding to the broker; older ones have done
// it by AddPartitionsToTxn, which is verified.

import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords

struct TransactionalProduce: Sendable {
  typealias Place = PendingProduce.Place

  /// The first version in which the broker adds partitions by itself.
  private static let firstAddingVersion: Int16 = 12
  /// The first version whose clients know TRANSACTION_ABORTABLE.
  private static let firstAbortableVersion: Int16 = 11

  /// What each batch has to stand to; a place without an entry has no transactional batch.
  typealias Verdicts = [Place: Result<TransactionGuard, ProduceFailure>]

  let claim: TransactionRuntime.Claim
  /// Where the transactional batches are.
  let places: [Place]
  private let isOneProducer: Bool

  /// Nil if no batch is transactional.
  init?(_ request: ProduceRequest, transactionalId: String) {
    var producer: (id: Int64, epoch: Int16)?
    var places: [Place] = []
    var isOneProducer = true
    for (topic, data) in request.topicData.enumerated() {
      for (partition, partitionData) in data.partitionData.enumerated() {
        guard case .bytes(let buffer)? = partitionData.records,
          let header = buffer.withUnsafeReadableBytes({ try? BatchHeader(parsing: $0) }),
          header.isTransactional, header.hasProducerId
        else { continue }
        places.append(Place(topic: topic, partition: partition))
        if let producer, producer != (header.producerId, header.producerEpoch) { isOneProducer = false }
        producer = producer ?? (header.producerId, header.producerEpoch)
      }
    }
    guard let producer else { return nil }
    claim = .init(transactionalId: transactionalId, producerId: producer.id, producerEpoch: producer.epoch)
    self.places = places
    self.isOneProducer = isOneProducer
  }

  /// For when too many writes of the producer wait already: it may try again.
  var refusals: Verdicts {
    let failure = ProduceFailure(.notEnoughReplicas, "Too many writes of this producer are waiting.")
    return Dictionary(uniqueKeysWithValues: places.map { ($0, .failure(failure)) })
  }

  private struct Question: Sendable {
    var place: Place
    var partition: TransactionPartition
    var log: PartitionLog
    var token: UInt64
  }

  /// Calls `done` once, on any thread, with what the coordinator has to say; at once if there is nothing to ask.
  func verify(
    _ request: ProduceRequest, _ context: RequestContext, mayWait: Bool = true,
    _ done: @escaping @Sendable (Verdicts) -> Void
  ) {
    guard isOneProducer else {
      let failure = ProduceFailure(
        .invalidProducerIdMapping, "The transactional batches of a request are of one producer.")
      return done(Dictionary(uniqueKeysWithValues: places.map { ($0, .failure(failure)) }))
    }
    let addsPartitions = context.version >= Self.firstAddingVersion
    guard addsPartitions || context.broker.catalog.verifiesTransactionPartitions else {
      return done(Dictionary(uniqueKeysWithValues: places.map { ($0, .success(.unchecked)) }))
    }
    var verdicts: Verdicts = [:]
    var questions: [Question] = []
    for place in places {
      let data = request.topicData[place.topic]
      let topic =
        context.version >= 13
        ? context.broker.topics.topic(id: data.topicId) : context.broker.topics.topic(named: data.name)
      let index = data.partitionData[place.partition].index
      // Nothing is written there: the append will say why.
      guard let topic, !topic.isInternal, let partition = topic.partition(index) else { continue }
      do throws(LogError) {
        let token = try partition.log.beginVerification(
          producerId: claim.producerId, epoch: claim.producerEpoch)
        guard let token else {
          verdicts[place] = .success(.open)
          continue
        }
        questions.append(
          Question(
            place: place, partition: TransactionPartition(topic: topic.name, partition: index), log: partition.log,
            token: token))
      } catch {
        verdicts[place] = .failure(ProduceFailure(error))
      }
    }
    guard !questions.isEmpty else { return done(verdicts) }
    let transactions = context.broker.transactions
    let answered = { @Sendable [verdicts, questions] (codes: [ErrorCode]) in
      var verdicts = verdicts
      for (question, code) in zip(questions, codes) {
        if let failure = Self.failure(for: code, version: context.version) {
          question.log.endVerification(producerId: claim.producerId, token: question.token)
          verdicts[question.place] = .failure(failure)
        } else {
          verdicts[question.place] = .success(.verified(token: question.token, fromTheStart: addsPartitions))
        }
      }
      done(verdicts)
    }
    let partitions = questions.map(\.partition)
    if addsPartitions {
      transactions.addPartitions(
        partitions, claim, clientVersion: TransactionVersion.latest, mayWait: false
      ) { code in
        guard code == .concurrentTransactions, mayWait else { return answered(partitions.map { _ in code }) }
        // The outcome that is still being written voids the tokens: after it, everything is asked anew.
        transactions.whenComplete(claim.transactionalId) { verify(request, context, mayWait: false, done) }
      }
    } else {
      transactions.verify(partitions, claim, answered)
    }
  }

  /// What the producer is told, in codes that its version knows how to go on after.
  private static func failure(for code: ErrorCode, version: Int16) -> ProduceFailure? {
    switch code {
    case .none: nil
    case .invalidTxnState: ProduceFailure(code, "The partition was not added to the transaction.")
    case .producerFenced: ProduceFailure(.invalidProducerEpoch)
    case .transactionAbortable where version < firstAbortableVersion:
      ProduceFailure(.invalidTxnState, "The partition was not added to the transaction.")
    case .concurrentTransactions where version >= firstAddingVersion: ProduceFailure(code)
    case .coordinatorLoadInProgress, .coordinatorNotAvailable, .notCoordinator, .concurrentTransactions:
      ProduceFailure(.notEnoughReplicas, "The transaction cannot be verified now: \(code.name).")
    default: ProduceFailure(code)
    }
  }
}
