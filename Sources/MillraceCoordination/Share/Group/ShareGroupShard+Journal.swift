// Taking in facts, and writing them: the records say how the group is now.

import MillraceProtocol

extension ShareGroupShard {
  package mutating func replay(_ record: ShareGroupRecord) {
    let groupId = record.groupId
    guard var group = groups.removeValue(forKey: groupId) ?? (record.isTombstone ? nil : ShareGroup(groupId: groupId))
    else { return }
    switch record {
    case .epoch(_, nil): return
    case .epoch(_, let value?):
      group.epoch = value.epoch
      group.metadataHash = value.metadataHash
    case .member(let key, nil): group.remove(key.memberId)
    case .member(let key, let value?):
      var member = group.members[key.memberId] ?? ShareGroupMember()
      member.rackId = value.rackId
      member.clientId = value.clientId
      member.clientHost = value.clientHost
      member.subscribedTopicNames = Set(value.subscribedTopicNames)
      group.put(member, key.memberId)
    case .targetEpoch(_, let value): group.assignmentEpoch = value?.assignmentEpoch ?? 0
    case .target(let key, let value):
      group.target[key.memberId] = value.map { value in
        value.topicPartitions.reduce(into: PartitionsByTopic()) { $0[$1.topicId].formUnion($1.partitions) }
      }
    case .current(let key, let value):
      // A tombstone for a member that stays means that it has nothing; it comes before the member's own.
      guard var member = group.members[key.memberId] ?? (value == nil ? nil : ShareGroupMember()) else { break }
      member.memberEpoch = value?.memberEpoch ?? 0
      member.previousMemberEpoch = value?.previousMemberEpoch ?? -1
      member.assigned = (value?.assignedPartitions ?? []).reduce(into: PartitionsByTopic()) {
        $0[$1.topicId].formUnion($1.partitions)
      }
      group.put(member, key.memberId)
    case .statePartitions(_, let value):
      group.statePartitions = ShareStatePartitions()
      for topic in value?.initializingTopics ?? [] {
        group.statePartitions.initializing[topic.topicId] = Set(topic.partitions)
        group.statePartitions.names[topic.topicId] = topic.topicName
      }
      for topic in value?.initializedTopics ?? [] {
        group.statePartitions.initialized[topic.topicId] = Set(topic.partitions)
        group.statePartitions.names[topic.topicId] = topic.topicName
      }
      for topic in value?.deletingTopics ?? [] {
        group.statePartitions.deleting.insert(topic.topicId)
        group.statePartitions.names[topic.topicId] = topic.topicName
      }
      group.statePartitions.tidy()
    }
    groups[groupId] = group
  }

  /// The whole log has been replayed: sessions begin to count.
  /// - Parameter config: of a group, by its id.
  package mutating func loaded(config: (String) -> ShareGroupConfig, topics: TopicImage, now: Moment)
    -> GroupDecision
  {
    var decision = GroupDecision()
    for groupId in groups.keys.sorted() {
      guard var group = groups.removeValue(forKey: groupId) else { continue }
      for memberId in group.members.keys.sorted() {
        group.startSession(memberId, config: config(groupId), now: now, into: &decision)
      }
      var assigned = PartitionsByTopic()
      for partitions in group.target.values { assigned.formUnion(partitions) }
      group.hasNewPartitions = group.statePartitions.initialized.topics.contains { topicId, partitions in
        guard let name = topics[topicId]?.name, group.subscribers[name] != nil else { return false }
        return assigned[topicId] != partitions
      }
      groups[groupId] = group
    }
    return decision
  }
}

extension ShareGroupRecord {
  fileprivate var isTombstone: Bool {
    switch self {
    case .member(_, let value): value == nil
    case .epoch(_, let value): value == nil
    case .targetEpoch(_, let value): value == nil
    case .target(_, let value): value == nil
    case .current(_, let value): value == nil
    case .statePartitions(_, let value): value == nil
    }
  }
}

// MARK: - Records

extension ShareGroup {
  var epochRecord: GroupRecord {
    .share(.epoch(.init(groupId: groupId), .init(epoch: epoch, metadataHash: metadataHash)))
  }

  var targetEpochRecord: GroupRecord {
    .share(.targetEpoch(.init(groupId: groupId), .init(assignmentEpoch: assignmentEpoch)))
  }

  /// Of somebody who is no member any more: a tombstone.
  func memberRecord(_ memberId: String) -> GroupRecord {
    .share(
      .member(
        .init(groupId: groupId, memberId: memberId),
        members[memberId].map {
          .init(
            rackId: $0.rackId, clientId: $0.clientId, clientHost: $0.clientHost,
            subscribedTopicNames: $0.subscribedTopicNames.sorted())
        }))
  }

  func targetRecord(_ memberId: String) -> GroupRecord {
    .share(
      .target(
        .init(groupId: groupId, memberId: memberId),
        target[memberId].map { target in
          .init(topicPartitions: target.sorted.map { .init(topicId: $0.topic, partitions: $0.partitions) })
        }))
  }

  func currentRecord(_ memberId: String) -> GroupRecord {
    .share(
      .current(
        .init(groupId: groupId, memberId: memberId),
        members[memberId].map { member in
          .init(
            memberEpoch: member.memberEpoch, previousMemberEpoch: member.previousMemberEpoch, state: 0,
            assignedPartitions: member.assigned.sorted.map { .init(topicId: $0.topic, partitions: $0.partitions) })
        }))
  }

  var statePartitionsRecord: GroupRecord {
    func topics(_ partitions: PartitionsByTopic) -> [ShareGroupStatePartitionMetadataValue.TopicPartitionsInfo] {
      partitions.sorted.map {
        .init(topicId: $0.topic, topicName: statePartitions.names[$0.topic] ?? "", partitions: $0.partitions)
      }
    }
    return .share(
      .statePartitions(
        .init(groupId: groupId),
        .init(
          initializingTopics: topics(statePartitions.initializing),
          initializedTopics: topics(statePartitions.initialized),
          deletingTopics: statePartitions.deleting.sorted { $0.precedes($1) }.map {
            .init(topicId: $0, topicName: statePartitions.names[$0] ?? "")
          })))
  }

  /// The group is gone, and has no members.
  var tombstones: [GroupRecord] {
    [
      .share(.targetEpoch(.init(groupId: groupId), nil)), .share(.statePartitions(.init(groupId: groupId), nil)),
      .share(.epoch(.init(groupId: groupId), nil)),
    ]
  }
}
