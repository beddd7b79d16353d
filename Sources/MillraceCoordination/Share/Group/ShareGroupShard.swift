// The coordinator of share groups (KIP-932) for one partition of __consumer_offsets: the share groups whose ids hash
// there. Whether an id belongs to a group of another kind is for the caller to say, who knows them all.
//
// A plain value, like `GroupShard`: each event changes it at once and returns what to journal and to do. `+Heartbeat`
// and `+Leave` hold membership, `+State` the share-partitions' states, `+Offsets` what tools ask, `+Journal` the replay.

import MillraceProtocol

package struct ShareGroupShard: Sendable {
  package internal(set) var groups: [String: ShareGroup] = [:]

  package init() {}

  /// The share-partitions that a member may fetch from, and whose offsets can be described.
  package func initializedPartitions(ofGroup groupId: String) -> SharePartitions {
    groups[groupId]?.statePartitions.initialized ?? [:]
  }

  package func describe(_ groupId: String, topics: ShareTopics) -> ShareGroupDescribeResponse.DescribedGroup {
    guard let group = groups[groupId] else {
      return .init(
        errorCode: ErrorCode.groupIdNotFound.rawValue, errorMessage: "Group \(groupId) is not a share group.",
        groupId: groupId)
    }
    return .init(
      groupId: groupId, groupState: group.stateName, groupEpoch: group.epoch, assignmentEpoch: group.assignmentEpoch,
      assignorName: "simple",
      members: group.members.sorted { $0.key < $1.key }.map { Self.described($0.value, $0.key, topics) })
  }

  private static func described(
    _ member: ShareGroupMember, _ memberId: String, _ topics: ShareTopics
  ) -> ShareGroupDescribeResponse.Member {
    var partitions: [ShareGroupDescribeResponse.TopicPartitions] = []
    for (topicId, indices) in member.assigned.inOrder {
      guard let topic = topics[topicId] else { continue }
      partitions.append(.init(topicId: topicId, topicName: topic.name, partitions: indices))
    }
    return .init(
      memberId: memberId, rackId: member.rackId, memberEpoch: member.memberEpoch, clientId: member.clientId,
      clientHost: member.clientHost, subscribedTopicNames: member.subscribedTopicNames.sorted(),
      assignment: .init(topicPartitions: partitions))
  }
}

extension SharePartitions {
  /// In a fixed order, so that journals and answers do not depend on hashing.
  var inOrder: [(topicId: Uuid, partitions: [Int32])] {
    sorted { ($0.key.high, $0.key.low) < ($1.key.high, $1.key.low) }.map { ($0.key, $0.value.sorted()) }
  }

  mutating func add(_ other: SharePartitions) { merge(other) { $0.union($1) } }

  mutating func subtract(_ other: SharePartitions) {
    for (topicId, partitions) in other {
      guard let left = self[topicId]?.subtracting(partitions) else { continue }
      self[topicId] = left.isEmpty ? nil : left
    }
  }
}
