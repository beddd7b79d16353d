// The coordinator of share groups (KIP-932) for one partition of __consumer_offsets: the share groups whose ids hash
// there. Whether an id belongs to a group of another kind is for `GroupShard` to say, which knows them all.
//
// A plain value, like `GroupShard`: each event changes it at once and returns what to journal and to do. `+Heartbeat`
// and `+Leave` hold membership, `+State` the share-partitions' states, `+Offsets` what tools ask, `+Journal` the replay.

import MillraceProtocol

package struct ShareGroupShard: Sendable {
  package internal(set) var groups: [String: ShareGroup] = [:]

  package init() {}

  /// The share-partitions that a member may fetch from, and whose offsets can be described.
  func initializedPartitions(ofGroup groupId: String) -> PartitionsByTopic {
    groups[groupId]?.statePartitions.initialized ?? PartitionsByTopic()
  }
}

extension ShareGroup {
  func described(_ image: TopicImage) -> ShareGroupDescribeResponse.DescribedGroup {
    .init(
      groupId: groupId, groupState: stateName, groupEpoch: epoch, assignmentEpoch: assignmentEpoch,
      assignorName: "simple",
      members: members.sorted { $0.key < $1.key }.map { memberId, member in
        .init(
          memberId: memberId, rackId: member.rackId, memberEpoch: member.memberEpoch, clientId: member.clientId,
          clientHost: member.clientHost, subscribedTopicNames: member.subscribedTopicNames.sorted(),
          assignment: .init(
            topicPartitions: member.assigned.sorted.compactMap { id, partitions in
              image[id].map { .init(topicId: id, topicName: $0.name, partitions: partitions) }
            }))
      })
  }

  func listed() -> ListGroupsResponse.ListedGroup {
    .init(groupId: groupId, protocolType: Self.typeName, groupState: stateName, groupType: Self.typeName)
  }
}
