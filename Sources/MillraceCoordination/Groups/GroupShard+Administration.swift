// DescribeGroups, ListGroups, DeleteGroups, and offsets that go because their topic or their time is gone.

import MillraceProtocol

extension GroupShard {
  /// Groups that do not exist are "Dead"; from v6 on they are also an error (KIP-1043).
  package func describe(_ groupId: String, version: Int16) -> DescribeGroupsResponse.DescribedGroup {
    if let group = classicGroups[groupId] { return group.described() }
    return DescribeGroupsResponse.DescribedGroup(
      errorCode: (version >= 6 ? ErrorCode.groupIdNotFound : .none).rawValue,
      errorMessage: version >= 6 ? "Group \(groupId) not found." : nil, groupId: groupId, groupState: "Dead")
  }

  /// An empty filter lets everything pass (KIP-518, KIP-848).
  package func list(states: [String], types: [String]) -> [ListGroupsResponse.ListedGroup] {
    guard types.isEmpty || types.contains(where: { $0.lowercased() == ClassicGroup.typeName }) else { return [] }
    let wanted = Set(states.map { $0.lowercased().filter { !$0.isWhitespace } })
    return classicGroups.values
      .filter { wanted.isEmpty || wanted.contains($0.state.rawValue.lowercased()) }
      .sorted { $0.groupId < $1.groupId }
      .map { $0.listed() }
  }

  /// One result for each id, in their order.
  package mutating func delete(_ groupIds: [String]) -> ([DeleteGroupsResponse.DeletableGroupResult], GroupDecision) {
    var decision = GroupDecision()
    let results = groupIds.map { groupId in
      let error: ErrorCode
      switch classicGroups[groupId]?.state {
      case nil:
        error = .groupIdNotFound
      case .empty:
        for (topic, partitions) in offsets.sortedPartitions(of: groupId) {
          for (partition, _) in partitions {
            journal(CommittedOffset.tombstone(groupId: groupId, topic: topic, partition: partition), &decision)
          }
        }
        for place in pendingOffsets.places(of: groupId) { journal(place.tombstone, &decision) }
        deleteGroup(groupId, &decision)
        error = .none
      case .preparingRebalance, .completingRebalance, .stable:
        error = .nonEmptyGroup
      }
      return DeleteGroupsResponse.DeletableGroupResult(groupId: groupId, errorCode: error.rawValue)
    }
    return (results, decision)
  }

  private mutating func deleteGroup(_ groupId: String, _ decision: inout GroupDecision) {
    journal(.group(GroupMetadataKey(group: groupId), nil), &decision)
    decision.notices.append(.deleted(groupId: groupId))
  }

  /// Topics that are gone take their offsets with them, whatever state the group is in.
  package mutating func topicsDeleted(_ topics: Set<String>) -> GroupDecision {
    var decision = GroupDecision()
    for groupId in offsets.groupIds.sorted() {
      for (topic, partitions) in offsets.sortedPartitions(of: groupId) where topics.contains(topic) {
        for (partition, _) in partitions {
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
    return decision
  }

  private func isExpired(_ offset: CommittedOffset, of group: ClassicGroup, nowMs: Int64) -> Bool {
    guard let unusedSince = group.unusedSince(offset) else { return false }
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
