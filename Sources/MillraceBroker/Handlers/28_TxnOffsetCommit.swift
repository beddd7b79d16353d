// TxnOffsetCommit, key 28 (KIP-98). v2 leader epoch (KIP-320)   v3 flexible; member, generation (KIP-447)
// v4 TRANSACTION_ABORTABLE   v5 transaction version 2: the group's partition is added here (KIP-890)
//
// The offsets count when the transaction is committed. Partitions that do not exist are refused here.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

struct TxnOffsetCommitHandler: Handler {
  typealias Topic = TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic

  private static let firstAddingVersion: Int16 = 5
  private static let firstAbortableVersion: Int16 = 4

  func handle(
    _ request: TxnOffsetCommitRequest, _ context: RequestContext, _ reply: Reply<TxnOffsetCommitResponse>
  ) {
    var known = request
    known.topics = []
    var refused: [Topic] = []
    for topic in request.topics {
      var existing = topic
      let (found, missing) = context.broker.topics.topic(named: topic.name)
        .split(topic.partitions) { $0.partitionIndex }
      existing.partitions = found
      if !existing.partitions.isEmpty { known.topics.append(existing) }
      if !missing.isEmpty {
        refused.append(
          Topic(
            name: topic.name,
            partitions: missing.map {
              .init(partitionIndex: $0.partitionIndex, errorCode: ErrorCode.unknownTopicOrPartition.rawValue)
            }))
      }
    }
    guard !known.topics.isEmpty else { return reply.send(TxnOffsetCommitResponse(topics: refused)) }
    let commit = known
    let answer = { @Sendable [refused] (response: TxnOffsetCommitResponse) in
      // Not on the thread that makes the journal durable: others wait for it.
      context.connection.execute {
        var response = response
        response.topics = response.topics.merging(refused) { $0.name }
        reply.send(response.spelled(in: context.version))
      }
    }
    let isTaken = context.broker.transactionalWrites.enter(commit.producerId) { done in
      Self.commit(commit, context) { response in
        done()
        answer(response)
      }
    }
    if !isTaken { answer(TxnOffsetCommitResponse(refusing: commit, .coordinatorLoadInProgress)) }
  }

  /// Has the coordinator asked, if the group's partition may not be part of the transaction yet, and commits.
  private static func commit(
    _ request: TxnOffsetCommitRequest, _ context: RequestContext, mayWait: Bool = true,
    _ answer: @escaping @Sendable (TxnOffsetCommitResponse) -> Void
  ) {
    let broker = context.broker
    @Sendable func refuse(_ error: ErrorCode) { answer(TxnOffsetCommitResponse(refusing: request, error)) }
    guard !request.groupId.isEmpty else { return refuse(.invalidGroupId) }
    guard request.producerId >= 0, request.producerEpoch >= 0 else { return refuse(.invalidProducerIdMapping) }
    guard let journal = broker.groups.journal(of: request.groupId),
      let partition = broker.groups.journalPartition(of: request.groupId)
    else { return refuse(.notCoordinator) }
    let adds = context.version >= firstAddingVersion
    guard adds || broker.catalog.verifiesTransactionPartitions else {
      return broker.groups.commit(request, .unchecked, answer)
    }
    let token: UInt64?
    do throws(LogError) {
      token = try journal.log.beginVerification(producerId: request.producerId, epoch: request.producerEpoch)
    } catch {
      return refuse(error.isAboutProducer ? ErrorCode(error) : .notCoordinator)
    }
    guard let token else { return broker.groups.commit(request, .open, answer) }
    let claim = TransactionRuntime.Claim(
      transactionalId: request.transactionalId, producerId: request.producerId, producerEpoch: request.producerEpoch)
    let asked = { @Sendable (code: ErrorCode) in
      // A token that was used is no more; one that was not must not stay.
      let finish = { @Sendable (response: TxnOffsetCommitResponse) in
        journal.log.endVerification(producerId: request.producerId, token: token)
        answer(response)
      }
      switch code {
      case .none: broker.groups.commit(request, .verified(token: token, fromTheStart: adds), finish)
      case .concurrentTransactions where adds && mayWait:
        // The outcome that is still being written voids the token: after it, everything is asked anew.
        broker.transactions.whenComplete(request.transactionalId) { commit(request, context, mayWait: false, answer) }
      case .producerFenced: finish(TxnOffsetCommitResponse(refusing: request, .invalidProducerEpoch))
      case .transactionAbortable where context.version < firstAbortableVersion:
        finish(TxnOffsetCommitResponse(refusing: request, .invalidTxnState))
      default: finish(TxnOffsetCommitResponse(refusing: request, code))
      }
    }
    if adds {
      broker.transactions.addPartitions(
        [partition], claim, clientVersion: TransactionVersion.latest, mayWait: false, asked)
    } else {
      broker.transactions.verify([partition], claim) { asked($0[0]) }
    }
  }
}

extension TxnOffsetCommitResponse {
  /// Producers before v2 do not know COORDINATOR_LOAD_IN_PROGRESS here.
  fileprivate func spelled(in version: Int16) -> TxnOffsetCommitResponse {
    guard version < 2 else { return self }
    var spelled = self
    for topic in spelled.topics.indices {
      for partition in spelled.topics[topic].partitions.indices
      where spelled.topics[topic].partitions[partition].errorCode == ErrorCode.coordinatorLoadInProgress.rawValue {
        spelled.topics[topic].partitions[partition].errorCode = ErrorCode.coordinatorNotAvailable.rawValue
      }
    }
    return spelled
  }
}
