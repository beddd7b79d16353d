// AddPartitionsToTxn, key 24 (KIP-98). v2 PRODUCER_FENCED   v3 flexible
// v4 several transactions, only to verify (KIP-890), for brokers   v5 TRANSACTION_ABORTABLE
//
// All partitions of a transaction are added or none is.

import MillraceCoordination
import MillraceProtocol

struct AddPartitionsToTxnHandler: Handler {
  typealias Asked = AddPartitionsToTxnRequest.AddPartitionsToTxnTransaction
  typealias Result = AddPartitionsToTxnResponse.AddPartitionsToTxnResult

  private static let firstBatchedVersion: Int16 = 4

  func handle(
    _ request: AddPartitionsToTxnRequest, _ context: RequestContext, _ reply: Reply<AddPartitionsToTxnResponse>
  ) {
    let isBatched = context.version >= Self.firstBatchedVersion
    let transactions =
      isBatched
      ? request.transactions
      : [
        Asked(
          transactionalId: request.v3AndBelowTransactionalId, producerId: request.v3AndBelowProducerId,
          producerEpoch: request.v3AndBelowProducerEpoch, topics: request.v3AndBelowTopics)
      ]
    let gathering = Gathering<Result>(count: transactions.count) { results in
      if isBatched {
        reply.send(AddPartitionsToTxnResponse(resultsByTransaction: results))
      } else {
        reply.send(AddPartitionsToTxnResponse(resultsByTopicV3AndBelow: results[0].topicResults))
      }
    }
    for (index, transaction) in transactions.enumerated() {
      Self.add(transaction, context) { gathering.put($0, at: index) }
    }
  }

  private static func add(
    _ asked: Asked, _ context: RequestContext, _ answer: @escaping @Sendable (Result) -> Void
  ) {
    let partitions = asked.topics.flatMap { topic in
      topic.partitions.map { TransactionPartition(topic: topic.name, partition: $0) }
    }
    let problems = partitions.map { problem(of: $0, context) }
    guard problems.allSatisfy({ $0 == .none }) else {
      return answer(Result(asked) { problems[$0] == .none ? .operationNotAttempted : problems[$0] })
    }
    let claim = TransactionRuntime.Claim(
      transactionalId: asked.transactionalId, producerId: asked.producerId, producerEpoch: asked.producerEpoch)
    if asked.verifyOnly {
      context.broker.transactions.verify(partitions, claim) { codes in answer(Result(asked) { codes[$0] }) }
      return
    }
    let clientVersion = context.version >= firstBatchedVersion ? TransactionVersion.latest : 0
    context.broker.transactions.addPartitions(partitions, claim, clientVersion: clientVersion) { code in
      var code = code.rawValue
      code.spellFencing(knownFrom: 2, in: context.version)
      answer(Result(asked) { [code] _ in ErrorCode(rawValue: code) })
    }
  }

  private static func problem(of partition: TransactionPartition, _ context: RequestContext) -> ErrorCode {
    guard let topic = context.broker.topics.topic(named: partition.topic),
      topic.partition(partition.partition) != nil
    else { return .unknownTopicOrPartition }
    // Producers get at __consumer_offsets by AddOffsetsToTxn only.
    return topic.isInternal && context.version < firstBatchedVersion ? .topicAuthorizationFailed : .none
  }
}

extension AddPartitionsToTxnResponse.AddPartitionsToTxnResult {
  /// - Parameter code: of a partition, counted through all topics of the question.
  fileprivate init(_ asked: AddPartitionsToTxnHandler.Asked, _ code: (Int) -> ErrorCode) {
    self.init(transactionalId: asked.transactionalId)
    var index = 0
    for topic in asked.topics {
      var result = AddPartitionsToTxnResponse.AddPartitionsToTxnTopicResult(name: topic.name)
      for partition in topic.partitions {
        result.resultsByPartition.append(
          .init(partitionIndex: partition, partitionErrorCode: code(index).rawValue))
        index += 1
      }
      topicResults.append(result)
    }
  }
}
