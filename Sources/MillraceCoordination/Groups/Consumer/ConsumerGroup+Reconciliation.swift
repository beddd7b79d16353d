// One member's step from what it has to what it is to have (KIP-848).
//
// It first gives up what is not in its target, in the epoch it is in; then it gets what nobody else has any more, in the
// epoch of the target; and what others still have as it becomes free. So a partition is never at two members.

import MillraceProtocol

extension ConsumerGroup {
  /// What a member says it has; nil when it did not say.
  typealias OwnedPartitions = [ConsumerGroupHeartbeatRequest.TopicPartitions]

  /// - Parameter subscriptionChanged: what the member does not subscribe to any more goes even if the target assignment
  ///   has not caught up with that.
  mutating func reconcile(
    _ memberId: String, owned: OwnedPartitions?, subscriptionChanged: Bool, _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) {
    guard let member = members[memberId] else { return }
    if !subscriptionChanged && member.isReconciled(to: assignmentEpoch) { return }
    let placement = nextPlacement(of: member, owned: owned, subscriptionChanged: subscriptionChanged, image)
    guard placement != member.placement else { return }
    journal(placement.record(groupId: groupId, memberId: memberId), &decision)
    // Classic members have clocks of their own for joining and syncing.
    guard !member.usesClassicProtocol else { return }
    if placement.state == .unrevokedPartitions {
      startRevocation(of: memberId, now, &decision)
    } else {
      clocks[memberId]?.revocation.stop()
    }
  }

  private func nextPlacement(
    of member: ConsumerMember, owned: OwnedPartitions?, subscriptionChanged: Bool, _ image: TopicImage
  ) -> ConsumerMember.Placement {
    let placement = member.placement
    switch placement.state {
    case .stable where placement.epoch == assignmentEpoch:
      return subscriptionChanged ? withoutUnsubscribed(member, owned, image) : placement
    case .stable, .unreleasedPartitions:
      return advanced(member, from: placement.epoch, owned, image)
    case .unrevokedPartitions where owns(owned, anyOf: placement.pendingRevocation):
      return subscriptionChanged ? withoutUnsubscribed(member, owned, image) : placement
    case .unrevokedPartitions:
      // One epoch further, and on towards the target that is current by now. If the member is ahead of the target
      // because of a subscription that changed, it stays where it is.
      let next = placement.epoch == .max ? placement.epoch : placement.epoch + 1
      return advanced(member, from: min(next, assignmentEpoch), owned, image)
    case .unknown:
      // A newer coordinator left it in a state that this one does not know: it begins anew, without partitions.
      return owned?.isEmpty == true ? advanced(member, from: placement.epoch, owned, image) : placement
    }
  }

  private func owns(_ owned: OwnedPartitions?, anyOf partitions: PartitionsByTopic) -> Bool {
    // Silence is not consent.
    guard let owned else { return true }
    return owned.contains { topic in
      guard let revoked = partitions.topics[topic.topicId] else { return false }
      return topic.partitions.contains { revoked.contains($0) }
    }
  }

  /// The whole step towards the target.
  private func advanced(
    _ member: ConsumerMember, from epoch: Int32, _ owned: OwnedPartitions?, _ image: TopicImage
  ) -> ConsumerMember.Placement {
    let subscribed = subscribedTopicIds(member.profile, image)
    let target = targets[member.memberId] ?? PartitionsByTopic()
    var kept = PartitionsByTopic()
    var revoked = PartitionsByTopic()
    var added = PartitionsByTopic()
    var isWaiting = false
    for topic in Set(target.topics.keys).union(member.placement.assigned.topics.keys) {
      let wanted = subscribed.contains(topic) ? target[topic] : []
      let assigned = member.placement.assigned[topic]
      kept[topic] = assigned.intersection(wanted)
      revoked[topic] = assigned.subtracting(wanted)
      let missing = wanted.subtracting(assigned)
      // What it was giving up itself it may just as well keep.
      let free = missing.filter { partition in
        owner(of: topic, partition).map { $0 == member.memberId } ?? true
      }
      added[topic] = free
      if free.count < missing.count { isWaiting = true }
    }

    var next = member.placement
    next.previousEpoch = member.placement.epoch
    if !revoked.isEmpty && owns(owned, anyOf: revoked) {
      next.state = .unrevokedPartitions
      next.epoch = epoch
      next.assigned = kept
      next.pendingRevocation = revoked
      return next
    }
    next.state = isWaiting ? .unreleasedPartitions : .stable
    next.epoch = assignmentEpoch
    kept.formUnion(added)
    next.assigned = kept
    next.pendingRevocation = PartitionsByTopic()
    // Still waiting for the same partitions: nothing has happened.
    var sameEpoch = next
    sameEpoch.previousEpoch = member.placement.previousEpoch
    return sameEpoch == member.placement ? member.placement : next
  }

  /// Only takes away what the member does not subscribe to any more.
  private func withoutUnsubscribed(
    _ member: ConsumerMember, _ owned: OwnedPartitions?, _ image: TopicImage
  ) -> ConsumerMember.Placement {
    let subscribed = subscribedTopicIds(member.profile, image)
    var next = member.placement
    for (topic, partitions) in member.placement.assigned.topics where !subscribed.contains(topic) {
      next.assigned[topic] = []
      next.pendingRevocation[topic].formUnion(partitions)
    }
    guard next.assigned != member.placement.assigned else { return member.placement }
    if owns(owned, anyOf: next.pendingRevocation) {
      next.state = .unrevokedPartitions
    } else {
      // It has given them up before it said that it does not subscribe to them.
      next.pendingRevocation = member.placement.pendingRevocation
    }
    return next
  }
}
