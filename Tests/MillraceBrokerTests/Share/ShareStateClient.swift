// One share-partition's leader and its group's coordinator, a line each request, over the wire.

import MillraceCoordination
import MillraceProtocol

@testable import MillraceBroker

struct ShareStateClient {
  let broker: GroupBroker
  let topicId: Uuid
  var groupId = "g"
  var partition: Int32 = 0

  var key: ShareStateKey { ShareStateKey(groupId: groupId, topicId: topicId, partition: partition) }

  func initialize(epoch: Int32 = 1, startOffset: Int64 = -1) async throws -> ErrorCode {
    let request = InitializeShareGroupStateRequest(
      groupId: groupId,
      topics: [
        .init(
          topicId: topicId, partitions: [.init(partition: partition, stateEpoch: epoch, startOffset: startOffset)])
      ])
    return try await broker.send(request).results[0].partitions[0].errorCode.code
  }

  func writeRequest(
    _ batches: [ShareStateBatch], epoch: Int32 = 1, leaderEpoch: Int32 = 0, startOffset: Int64 = 0
  ) -> WriteShareGroupStateRequest {
    WriteShareGroupStateRequest(
      groupId: groupId,
      topics: [
        .init(
          topicId: topicId,
          partitions: [
            .init(
              partition: partition, stateEpoch: epoch, leaderEpoch: leaderEpoch, startOffset: startOffset,
              deliveryCompleteCount: 3, stateBatches: batches.map { $0.message() })
          ])
      ])
  }

  func write(
    _ batches: [ShareStateBatch], epoch: Int32 = 1, leaderEpoch: Int32 = 0, startOffset: Int64 = 0
  ) async throws -> ErrorCode {
    let request = writeRequest(batches, epoch: epoch, leaderEpoch: leaderEpoch, startOffset: startOffset)
    return try await broker.send(request).results[0].partitions[0].errorCode.code
  }

  func read(leaderEpoch: Int32 = 0) async throws -> ReadShareGroupStateResponse.PartitionResult {
    let request = ReadShareGroupStateRequest(
      groupId: groupId,
      topics: [.init(topicId: topicId, partitions: [.init(partition: partition, leaderEpoch: leaderEpoch)])])
    return try await broker.send(request).results[0].partitions[0]
  }

  /// What is persisted, or the error.
  func batches() async throws -> [ShareStateBatch] {
    let answer = try await read()
    guard answer.errorCode.code == .none else { throw answer.errorCode.code }
    return answer.stateBatches.compactMap { ShareStateBatch($0) }
  }

  func summary() async throws -> ReadShareGroupStateSummaryResponse.PartitionResult {
    let request = ReadShareGroupStateSummaryRequest(
      groupId: groupId,
      topics: [.init(topicId: topicId, partitions: [.init(partition: partition, leaderEpoch: -1)])])
    return try await broker.send(request).results[0].partitions[0]
  }

  func delete() async throws -> ErrorCode {
    let request = DeleteShareGroupStateRequest(
      groupId: groupId, topics: [.init(topicId: topicId, partitions: [.init(partition: partition)])])
    return try await broker.send(request).results[0].partitions[0].errorCode.code
  }
}

extension ShareStateBatch {
  static func range(_ first: Int64, _ last: Int64, _ state: ShareRecordState, _ deliveryCount: Int16) -> Self {
    ShareStateBatch(firstOffset: first, lastOffset: last, state: state, deliveryCount: deliveryCount)
  }
}
