// The requests of transactions. Versions matter here more than elsewhere: which one is sent tells the broker by which
// version of transactions the client goes (KIP-890).
//
//                        version 1         version 2
//    AddPartitionsToTxn  up to 3           never: Produce does it
//    AddOffsetsToTxn     all               never: TxnOffsetCommit does it
//    Produce             up to 11          12 and later
//    TxnOffsetCommit     up to 4           5 and later
//    EndTxn              up to 4           5 and later

import MillraceProtocol

/// Who writes in which transaction.
struct TransactionIdentity: Sendable {
  var transactionalId: String
  var producer: ProducerIdentity

  var subject: String { "transactional id '\(transactionalId)'" }
}

extension TransactionState.Version {
  static let featureName = "transaction.version"
  static let lastProduceOfOne: Int16 = 11
  static let lastAddPartitionsOfClients: Int16 = 3
  static let lastOffsetCommitOfOne: Int16 = 4
  static let lastEndTxnOfOne: Int16 = 4

  /// The version that both sides can do and the cluster has switched on.
  init(_ connection: Connection) {
    let isSwitchedOn = connection.versions.finalizedFeatures[Self.featureName] ?? 0 >= 2
    let isSpoken =
      ((try? connection.version(of: EndTxnRequest.self)) ?? 0) > Self.lastEndTxnOfOne
      && ((try? connection.version(of: ProduceRequest.self)) ?? 0) > Self.lastProduceOfOne
      && ((try? connection.version(of: TxnOffsetCommitRequest.self)) ?? 0) > Self.lastOffsetCommitOfOne
    self = isSwitchedOn && isSpoken ? .two : .one
  }
}

extension Cluster {
  /// The pause while the coordinator is still writing the outcome of the transaction before, which is a matter of
  /// milliseconds.
  private static let concurrentTransactionsPause = Duration.milliseconds(20)

  func transactionVersion(of transactionalId: String) async throws(KafkaError) -> TransactionState.Version {
    let destination = Destination.coordinator(.transaction(transactionalId))
    return try await retrying(about: destination) { () throws(KafkaError) in
      TransactionState.Version(try await self.connection(to: destination))
    }
  }

  /// Takes over a transactional id, which fences whoever has it and ends what is open; or with `previous` goes on with
  /// the next epoch, if nobody has taken it over.
  func initProducerId(
    _ transactionalId: String, timeout: Duration, after previous: ProducerIdentity?
  ) async throws(KafkaError) -> ProducerIdentity {
    let response = try await sendForTransaction(to: .coordinator(.transaction(transactionalId))) {
      version throws(KafkaError) in
      var request = InitProducerIdRequest(
        transactionalId: transactionalId, transactionTimeoutMs: timeout.clampedMilliseconds)
      if let previous {
        guard version >= 3 else {
          throw KafkaError(
            .unsupportedVersion, "the broker cannot go on after a failed transaction (KIP-360); make another producer")
        }
        request.producerId = previous.id
        request.producerEpoch = previous.epoch
      }
      return request
    } failure: {
      .broker($0.errorCode, about: "transactional id '\(transactionalId)'")
    }
    return ProducerIdentity(id: response.producerId, epoch: response.producerEpoch)
  }

  /// - Parameter check: throws when it is too late; asked before every attempt.
  func add(
    _ partitions: [TopicPartition], to transaction: TransactionIdentity,
    check: @Sendable () throws(KafkaError) -> Void
  ) async throws(KafkaError) {
    _ = try await sendForTransaction(
      to: .coordinator(.transaction(transaction.transactionalId)),
      upTo: TransactionState.Version.lastAddPartitionsOfClients
    ) { _ throws(KafkaError) in
      try check()
      return AddPartitionsToTxnRequest(
        v3AndBelowTransactionalId: transaction.transactionalId, v3AndBelowProducerId: transaction.producer.id,
        v3AndBelowProducerEpoch: transaction.producer.epoch,
        v3AndBelowTopics: partitions.groupedByTopic().map { .init(name: $0.topic, partitions: $0.partitions) })
    } failure: { response in
      let codes = response.resultsByTopicV3AndBelow.flatMap { topic in
        topic.resultsByPartition.map { (TopicPartition(topic.name, $0.partitionIndex), $0.partitionErrorCode) }
      }
      // The others are only told that nothing was tried.
      let failed = codes.first { $0.1 != 0 && ErrorCode(rawValue: $0.1) != .operationNotAttempted }
      return failed.flatMap { .broker($0.1, about: "\(transaction.subject), partition \($0.0)") }
    }
  }

