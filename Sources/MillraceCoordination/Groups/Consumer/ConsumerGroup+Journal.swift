// A consumer group as records of __consumer_offsets, and back.
//
// Each record sets one thing, whatever came before, so that a compacted journal replays: there a member's assignment may
// stand before the member itself.

import MillraceProtocol

extension ConsumerGroup {
  /// Takes in a record of this group and journals it.
  mutating func journal(_ record: GroupRecord, _ decision: inout GroupDecision) {
    apply(record)
    decision.records.append(record)
  }

  mutating func apply(_ record: GroupRecord) {
    switch record {
    case .consumerGroup(_, let value?):
      epoch = value.epoch
      metadataHash = value.metadataHash
    case .consumerPartitions(_, let value):
      hasPartitionMetadataRecord = value != nil
    case .consumerMember(let key, let value?):
      update(key.memberId) { $0.profile = ConsumerMember.Profile(value) }
    case .consumerMember(let key, nil):
      remove(key.memberId)
    case .targetAssignmentEpoch(_, let value):
      assignmentEpoch = value?.assignmentEpoch ?? -1
      unreconciledCount = members.values.count { !$0.isReconciled(to: assignmentEpoch) }
    case .targetAssignment(let key, let value):
      targets[key.memberId] = value.map { PartitionsByTopic($0.topicPartitions) }
    case .currentAssignment(let key, let value?):
      update(key.memberId) { $0.placement = ConsumerMember.Placement(value) }
    case .currentAssignment(let key, nil):
      guard members[key.memberId] != nil else { return }
      update(key.memberId) { $0.placement = ConsumerMember.Placement(epoch: ConsumerMember.leavingEpoch) }
    case .regularExpression(let key, let value):
      resolvedPatterns[key.regularExpression] = value.map(ResolvedPattern.init)
    case .consumerGroup(_, nil), .group, .offset, .share:
      preconditionFailure("not a record that a consumer group takes in")
    }
  }

  private mutating func update(_ memberId: String, _ change: (inout ConsumerMember) -> Void) {
    let old = members[memberId]
    var member = old ?? ConsumerMember(memberId: memberId)
    change(&member)
    if let old {
      index.remove(old)
      if !old.isReconciled(to: assignmentEpoch) { unreconciledCount -= 1 }
    }
    index.add(member)
    if !member.isReconciled(to: assignmentEpoch) { unreconciledCount += 1 }
    members[memberId] = member
  }

  private mutating func remove(_ memberId: String) {
    guard let member = members.removeValue(forKey: memberId) else { return }
    index.remove(member)
    if !member.isReconciled(to: assignmentEpoch) { unreconciledCount -= 1 }
    clocks[memberId] = nil
  }
}

// MARK: - Records

extension ConsumerGroup {
  func epochRecord(_ epoch: Int32, hash: Int64) -> GroupRecord {
    .consumerGroup(
      ConsumerGroupMetadataKey(groupId: groupId), ConsumerGroupMetadataValue(epoch: epoch, metadataHash: hash))
  }

  func assignmentEpochRecord(_ epoch: Int32) -> GroupRecord {
    .targetAssignmentEpoch(
      ConsumerGroupTargetAssignmentMetadataKey(groupId: groupId),
      ConsumerGroupTargetAssignmentMetadataValue(assignmentEpoch: epoch))
  }

  func targetRecord(_ memberId: String, _ target: PartitionsByTopic) -> GroupRecord {
    .targetAssignment(
      ConsumerGroupTargetAssignmentMemberKey(groupId: groupId, memberId: memberId),
      ConsumerGroupTargetAssignmentMemberValue(topicPartitions: target.asTarget))
  }

  func tombstones(of memberId: String) -> [GroupRecord] {
    [
      .currentAssignment(ConsumerGroupCurrentMemberAssignmentKey(groupId: groupId, memberId: memberId), nil),
      .targetAssignment(ConsumerGroupTargetAssignmentMemberKey(groupId: groupId, memberId: memberId), nil),
      .consumerMember(ConsumerGroupMemberMetadataKey(groupId: groupId, memberId: memberId), nil),
    ]
  }

  func patternTombstone(_ pattern: String) -> GroupRecord {
    .regularExpression(ConsumerGroupRegularExpressionKey(groupId: groupId, regularExpression: pattern), nil)
  }

  /// All that was ever journaled of the group, taken back. Kafka insists on this order.
  func tombstones() -> [GroupRecord] {
    let memberIds = Set(members.keys).union(targets.keys).sorted()
    var records: [GroupRecord] = memberIds.map {
      .currentAssignment(ConsumerGroupCurrentMemberAssignmentKey(groupId: groupId, memberId: $0), nil)
    }
    records += memberIds.map {
      .targetAssignment(ConsumerGroupTargetAssignmentMemberKey(groupId: groupId, memberId: $0), nil)
    }
    records.append(.targetAssignmentEpoch(ConsumerGroupTargetAssignmentMetadataKey(groupId: groupId), nil))
    records += memberIds.map { .consumerMember(ConsumerGroupMemberMetadataKey(groupId: groupId, memberId: $0), nil) }
    records += resolvedPatterns.keys.sorted().map(patternTombstone)
    if hasPartitionMetadataRecord {
      records.append(.consumerPartitions(ConsumerGroupPartitionMetadataKey(groupId: groupId), nil))
    }
    records.append(.consumerGroup(ConsumerGroupMetadataKey(groupId: groupId), nil))
    return records
  }
}
