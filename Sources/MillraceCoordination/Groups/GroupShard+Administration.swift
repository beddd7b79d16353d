// DescribeGroups, ListGroups, DeleteGroups, and offsets that go because their topic or their time is gone.

import MillraceProtocol

extension GroupShard {
  /// Classic groups that do not exist are "Dead"; from v6 on they are also an error (KIP-1043).
  package func describe(_ groupId: String, version: Int16) -> DescribeGroupsResponse.DescribedGroup {
    if let group = classicGroups[groupId] { return group.described() }
    let reason =
      consumerGroups[groupId] == nil && !isShareGroup(groupId)
      ? "Group \(groupId) not found." : "Group \(groupId) is not a classic group."
    return DescribeGroupsResponse.DescribedGroup(
      errorCode: (version >= 6 ? ErrorCode.groupIdNotFound : .none).rawValue,
      errorMessage: version >= 6 ? reason : nil, groupId: groupId, groupState: "Dead")
  }

  /// An empty filter lets everything pass (KIP-518, KIP-848).
  package func list(states: [String], types: [String]) -> [ListGroupsResponse.ListedGroup] {
    let wantedTypes = Set(types.map { $0.lowercased() })
    let wantedStates = Set(states.map { $0.lowercased().filter { !$0.isWhitespace } })
    func isWanted(_ type: String) -> Bool { wantedTypes.isEmpty || wantedTypes.contains(type) }
    func isWanted(state: String) -> Bool { wantedStates.isEmpty || wantedStates.contains(state.lowercased()) }
    var listed: [ListGroupsResponse.ListedGroup] = []
    if isWanted(ClassicGroup.typeName) {
      for group in classicGroups.values where isWanted(state: group.state.rawValue) { listed.append(group.listed()) }
    }
    if isWanted(ConsumerGroup.typeName) {
      for group in consumerGroups.values where isWanted(state: group.state.rawValue) { listed.append(group.listed()) }
    }
    if isWanted(ShareGroup.typeName) {
      for group in share.groups.values where isWanted(state: group.stateName) { listed.append(group.listed()) }
    }
    return listed.sorted { $0.groupId < $1.groupId }
  }

  /// One result for each id, in their order.
  package mutating func delete(_ groupIds: [String]) -> ([DeleteGroupsResponse.DeletableGroupResult], GroupDecision) {
    var decision = GroupDecision()
    let results = groupIds.map { groupId in
      let error: ErrorCode
      switch isEmpty(groupId) {
      case nil:
        error = .groupIdNotFound
      case true?:
        for (topic, partitions) in offsets.sortedPartitions(of: groupId) {
          for (partition, _) in partitions {
            journal(CommittedOffset.tombstone(groupId: groupId, topic: topic, partition: partition), &decision)
          }
        }
        for place in pendingOffsets.places(of: groupId) { journal(place.tombstone, &decision) }
        deleteGroup(groupId, &decision)
        error = .none
      case false?:
        error = .nonEmptyGroup
      }
      return DeleteGroupsResponse.DeletableGroupResult(groupId: groupId, errorCode: error.rawValue)
    }
    return (results, decision)
  }

  /// Nil if there is no such group.
  private func isEmpty(_ groupId: String) -> Bool? {
    classicGroups[groupId].map { $0.state == .empty } ?? consumerGroups[groupId].map { $0.members.isEmpty }
  }

  private mutating func deleteGroup(_ groupId: String, _ decision: inout GroupDecision) {
    if let group = consumerGroups[groupId] {
      for record in group.tombstones() { journal(record, &decision) }
    } else {
      journal(.group(GroupMetadataKey(group: groupId), nil), &decision)
    }
    decision.notices.append(.deleted(groupId: groupId))
  }

  /// Topics that are gone take their offsets with them, whatever state the group is in.
  package mutating func topicsDeleted(_ topics: Set<String>) -> GroupDecision {
    var decision = GroupDecision()
    for topic in topics.sorted() {
      for (groupId, partitions) in offsets.groups(of: topic) {
        for partition in partitions {
          journal(CommittedOffset.tombstone(groupId: groupId, topic: topic, partition: partition), &decision)
        }
      }
    }
    for groupId in pendingOffsets.groupIds.sorted() {
      for place in pendingOffsets.places(of: groupId) where topics.contains(place.topic) {
        journal(place.tombstone, &decision)
      }
    }
    return decision
  }

  /// Drops offsets that nobody has used for `offsets.retention.minutes`, and empty groups that have none left
  /// (KIP-211). A group of consumers that are there keeps what it subscribes to.
  package mutating func expireOffsets(now: Moment) -> GroupDecision {
    var decision = GroupDecision()
    for groupId in classicGroups.keys.sorted() {
      guard let group = classicGroups[groupId] else { continue }
      for (topic, partitions) in offsets.sortedPartitions(of: groupId) where !group.isSubscribed(to: topic) {
        for (partition, offset) in partitions
        where isExpired(offset, of: group, nowMs: now.wallMs)
          && !pendingOffsets.contains(groupId, topic, partition)
        {
          journal(CommittedOffset.tombstone(groupId: groupId, topic: topic, partition: partition), &decision)
        }
      }
      if group.state == .empty && group.pendingJoins.isEmpty && offsets.topics(of: groupId).isEmpty
        && !pendingOffsets.contains(groupId: groupId)
      {
        deleteGroup(groupId, &decision)
      }
    }
    for groupId in consumerGroups.keys.sorted() {
      guard let group = consumerGroups[groupId] else { continue }
      for (topic, partitions) in offsets.sortedPartitions(of: groupId) where !group.isSubscribed(to: topic) {
        for (partition, offset) in partitions
        where isExpired(offset, unusedSince: offset.commitTimestampMs, nowMs: now.wallMs)
          && !pendingOffsets.contains(groupId, topic, partition)
        {
          journal(CommittedOffset.tombstone(groupId: groupId, topic: topic, partition: partition), &decision)
        }
      }
      if group.members.isEmpty && offsets.topics(of: groupId).isEmpty && !pendingOffsets.contains(groupId: groupId) {
        deleteGroup(groupId, &decision)
      }
    }
    return decision
  }

  private func isExpired(_ offset: CommittedOffset, of group: ClassicGroup, nowMs: Int64) -> Bool {
    group.unusedSince(offset).map { isExpired(offset, unusedSince: $0, nowMs: nowMs) } ?? false
  }

  private func isExpired(_ offset: CommittedOffset, unusedSince: Int64, nowMs: Int64) -> Bool {
    if let explicit = offset.expireTimestampMs { return nowMs >= explicit }
    let (age, overflow) = nowMs.subtractingReportingOverflow(unusedSince)
    return !overflow && age >= config.offsetsRetentionMs
  }
}

extension PendingOffsets.Place {
  fileprivate var tombstone: GroupRecord {
    CommittedOffset.tombstone(groupId: groupId, topic: topic, partition: partition)
  }
}
