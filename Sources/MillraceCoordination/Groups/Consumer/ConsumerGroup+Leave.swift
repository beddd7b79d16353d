// How members go: they say so, or time has run out for them.

import MillraceProtocol

extension ConsumerGroup {
  /// The member that a leaving heartbeat is from.
  func leavingMember(_ request: ConsumerGroupHeartbeatRequest) throws(GroupRefusal) -> ConsumerMember {
    if let instanceId = request.instanceId { return try knownStaticMember(request.memberId, instanceId) }
    return try dynamicMember(request.memberId, mayBeNew: false)
  }

  /// A static member goes and may come back: it keeps its partitions as long as its session lasts.
  mutating func leaveForNow(_ member: ConsumerMember, _ decision: inout GroupDecision) {
    var placement = member.placement
    placement.epoch = ConsumerMember.leavingStaticEpoch
    placement.pendingRevocation = PartitionsByTopic()
    journal(placement.record(groupId: groupId, memberId: member.memberId), &decision)
    clocks[member.memberId]?.revocation.stop()
  }

  /// Members go for good. What they had is free at once; who gets it is decided at the next heartbeat.
  mutating func remove(
    _ leaving: [String], because reason: String, _ image: TopicImage, _ decision: inout GroupDecision
  ) {
    guard !leaving.isEmpty else { return }
    for memberId in leaving {
      let pattern = members[memberId]?.profile.topicRegex
      for record in tombstones(of: memberId) { journal(record, &decision) }
      forgetPattern(pattern, &decision)
    }
    bumpEpoch(ifChanged: false, because: reason, image, &decision)
  }
}
