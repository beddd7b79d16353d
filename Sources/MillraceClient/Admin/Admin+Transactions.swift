// Transactions and the producers behind them (KIP-664): what coordinators know by transactional id, and what partitions
// know by producer id. A transaction that a partition has and no coordinator will ever end is hanging.

import MillraceProtocol

/// A transactional id, in a list of them.
public struct TransactionListing: Sendable, Hashable {
  /// The producer's name.
  public var transactionalId: String
  /// The number that stands for it in batches of records.
  public var producerId: Int64
  /// `Empty`, `Ongoing`, `PrepareCommit`, `PrepareAbort`, `CompleteCommit`, `CompleteAbort`, `PrepareEpochFence`, `Dead`.
  public var state: String
  /// The broker that coordinates it.
  public var coordinatorId: Int32
}

/// A transactional id and its transaction.
public struct TransactionDescription: Sendable, Hashable {
  /// The broker that coordinates it.
  public var coordinatorId: Int32
  /// One of those of ``TransactionListing/state``.
  public var state: String
  /// The number that stands for the producer in batches of records.
  public var producerId: Int64
  /// Counts the producers that had the id: those with an earlier epoch are fenced.
  public var producerEpoch: Int16
  /// After how many milliseconds the coordinator aborts it (`transaction.timeout.ms`).
  public var timeoutMs: Int32
  /// When it began, in milliseconds since 1970; nil while none is open.
  public var startTimeMs: Int64?
  /// The partitions that it has written to and that have no outcome yet.
  public var partitions: [TopicPartition]
}

/// A producer as a partition remembers it.
public struct ActiveProducer: Sendable, Hashable {
  /// The number that stands for the producer in batches of records.
  public var producerId: Int64
  /// The epoch of its last record.
  public var producerEpoch: Int32
  /// The sequence number of its last record; -1 when it is not known.
  public var lastSequence: Int32
  /// The time of its last record, in milliseconds since 1970.
  public var lastTimestamp: Int64
  /// Nil before its first outcome.
  public var coordinatorEpoch: Int32?
  /// The first offset of its open transaction; nil without one.
  public var transactionStartOffset: Int64?
}

/// Which transaction of a partition to abort.
public struct TransactionToAbort: Sendable, Hashable {
  /// Where it hangs.
  public var partition: TopicPartition
  /// Whose it is: see ``ActiveProducer``.
  public var producerId: Int64
  /// The producer's epoch.
  public var producerEpoch: Int16
  /// The coordinator's epoch: a marker of an earlier one is refused.
  public var coordinatorEpoch: Int32

  /// A transaction as ``Admin/describeProducers(_:)`` shows it.
  public init(partition: TopicPartition, producerId: Int64, producerEpoch: Int16, coordinatorEpoch: Int32) {
    self.partition = partition
    self.producerId = producerId
    self.producerEpoch = producerEpoch
    self.coordinatorEpoch = coordinatorEpoch
  }
}

extension Admin {
  /// The transactional ids of all coordinators, by name.
  ///
  /// - Parameters:
  ///   - states: only transactions in one of these states, see ``TransactionListing/state``; empty for all.
  ///   - producerIds: only transactions of these producers; empty for all.
  ///   - runningLongerThan: only open transactions that began so long ago (KIP-994); nil for all.
  ///   - pattern: only transactional ids that this regular expression matches, in the broker's syntax (KIP-1152).
  public func listTransactions(
    states: [String] = [], producerIds: [Int64] = [], runningLongerThan: Duration? = nil, pattern: String? = nil
  ) async throws(KafkaError) -> [TransactionListing] {
    try await cluster.refreshMetadata(.brokers)
    let parts = await results(of: cluster.brokers.map(\.id)) { [cluster] broker throws(KafkaError) in
      let response = try await cluster.send(to: .broker(broker)) { version throws(KafkaError) in
        if runningLongerThan != nil, version < 1 {
          throw KafkaError(.unsupportedVersion, "broker \(broker) cannot filter transactions by how long they run")
        }
        if pattern != nil, version < 2 {
          throw KafkaError(.unsupportedVersion, "broker \(broker) cannot filter transactional ids by a pattern")
        }
        return ListTransactionsRequest(
          stateFilters: states, producerIdFilters: producerIds,
          durationFilter: runningLongerThan.map { Int64($0.clampedMilliseconds) } ?? -1,
          transactionalIdPattern: pattern)
      } failure: {
        .broker($0.errorCode, about: "the transactions of broker \(broker)")
      }
      return response.transactionStates.map { state in
        TransactionListing(
          transactionalId: state.transactionalId, producerId: state.producerId, state: state.transactionState,
          coordinatorId: broker)
      }
    }
    var transactions: [TransactionListing] = []
    for part in parts.values { transactions += try part.get() }
    return transactions.sorted { $0.transactionalId < $1.transactionalId }
  }

