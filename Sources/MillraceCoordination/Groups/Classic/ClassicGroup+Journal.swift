// A classic group as a record of __consumer_offsets, and back.
//
// Journaled are the moments that a restart has to remember: the group is new, a generation got its assignment, a
// static member changed its id, the last member went. In between (a rebalance under way) nothing is written: a broker
// that restarts takes up the last stable generation, and the members that have moved on join again.

import MillraceProtocol
import NIOCore

extension ClassicGroup {
  /// What there is to remember. Also right while a rebalance is under way for a group that nobody has been assigned
  /// in: it has no protocol yet and is remembered as empty.
  func record() -> GroupRecord {
    guard let protocolName else { return record(members: []) }
    return record(
      members: members.values.map { member in
        GroupMetadataValue.MemberMetadata(
          memberId: member.memberId, groupInstanceId: member.groupInstanceId, clientId: member.clientId,
          clientHost: member.clientHost, rebalanceTimeout: member.rebalanceTimeoutMs,
          sessionTimeout: member.sessionTimeoutMs, subscription: member.metadata(for: protocolName) ?? ByteBuffer(),
          assignment: member.assignment)
      })
  }

  /// A group that has just come into being; whoever joins it meanwhile is not part of that fact.
  func newGroupRecord() -> GroupRecord {
    .group(
      GroupMetadataKey(group: groupId),
      GroupMetadataValue(
        protocolType: "", generation: 0, protocol: nil, leader: nil,
        currentStateTimestamp: stateTimestampMs ?? Self.noTimestamp, members: []))
  }

  private func record(members: [GroupMetadataValue.MemberMetadata]) -> GroupRecord {
    .group(
      GroupMetadataKey(group: groupId),
      GroupMetadataValue(
        protocolType: protocolType ?? "", generation: generation, protocol: members.isEmpty ? nil : protocolName,
        leader: members.isEmpty ? nil : leader, currentStateTimestamp: stateTimestampMs ?? Self.noTimestamp,
        members: members))
  }

  private static let noTimestamp: Int64 = -1

  init(replaying value: GroupMetadataValue, groupId: String) {
    self.init(
      groupId: groupId, state: value.members.isEmpty ? .empty : .stable,
      stateTimestampMs: value.currentStateTimestamp == Self.noTimestamp ? nil : value.currentStateTimestamp)
    generation = value.generation
    protocolType = value.protocolType.isEmpty ? nil : value.protocolType
    protocolName = value.protocol
    for one in value.members where members[one.memberId] == nil {
      var groupInstanceId = one.groupInstanceId
      if let claimed = groupInstanceId, staticMemberId(of: claimed) != nil { groupInstanceId = nil }
      add(
        ClassicMember(
          memberId: one.memberId, groupInstanceId: groupInstanceId, clientId: one.clientId,
          clientHost: one.clientHost,
          rebalanceTimeoutMs: one.rebalanceTimeout == -1 ? one.sessionTimeout : one.rebalanceTimeout,
          sessionTimeoutMs: one.sessionTimeout,
          protocols: [SupportedProtocol(name: value.protocol ?? "", metadata: one.subscription)],
          assignment: ByteBuffer(buffer: one.assignment)))
    }
    if let named = value.leader, members[named] != nil { leader = named }
    subscribedTopics = readSubscribedTopics()
  }

  /// Replay is over: from now on the members have to be heard of. A group that has outgrown the limit rebalances.
  mutating func loaded(now: Moment, config: GroupConfig, into decision: inout GroupDecision) {
    for memberId in members.keys { restartSession(of: memberId, now, &decision) }
    if members.count > Int(config.maxSize) {
      let reason = "\(members.count) members are more than group.max.size allows"
      prepareRebalance(because: reason, now, config, &decision)
    }
  }
}

extension ClassicGroup {
  /// The topics that the members subscribed to under the protocol in use. Version 0 of the subscription is a prefix of
  /// all later ones, so newer clients are understood. Nil if the group is not one of consumers, or one of them wrote
  /// something else there: then nobody can tell which topics are in use.
  func readSubscribedTopics() -> Set<String>? {
    guard usesConsumerProtocol else { return nil }
    guard !members.isEmpty else { return [] }
    guard let protocolName else { return nil }
    var topics: Set<String> = []
    for member in members.values {
      guard var metadata = member.metadata(for: protocolName),
        let version = metadata.readInteger(as: Int16.self), version >= 0
      else { return nil }
      var reader = MessageReader(metadata)
      guard let subscription = try? ConsumerProtocolSubscription(from: &reader, version: 0) else { return nil }
      topics.formUnion(subscription.topics)
    }
    return topics
  }

  func isSubscribed(to topic: String) -> Bool {
    subscribedTopics?.contains(topic) ?? usesConsumerProtocol
  }
}
