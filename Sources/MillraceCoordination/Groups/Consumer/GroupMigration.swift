// A group with members changes its protocol (KIP-848): the first consumer of the new kind makes a classic group of
// consumers a consumer group, and when the last of them goes it becomes a classic group again. Nobody has to stop; the
// members keep what they have, and the others learn of the change by joining once more.

import MillraceProtocol
import NIOCore

// MARK: - From classic to consumer

extension ConsumerGroup {
  /// The classic group with all its members as classic members. They are where their leader's assignment has put them.
  init(upgrading classic: ClassicGroup, _ image: TopicImage, _ config: ConsumerGroupConfig) throws(GroupRefusal) {
    func refuse(_ reason: String) -> GroupRefusal {
      GroupRefusal(.groupIdNotFound, "Classic group \(classic.groupId) cannot become a consumer group: \(reason).")
    }
    guard config.migrationPolicy.allowsUpgrade else { throw refuse("group.consumer.migration.policy forbids it") }
    guard classic.usesConsumerProtocol else { throw refuse("its members are not consumers") }
    guard classic.members.count <= Int(config.maxSize) else { throw refuse("it has too many members") }

    self.init(groupId: classic.groupId)
    let generation = max(0, classic.generation)
    apply(epochRecord(generation, hash: 0))
    apply(assignmentEpochRecord(generation))
    for old in classic.members.values {
      let chosen = old.metadata(for: classic.protocolName) ?? old.protocols.first?.metadata
      guard let subscription = chosen.flatMap(ClassicSubscription.init)?.message else {
        throw refuse("a member's subscription cannot be read")
      }
      guard var assigned = PartitionsByTopic(classicAssignment: old.assignment, by: classic.protocolName, image)
      else {
        throw refuse("an assignment cannot be read, or is of an assignor with data of its own")
      }
      // No assignor should give a partition to two; the consumer protocol does not let it.
      for (topic, partitions) in assigned.topics {
        for partition in partitions where owner(of: topic, partition) != nil { assigned.remove(topic, partition) }
      }
      var profile = ConsumerMember.Profile()
      profile.instanceId = old.groupInstanceId
      profile.rackId = subscription.rackId.flatMap { $0.isEmpty ? nil : $0 }
      profile.clientId = old.clientId
      profile.clientHost = old.clientHost
      profile.topicNames = Set(subscription.topics).sorted()
      profile.rebalanceTimeoutMs = old.rebalanceTimeoutMs
      // The protocol in use goes first: its name is what a SyncGroup under way will say.
      let inUse = old.protocols.filter { $0.name == classic.protocolName }
      profile.classic = .init(
        sessionTimeoutMs: old.sessionTimeoutMs,
        protocols: inUse + old.protocols.filter { $0.name != classic.protocolName })
      apply(profile.record(groupId: groupId, memberId: old.memberId))
      apply(targetRecord(old.memberId, assigned))
      var placement = ConsumerMember.Placement()
      placement.epoch = generation
      placement.previousEpoch = generation
      placement.assigned = assigned
      apply(placement.record(groupId: groupId, memberId: old.memberId))
    }
    apply(epochRecord(generation, hash: hash(of: image)))
  }

  /// The group as it is, for a journal that knows nothing of it.
  func records() -> [GroupRecord] {
    let sorted = members.values.sorted { $0.memberId < $1.memberId }
    var records = sorted.map { $0.profile.record(groupId: groupId, memberId: $0.memberId) }
    records.append(epochRecord(epoch, hash: metadataHash))
    records += sorted.map { targetRecord($0.memberId, targets[$0.memberId] ?? PartitionsByTopic()) }
    records.append(assignmentEpochRecord(assignmentEpoch))
    records += sorted.map { $0.placement.record(groupId: groupId, memberId: $0.memberId) }
    return records
  }

  // MARK: - And back

  /// Whether a group without these members is one of classic members only, and may become a classic group.
  func allowsDowngrade(without leaving: Set<String>, _ config: GroupConfig) -> Bool {
    let remaining = members.count - leaving.count
    let leavingClassic = leaving.count { members[$0]?.usesClassicProtocol == true }
    return remaining > 0 && index.classicMemberCount - leavingClassic == remaining
      && config.consumer.migrationPolicy.allowsDowngrade && remaining <= Int(config.maxSize)
  }

  /// Whether the group consists of classic members as soon as one has taken the place of `member`.
  func allowsDowngrade(replacing member: ConsumerMember, _ config: GroupConfig) -> Bool {
    !member.usesClassicProtocol && index.classicMemberCount == members.count - 1
      && config.consumer.migrationPolicy.allowsDowngrade && members.count <= Int(config.maxSize)
  }
}

extension ClassicGroup {
  /// The consumer group's classic members as a stable classic group, assigned what the target says.
  init(downgrading group: ConsumerGroup, without leaving: Set<String>, _ image: TopicImage, nowMs: Int64) {
    self.init(groupId: group.groupId, state: .stable, stateTimestampMs: nowMs)
    generation = group.epoch
    protocolType = Self.consumerProtocolType
    for member in group.members.values.sorted(by: { $0.memberId < $1.memberId }) {
      guard !leaving.contains(member.memberId), let classic = member.profile.classic else { continue }
      let version = ClassicSubscription(classic.protocols[0].metadata)?.version ?? 0
      let target = group.targets[member.memberId] ?? PartitionsByTopic()
      add(
        ClassicMember(
          memberId: member.memberId, groupInstanceId: member.instanceId, clientId: member.profile.clientId,
          clientHost: member.profile.clientHost, rebalanceTimeoutMs: member.profile.rebalanceTimeoutMs,
          sessionTimeoutMs: classic.sessionTimeoutMs, protocols: classic.protocols,
          assignment: target.classicAssignment(version: version, image)))
    }
    protocolName = selectProtocol()
    subscribedTopics = readSubscribedTopics()
  }

  /// The group ends, and whoever waits for it is told to join again.
  mutating func dismiss(_ decision: inout GroupDecision) {
    for memberId in members.keys {
      if let ticket = takeJoinTicket(of: memberId) {
        decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .rebalanceInProgress, memberId: memberId)))
      }
      if let ticket = takeSyncTicket(of: memberId) {
        decision.answers.append(.sync(ticket, SyncGroupResponse(refusing: .rebalanceInProgress)))
      }
    }
  }
}