  /// What coordinators know of transactional ids.
  public func describeTransactions(
    _ transactionalIds: [String]
  ) async throws(KafkaError) -> [String: Result<TransactionDescription, KafkaError>] {
    await results(of: transactionalIds) { [cluster] id throws(KafkaError) in
      let response = try await cluster.send(to: .coordinator(.transaction(id))) { _ in
        DescribeTransactionsRequest(transactionalIds: [id])
      } failure: { response in
        response.transactionStates.first.flatMap { .broker($0.errorCode, about: "transactional id '\(id)'") }
      }
      guard let state = response.transactionStates.first else {
        throw KafkaError(.invalidResponse, "the coordinator's answer leaves out transactional id '\(id)'")
      }
      return TransactionDescription(
        coordinatorId: try await cluster.coordinator(of: .transaction(id)).id, state: state.transactionState,
        producerId: state.producerId, producerEpoch: state.producerEpoch, timeoutMs: state.transactionTimeoutMs,
        startTimeMs: state.transactionStartTimeMs < 0 ? nil : state.transactionStartTimeMs,
        partitions: state.topics.flatMap { topic in topic.partitions.map { TopicPartition(topic.topic, $0) } }.sorted())
    }
  }

  /// The producers that the leader of each partition remembers, by producer id.
  public func describeProducers(
    _ partitions: [TopicPartition]
  ) async throws(KafkaError) -> [TopicPartition: Result<[ActiveProducer], KafkaError>] {
    await cluster.askLeaders(of: partitions) { [cluster] broker, partitions throws(KafkaError) in
      let response = try await cluster.attempt(to: .broker(broker)) { _ in
        DescribeProducersRequest(
          topics: partitions.groupedByTopic().map { .init(name: $0.topic, partitionIndexes: $0.partitions) })
      }
      var results: [TopicPartition: Result<[ActiveProducer], KafkaError>] = [:]
      for topic in response.topics {
        for answer in topic.partitions {
          let partition = TopicPartition(topic.name, answer.partitionIndex)
          let error = KafkaError.broker(answer.errorCode, about: "partition \(partition)", detail: answer.errorMessage)
          results[partition] = Result(
            error, answer.activeProducers.map(ActiveProducer.init).sorted { $0.producerId < $1.producerId })
        }
      }
      return results
    }
  }

  /// Ends a hanging transaction of one partition by an abort marker of its own. Only for a transaction that its
  /// coordinator will not end: `describeTransactions` does not have the partition.
  public func abortTransaction(_ transaction: TransactionToAbort) async throws(KafkaError) {
    let partition = transaction.partition
    let results: [TopicPartition: Result<Void, KafkaError>] = await cluster.askLeaders(of: [partition]) {
      [cluster] broker, _ throws(KafkaError) in
      let response = try await cluster.attempt(to: .broker(broker)) { _ in
        WriteTxnMarkersRequest(markers: [
          .init(
            producerId: transaction.producerId, producerEpoch: transaction.producerEpoch, transactionResult: false,
            topics: [.init(name: partition.topic, partitionIndexes: [partition.partition])],
            coordinatorEpoch: transaction.coordinatorEpoch)
        ])
      }
      guard let answer = response.markers.first?.topics.first?.partitions.first else { return [:] }
      return [partition: Result(.broker(answer.errorCode, about: "partition \(partition)"), ())]
    }
    try results[partition]?.get()
  }

  /// Aborts the open transaction of a transactional id, if there is one, and fences the producer that has the id.
  public func fenceProducer(_ transactionalId: String) async throws(KafkaError) {
    let timeoutMs = brokerTimeoutMs
    _ = try await cluster.send(to: .coordinator(.transaction(transactionalId))) { _ in
      InitProducerIdRequest(
        transactionalId: transactionalId, transactionTimeoutMs: timeoutMs, producerId: -1, producerEpoch: -1)
    } failure: {
      .broker($0.errorCode, about: "transactional id '\(transactionalId)'")
    }
  }
}

extension ActiveProducer {
  fileprivate init(_ state: DescribeProducersResponse.ProducerState) {
    self.init(
      producerId: state.producerId, producerEpoch: state.producerEpoch, lastSequence: state.lastSequence,
      lastTimestamp: state.lastTimestamp, coordinatorEpoch: state.coordinatorEpoch < 0 ? nil : state.coordinatorEpoch,
      transactionStartOffset: state.currentTxnStartOffset < 0 ? nil : state.currentTxnStartOffset)
  }
}
