// A member of a share group as far as fetching and acknowledging go, a line for each request; and the broker around it.

import MillraceCoordination
import MillraceProtocol
import MillraceRecords
import NIOCore
import Synchronization
import Testing

@testable import MillraceBroker

/// A record as a member gets it.
struct Delivery: Equatable {
  var offset: Int64
  var value: String
  var count: Int16
}

final class ShareClient {
  private static let connections = Atomic<UInt64>(1_000)

  let broker: GroupBroker
  let id: String
  let group: String
  let topic: Topic
  let partition: Int32
  var connection: ConnectionInfo
  var epoch: Int32 = 0
  var isRecordLimited = false

  init(_ id: String, in group: String = "g", of topic: Topic, partition: Int32 = 0, on broker: GroupBroker) {
    self.broker = broker
    self.id = id
    self.group = group
    self.topic = topic
    self.partition = partition
    connection = Self.connect()
  }

  static func connect() -> ConnectionInfo {
    let id = connections.wrappingAdd(1, ordering: .relaxed).newValue
    return ConnectionInfo(id: id, clientHost: "/127.0.0.1", listener: "PLAINTEXT") { $0() }
  }

  /// What begins a session of its own.
  func reconnect() {
    connection = Self.connect()
    epoch = 0
  }

  func fetchRequest(
    maxWaitMs: Int32 = 0, minBytes: Int32 = 1, maxBytes: Int32 = 1 << 20, maxRecords: Int32 = 100,
    acknowledging batches: [ShareFetchRequest.AcknowledgementBatch] = [], isRenewal: Bool = false
  ) -> ShareFetchRequest {
    defer { if epoch >= 0 { epoch += 1 } }
    return ShareFetchRequest(
      groupId: group, memberId: id, shareSessionEpoch: epoch, maxWaitMs: maxWaitMs, minBytes: minBytes,
      maxBytes: maxBytes, maxRecords: maxRecords, batchSize: 100, shareAcquireMode: isRecordLimited ? 1 : 0,
      isRenewAck: isRenewal,
      topics: [
        .init(topicId: topic.id, partitions: [.init(partitionIndex: partition, acknowledgementBatches: batches)])
      ])
  }

  func fetch(maxWaitMs: Int32 = 0, maxRecords: Int32 = 100, maxBytes: Int32 = 1 << 20) async throws -> [Delivery] {
    let request = fetchRequest(maxWaitMs: maxWaitMs, maxBytes: maxBytes, maxRecords: maxRecords)
    return try Self.deliveries(try await broker.send(request, on: connection))
  }

  /// A share-partition that nobody has used yet reads its state first, so the first fetch may find nothing.
  func fetchSome(maxRecords: Int32 = 100) async throws -> [Delivery] {
    try await fetch(maxWaitMs: 10_000, maxRecords: maxRecords)
  }

  func acknowledgeRequest(_ offsets: ClosedRange<Int64>, _ types: [Int8]) -> ShareAcknowledgeRequest {
    defer { if epoch >= 0 { epoch += 1 } }
    return ShareAcknowledgeRequest(
      groupId: group, memberId: id, shareSessionEpoch: epoch, isRenewAck: types.contains(4),
      topics: [
        .init(
          topicId: topic.id,
          partitions: [
            .init(
              partitionIndex: partition,
              acknowledgementBatches: [
                .init(firstOffset: offsets.lowerBound, lastOffset: offsets.upperBound, acknowledgeTypes: types)
              ])
          ])
      ])
  }

  /// Types 0 gap, 1 accept, 2 release, 3 reject, 4 renew.
  @discardableResult
  func acknowledge(_ offsets: ClosedRange<Int64>, _ types: Int8...) async throws -> ErrorCode {
    let response = try await broker.send(acknowledgeRequest(offsets, types), on: connection)
    guard response.errorCode == 0 else { return response.errorCode.code }
    return try #require(response.responses.first?.partitions.first).errorCode.code
  }

  func close() async throws {
    epoch = -1
    let response = try await broker.send(fetchRequest(), on: connection)
    #expect(response.errorCode == 0)
  }

  static func deliveries(_ response: ShareFetchResponse) throws -> [Delivery] {
    #expect(response.errorCode.code == .none)
    var deliveries: [Delivery] = []
    for partition in response.responses.flatMap(\.partitions) {
      #expect(partition.errorCode.code == .none)
      guard case .bytes(let records)? = partition.records else { continue }
      try records.withUnsafeReadableBytes { bytes in
        var batches = BatchIterator(bytes, verifiesChecksums: true)
        while let (batch, _) = try batches.next() {
          if batch.header.isControl { continue }
          try batch.forEachRecord { record in
            let range = partition.acquiredRecords.first {
              $0.firstOffset <= record.offset && record.offset <= $0.lastOffset
            }
            guard let range else { return }
            deliveries.append(
              Delivery(
                offset: record.offset, value: String(decoding: record.value!, as: UTF8.self),
                count: range.deliveryCount))
          }
        }
      }
    }
    return deliveries
  }
}

extension GroupBroker {
  /// A topic with one partition for one share group, which begins at its start.
  func makeSharedTopic(_ name: String = "jobs", group: String = "g", startOffset: Int64 = 0) async throws -> Topic {
    let topic = try await makeTopic(name)
    try await initialize(topic, group: group, startOffset: startOffset)
    return topic
  }

  /// What the group coordinator does before it assigns a partition.
  func initialize(
    _ topic: Topic, group: String = "g", stateEpoch: Int32 = 0, startOffset: Int64 = 0
  ) async throws {
    let key = ShareStateKey(groupId: group, topicId: topic.id, partition: 0)
    let code = await withCheckedContinuation { continuation in
      broker.shareState.initialize(key, stateEpoch: stateEpoch, startOffset: startOffset) {
        continuation.resume(returning: $0)
      }
    }
    try #require(code == .none)
  }

  func configure(group: String = "g", _ configs: [String: String]) async throws {
    let resource = IncrementalAlterConfigsRequest.AlterConfigsResource(
      resourceType: 32, resourceName: group,
      configs: configs.map { .init(name: $0.key, configOperation: 0, value: $0.value) })
    let response = try await send(IncrementalAlterConfigsRequest(resources: [resource]))
    try #require(response.responses[0].errorCode.code == .none, "\(response.responses[0].errorMessage ?? "")")
  }

  /// One batch.
  func produce(_ values: [String], to topic: Topic) async throws {
    var builder = BatchBuilder()
    for value in values { builder.append(key: nil, value: Array(value.utf8), timestamp: SystemClock().nowMs()) }
    let records = RecordData.bytes(ByteBuffer(bytes: try builder.build(BatchFields())))
    let request = ProduceRequest(
      acks: -1, timeoutMs: 10_000,
      topicData: [.init(topicId: topic.id, partitionData: [.init(index: 0, records: records)])])
    let response = try await send(request)
    try #require(response.responses[0].partitionResponses[0].errorCode.code == .none)
  }

  func sharePartition(_ topic: Topic, group: String = "g") -> SharePartitionSummary? {
    broker.sharePartitions.runtime(group, ShareTopicPartition(topicId: topic.id, partition: 0))?.summary
  }
}
