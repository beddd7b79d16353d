// One member of a share group and its administrator, a line each request, over the wire.

import MillraceProtocol
import Testing

@testable import MillraceBroker

struct ShareGroupClient {
  let broker: GroupBroker
  var groupId = "g"

  func heartbeat(_ memberId: String, epoch: Int32 = 0, topics: [String]? = nil) async throws
    -> ShareGroupHeartbeatResponse
  {
    try await broker.send(
      ShareGroupHeartbeatRequest(
        groupId: groupId, memberId: memberId, memberEpoch: epoch, subscribedTopicNames: topics))
  }

  /// Joins and waits until it has something to fetch from.
  func join(_ memberId: String, topics: [String] = ["orders"]) async throws -> ShareGroupHeartbeatResponse {
    var answer = try await heartbeat(memberId, topics: topics)
    try await eventually {
      if answer.assignment?.topicPartitions.isEmpty == false { return true }
      answer = try await heartbeat(memberId, epoch: answer.memberEpoch, topics: topics)
      return answer.assignment?.topicPartitions.isEmpty == false
    }
    return answer
  }

  func leave(_ memberId: String) async throws -> ErrorCode {
    try await heartbeat(memberId, epoch: -1).errorCode.code
  }

  func describe() async throws -> ShareGroupDescribeResponse.DescribedGroup {
    try await broker.send(ShareGroupDescribeRequest(groupIds: [groupId])).groups[0]
  }

  func delete() async throws -> ErrorCode {
    try await broker.send(DeleteGroupsRequest(groupsNames: [groupId])).results[0].errorCode.code
  }

  func alter(_ startOffset: Int64, partition: Int32 = 0, topic: String = "orders") async throws
    -> AlterShareGroupOffsetsResponse
  {
    try await broker.send(
      AlterShareGroupOffsetsRequest(
        groupId: groupId,
        topics: [
          .init(topicName: topic, partitions: [.init(partitionIndex: partition, startOffset: startOffset)])
        ]))
  }

  func deleteOffsets(_ topics: [String] = ["orders"]) async throws -> DeleteShareGroupOffsetsResponse {
    try await broker.send(
      DeleteShareGroupOffsetsRequest(groupId: groupId, topics: topics.map { .init(topicName: $0) }))
  }

  func offsets(_ topics: [(String, [Int32])]? = nil) async throws
    -> DescribeShareGroupOffsetsResponse.DescribeShareGroupOffsetsResponseGroup
  {
    let topics = topics?.map {
      DescribeShareGroupOffsetsRequest.DescribeShareGroupOffsetsRequestTopic(topicName: $0, partitions: $1)
    }
    return try await broker.send(
      DescribeShareGroupOffsetsRequest(groups: [.init(groupId: groupId, topics: topics)])
    ).groups[0]
  }
}
