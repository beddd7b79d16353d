// One transactional producer's requests, a line each, and a reader of what it wrote.

import MillraceLog
import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceBroker

struct TransactionClient {
  let broker: GroupBroker
  var transactionalId = "tx"
  var producerId: Int64 = -1
  var epoch: Int16 = -1
  /// The next sequence number in partition 0.
  var sequence: Int32 = 0

  /// Looks for the coordinator and becomes the id's producer.
  static func initialized(
    _ broker: GroupBroker, _ transactionalId: String = "tx", timeoutMs: Int32 = 60_000
  ) async throws -> TransactionClient {
    var client = TransactionClient(broker: broker, transactionalId: transactionalId)
    let found = try await broker.send(
      FindCoordinatorRequest(keyType: 1, coordinatorKeys: [transactionalId]), version: 6)
    try #require(found.coordinators[0].errorCode.code == .none)
    try await client.initialize(timeoutMs: timeoutMs)
    return client
  }

  mutating func initialize(timeoutMs: Int32 = 60_000) async throws {
    let request = InitProducerIdRequest(transactionalId: transactionalId, transactionTimeoutMs: timeoutMs)
    let deadline = ContinuousClock.now + .seconds(120)
    while true {
      let response = try await broker.send(request)
      if response.errorCode.code == .none {
        (producerId, epoch, sequence) = (response.producerId, response.producerEpoch, 0)
        return
      }
      try #require(
        response.errorCode.code == .concurrentTransactions || response.errorCode.code == .coordinatorLoadInProgress)
      try #require(ContinuousClock.now < deadline, "the producer is not initialized")
      try await Task.sleep(for: .milliseconds(5))
    }
  }

  func batch(_ value: String, sequence: Int32, isTransactional: Bool = true) throws -> RecordData {
    var builder = BatchBuilder()
    builder.append(key: nil, value: Array(value.utf8), timestamp: SystemClock().nowMs())
    let bytes = try builder.build(
      BatchFields(
        producerId: producerId, producerEpoch: epoch, baseSequence: sequence, isTransactional: isTransactional))
    return .bytes(ByteBuffer(bytes: bytes))
  }

  func produceRequest(
    _ value: String, to topic: String = "orders", sequence: Int32, version: Int16, hasTransactionalId: Bool = true
  ) throws -> ProduceRequest {
    ProduceRequest(
      transactionalId: hasTransactionalId ? transactionalId : nil, acks: -1, timeoutMs: 10_000,
      topicData: [
        .init(
          name: version >= 13 ? "" : topic,
          topicId: version >= 13 ? broker.broker.topics.topic(named: topic)?.id ?? .zero : .zero,
          partitionData: [.init(index: 0, records: try batch(value, sequence: sequence))])
      ])
  }

  /// Version 12 and later are of transaction version 2.
  @discardableResult
  mutating func produce(_ value: String, to topic: String = "orders", version: Int16 = 12) async throws -> ErrorCode {
    let request = try produceRequest(value, to: topic, sequence: sequence, version: version)
    let answer = try await broker.send(request, version: version).responses[0].partitionResponses[0]
    if answer.errorCode == 0 { sequence += 1 }
    return answer.errorCode.code
  }

  func addPartition(_ topic: String = "orders", version: Int16 = 3) async throws -> ErrorCode {
    let request = AddPartitionsToTxnRequest(
      v3AndBelowTransactionalId: transactionalId, v3AndBelowProducerId: producerId, v3AndBelowProducerEpoch: epoch,
      v3AndBelowTopics: [.init(name: topic, partitions: [0])])
    let answer = try await broker.send(request, version: version).resultsByTopicV3AndBelow
    return answer[0].resultsByPartition[0].partitionErrorCode.code
  }

  /// Version 5 goes on with the epoch of the answer.
  @discardableResult
  mutating func end(commit: Bool, version: Int16 = 5) async throws -> ErrorCode {
    let request = EndTxnRequest(
      transactionalId: transactionalId, producerId: producerId, producerEpoch: epoch, committed: commit)
    let answer = try await broker.send(request, version: version)
    if answer.errorCode == 0, version >= 5 {
      (producerId, epoch, sequence) = (answer.producerId, answer.producerEpoch, 0)
    }
    return answer.errorCode.code
  }

  func commitOffset(_ offset: Int64, group: String = "g", version: Int16 = 5) async throws -> ErrorCode {
    let request = TxnOffsetCommitRequest(
      transactionalId: transactionalId, groupId: group, producerId: producerId, producerEpoch: epoch,
      topics: [.init(name: "orders", partitions: [.init(partitionIndex: 0, committedOffset: offset)])])
    return try await broker.send(request, version: version).topics[0].partitions[0].errorCode.code
  }

  func state() async throws -> String {
    let request = DescribeTransactionsRequest(transactionalIds: [transactionalId])
    return try await broker.send(request).transactionStates[0].transactionState
  }
}

extension GroupBroker {
  struct Fetched {
    var values: [String]
    var lastStableOffset: Int64
    var highWatermark: Int64
    var aborted: [FetchResponse.AbortedTransaction]?
  }

  /// What a reader of partition 0 sees from the start: aborted records left out as a client leaves them out.
  func read(_ topic: String = "orders", committed: Bool = true) async throws -> Fetched {
    let request = FetchRequest(
      maxWaitMs: 0, minBytes: 1, maxBytes: 1 << 20, isolationLevel: committed ? 1 : 0, sessionEpoch: -1,
      topics: [.init(topic: topic, partitions: [.init(partition: 0, fetchOffset: 0, partitionMaxBytes: 1 << 20)])])
    let partition = try await send(request, version: 12).responses[0].partitions[0]
    try #require(partition.errorCode == 0)
    var fetched = Fetched(
      values: [], lastStableOffset: partition.lastStableOffset, highWatermark: partition.highWatermark,
      aborted: partition.abortedTransactions)
    guard case .bytes(let records)? = partition.records else { return fetched }
    var aborted = (partition.abortedTransactions ?? []).sorted { $0.firstOffset < $1.firstOffset }
    var open: Set<Int64> = []
    try records.withUnsafeReadableBytes { bytes in
      var batches = BatchIterator(bytes, verifiesChecksums: true)
      while let (batch, _) = try batches.next() {
        let header = batch.header
        while let next = aborted.first, next.firstOffset <= header.lastOffset {
          open.insert(next.producerId)
          aborted.removeFirst()
        }
        if header.isControl {
          open.remove(header.producerId)
        } else if !committed || !header.isTransactional || !open.contains(header.producerId) {
          try batch.forEachRecord { fetched.values.append(String(decoding: $0.value!, as: UTF8.self)) }
        }
      }
    }
    return fetched
  }
}