  func add(
    group: String, to transaction: TransactionIdentity, check: @Sendable () throws(KafkaError) -> Void
  ) async throws(KafkaError) {
    _ = try await sendForTransaction(to: .coordinator(.transaction(transaction.transactionalId))) {
      _ throws(KafkaError) in
      try check()
      return AddOffsetsToTxnRequest(
        transactionalId: transaction.transactionalId, producerId: transaction.producer.id,
        producerEpoch: transaction.producer.epoch, groupId: group)
    } failure: {
      .broker($0.errorCode, about: "\(transaction.subject), offsets of group '\(group)'")
    }
  }

  func commit(
    _ offsets: [TopicPartition: OffsetAndMetadata], _ group: GroupIdentity, in transaction: TransactionIdentity,
    _ transactionVersion: TransactionState.Version, check: @Sendable () throws(KafkaError) -> Void
  ) async throws(KafkaError) {
    _ = try await sendForTransaction(
      to: .coordinator(.group(group.group)),
      upTo: transactionVersion == .one ? TransactionState.Version.lastOffsetCommitOfOne : .max
    ) { version throws(KafkaError) in
      try check()
      var request = TxnOffsetCommitRequest(
        transactionalId: transaction.transactionalId, groupId: group.group, producerId: transaction.producer.id,
        producerEpoch: transaction.producer.epoch,
        topics: offsets.groupedByTopic().map { topic, offsets in
          .init(
            name: topic,
            partitions: offsets.map { index, offset in
              .init(
                partitionIndex: index, committedOffset: offset.offset,
                committedLeaderEpoch: offset.leaderEpoch ?? -1, committedMetadata: offset.metadata)
            })
        })
      if version >= 3 {
        request.generationId = group.generation
        request.memberId = group.memberId
        request.groupInstanceId = group.groupInstanceId
      } else if !group.memberId.isEmpty {
        throw KafkaError(
          .unsupportedVersion,
          "the broker cannot tell whether a member that commits in a transaction is still one (KIP-447); "
            + "assign partitions by hand")
      }
      return request
    } failure: { response in
      response.topics.lazy.flatMap(\.partitions).map(\.errorCode).first { $0 != 0 }
        .flatMap { .broker($0, about: "\(transaction.subject), offsets of group '\(group.group)'") }
    }
  }

  /// - Returns: what to go on with, in version 2.
  func end(
    _ transaction: TransactionIdentity, _ outcome: TransactionState.Outcome,
    _ transactionVersion: TransactionState.Version
  ) async throws(KafkaError) -> ProducerIdentity? {
    let response = try await sendForTransaction(
      to: .coordinator(.transaction(transaction.transactionalId)),
      upTo: transactionVersion == .one ? TransactionState.Version.lastEndTxnOfOne : .max
    ) { version throws(KafkaError) in
      guard transactionVersion == .one || version > TransactionState.Version.lastEndTxnOfOne else {
        // A broker that is being upgraded: the next one that is asked may.
        throw KafkaError(.connectionFailed, "the coordinator does not speak version 2 of transactions any more")
      }
      return EndTxnRequest(
        transactionalId: transaction.transactionalId, producerId: transaction.producer.id,
        producerEpoch: transaction.producer.epoch, committed: outcome == .commit)
    } failure: {
      .broker($0.errorCode, about: transaction.subject)
    }
    guard transactionVersion == .two, response.producerId >= 0 else { return nil }
    return ProducerIdentity(id: response.producerId, epoch: response.producerEpoch)
  }

  /// Sends a request, and again soon as long as the transaction before is being ended.
  private func sendForTransaction<R: Request>(
    to destination: Destination, upTo limit: Int16 = .max, _ make: @Sendable (Int16) throws(KafkaError) -> R,
    failure: @Sendable (R.Response) -> KafkaError?
  ) async throws(KafkaError) -> R.Response {
    let deadline = ContinuousClock.now + configuration.operationTimeout
    while true {
      do throws(KafkaError) {
        return try await send(to: destination, upTo: limit, until: deadline, make) { response in
          guard let error = failure(response), error.brokerCode == .concurrentTransactions else {
            return failure(response)
          }
          // Not by the usual retries: their pauses are long, and they would look for the coordinator again.
          return KafkaError(.broker, error.message, brokerCode: error.brokerCode, isRetriable: false)
        }
      } catch {
        guard error.brokerCode == .concurrentTransactions else { throw error }
        guard .now + Self.concurrentTransactionsPause < deadline else {
          throw KafkaError(.timedOut, error.message, brokerCode: error.brokerCode)
        }
      }
      try await pause(Self.concurrentTransactionsPause)
    }
  }
}
