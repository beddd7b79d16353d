// What administrators see of a consumer group.

import MillraceProtocol

extension ConsumerGroup {
  static let typeName = "consumer"

  func listed() -> ListGroupsResponse.ListedGroup {
    ListGroupsResponse.ListedGroup(
      groupId: groupId, protocolType: ClassicGroup.consumerProtocolType, groupState: state.rawValue,
      groupType: Self.typeName)
  }

  func described(_ image: TopicImage, _ config: ConsumerGroupConfig) -> ConsumerGroupDescribeResponse.DescribedGroup {
    ConsumerGroupDescribeResponse.DescribedGroup(
      groupId: groupId, groupState: state.rawValue, groupEpoch: epoch, assignmentEpoch: assignmentEpoch,
      assignorName: preferredAssignor(config).rawValue,
      members: members.values.sorted { $0.memberId < $1.memberId }.map { member in
        ConsumerGroupDescribeResponse.Member(
          memberId: member.memberId, instanceId: member.instanceId, rackId: member.profile.rackId,
          memberEpoch: member.epoch, clientId: member.profile.clientId, clientHost: member.profile.clientHost,
          subscribedTopicNames: member.profile.topicNames, subscribedTopicRegex: member.profile.topicRegex,
          assignment: member.placement.assigned.described(image),
          targetAssignment: (targets[member.memberId] ?? PartitionsByTopic()).described(image),
          memberType: member.usesClassicProtocol ? 0 : 1)
      })
  }
}
