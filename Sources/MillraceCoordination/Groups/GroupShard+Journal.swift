// Taking in facts: from the journal at start, and from the shard's own decisions.

import MillraceProtocol

extension GroupShard {
  /// - Parameter producerId: of the batch, if that is part of a transaction.
  package mutating func replay(_ record: GroupRecord, producerId: Int64? = nil) {
    switch record {
    case .group(let key, let value?):
      consumerGroups[key.group] = nil
      classicGroups[key.group] = ClassicGroup(replaying: value, groupId: key.group)
    case .group(let key, nil):
      classicGroups[key.group] = nil
    case .offset(let key, let value?):
      // A commit without membership makes what Kafka calls a simple group: empty, without a protocol type.
      if classicGroups[key.group] == nil && consumerGroups[key.group] == nil {
        classicGroups[key.group] = ClassicGroup(groupId: key.group, nowMs: value.commitTimestamp)
      }
      let place = PendingOffsets.Place(groupId: key.group, topic: key.topic, partition: key.partition)
      if let producerId {
        pendingOffsets.put(CommittedOffset(value), at: place, by: producerId)
      } else {
        offsets.put(CommittedOffset(value), groupId: key.group, topic: key.topic, partition: key.partition)
        pendingOffsets.overtake(at: place)
      }
    case .offset(let key, nil):
      offsets.remove(groupId: key.group, topic: key.topic, partition: key.partition)
      pendingOffsets.remove(at: .init(groupId: key.group, topic: key.topic, partition: key.partition))
    case .consumerGroup(let key, nil):
      consumerGroups[key.groupId] = nil
    case .consumerGroup(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .consumerPartitions(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .consumerMember(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .targetAssignmentEpoch(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .targetAssignment(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .currentAssignment(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .regularExpression(let key, let value): replay(record, of: key.groupId, isTombstone: value == nil)
    case .share(let record): share.replay(record)
    }
  }

  /// The first fact of a consumer group makes it, in the place of a group that is known by its offsets alone.
  private mutating func replay(_ record: GroupRecord, of groupId: String, isTombstone: Bool) {
    if consumerGroups[groupId] == nil {
      guard !isTombstone else { return }
      classicGroups[groupId] = nil
      consumerGroups[groupId] = ConsumerGroup(groupId: groupId)
    }
    consumerGroups[groupId]?.apply(record)
  }

  /// Offsets, tombstones and deletions change nothing but what the record says. (A group's own record is the other
  /// way round: the group has changed, and the record says how.)
  mutating func journal(_ record: GroupRecord, _ decision: inout GroupDecision) {
    replay(record)
    decision.records.append(record)
  }

  /// The whole log has been replayed: sessions begin to count.
  package mutating func loaded(topics image: TopicImage, now: Moment) -> GroupDecision {
    var decision = GroupDecision()
    for groupId in classicGroups.keys.sorted() {
      classicGroups[groupId]?.loaded(now: now, config: config, into: &decision)
    }
    for groupId in consumerGroups.keys.sorted() {
      consumerGroups[groupId]?.loaded(now: now, config: config.consumer, into: &decision)
    }
    decision.timers += share.loaded(config: { [config] in config.share(of: $0) }, topics: image, now: now).timers
    return decision
  }
}
