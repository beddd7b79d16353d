// One consumer's requests, a line each.

import MillraceProtocol
import NIOCore

@testable import MillraceBroker

struct GroupClient {
  let broker: GroupBroker
  var groupId = "g"

  func findCoordinator() async throws -> FindCoordinatorResponse.Coordinator {
    try await broker.send(FindCoordinatorRequest(keyType: 0, coordinatorKeys: [groupId]), version: 6).coordinators[0]
  }

  func joinRequest(memberId: String = "", sessionMs: Int32 = 60_000) throws -> JoinGroupRequest {
    var writer = MessageWriter()
    writer.writeInt16(0)
    try ConsumerProtocolSubscription(topics: ["orders"]).write(to: &writer, version: 0)
    return JoinGroupRequest(
      groupId: groupId, sessionTimeoutMs: sessionMs, rebalanceTimeoutMs: 30_000, memberId: memberId,
      protocolType: "consumer", protocols: [.init(name: "range", metadata: writer.buffer)])
  }

  /// Joins with an id of its own and becomes the only member of a stable group.
  func becomeOnlyMember() async throws -> (memberId: String, generation: Int32) {
    let memberId = try await broker.send(try joinRequest(), version: 9).memberId
    let joined = try await broker.send(try joinRequest(memberId: memberId), version: 9)
    let synced = try await broker.send(
      SyncGroupRequest(
        groupId: groupId, generationId: joined.generationId, memberId: memberId, protocolType: "consumer",
        protocolName: "range", assignments: [.init(memberId: memberId, assignment: ByteBuffer(string: "all"))]),
      version: 5)
    precondition(synced.errorCode == 0 && String(buffer: synced.assignment) == "all")
    return (memberId, joined.generationId)
  }

  func commitRequest(
    _ offset: Int64, memberId: String = "", generation: Int32 = -1, topic: String = "orders", partition: Int32 = 0
  ) -> OffsetCommitRequest {
    OffsetCommitRequest(
      groupId: groupId, generationIdOrMemberEpoch: generation, memberId: memberId,
      topics: [
        .init(
          name: topic, partitions: [.init(partitionIndex: partition, committedOffset: offset, committedMetadata: "")])
      ])
  }

  func commit(_ offset: Int64, memberId: String = "", generation: Int32 = -1, topic: String = "orders") async throws
    -> ErrorCode
  {
    let request = commitRequest(offset, memberId: memberId, generation: generation, topic: topic)
    let response = try await broker.send(request, version: 9)
    return ErrorCode(rawValue: response.topics[0].partitions[0].errorCode)
  }

  func fetchRequest(topic: String = "orders") -> OffsetFetchRequest {
    OffsetFetchRequest(groups: [.init(groupId: groupId, topics: [.init(name: topic, partitionIndexes: [0])])])
  }

  func committed(topic: String = "orders") async throws -> Int64 {
    let group = try await broker.send(fetchRequest(topic: topic), version: 9).groups[0]
    guard group.errorCode == 0 else { throw ErrorCode(rawValue: group.errorCode) }
    return group.topics[0].partitions[0].committedOffset
  }

  func heartbeat(_ memberId: String, _ generation: Int32) async throws -> ErrorCode {
    let request = HeartbeatRequest(groupId: groupId, generationId: generation, memberId: memberId)
    return ErrorCode(rawValue: try await broker.send(request, version: 4).errorCode)
  }
}
