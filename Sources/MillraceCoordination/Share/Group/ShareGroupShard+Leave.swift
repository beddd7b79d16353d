// Members that go: by their own word, or because they fell silent.

import MillraceProtocol

extension ShareGroupShard {
  mutating func leave(
    _ request: ShareGroupHeartbeatRequest, topics: TopicImage
  ) -> (ShareGroupHeartbeatResponse, GroupDecision) {
    guard let group = groups[request.groupId] else { return (.init(refusing: .groupIdNotFound), GroupDecision()) }
    guard group.members[request.memberId] != nil else {
      return (.init(refusing: .unknownMemberId), GroupDecision())
    }
    var decision = GroupDecision()
    groups[request.groupId]?.fence(request.memberId, topics: topics, into: &decision)
    return (
      ShareGroupHeartbeatResponse(memberId: request.memberId, memberEpoch: request.memberEpoch), decision
    )
  }

  package mutating func timerFired(_ timer: GroupTimer, topics: TopicImage) -> GroupDecision {
    var decision = GroupDecision()
    guard case .session(let memberId) = timer.kind else { return decision }
    switch groups[timer.groupId]?.sessions[memberId]?.fired(timer.deadlineMs) {
    case nil, .outdated?: break
    case .early(let alarmMs)?:
      decision.timers.append(
        GroupTimer(groupId: timer.groupId, kind: timer.kind, deadlineMs: alarmMs))
    case .expired?:
      groups[timer.groupId]?.fence(memberId, topics: topics, into: &decision)
      decision.notices.append(
        .removed(groupId: timer.groupId, memberId: memberId, reason: "it has not been heard of"))
      decision.fenced.append(ShareSessionKey(groupId: timer.groupId, memberId: memberId))
    }
    return decision
  }
}

extension ShareGroup {
  /// The others learn of it with the next heartbeat of any of them, which makes a new assignment.
  mutating func fence(_ memberId: String, topics: TopicImage, into decision: inout GroupDecision) {
    remove(memberId)
    decision.records += [currentRecord(memberId), targetRecord(memberId), memberRecord(memberId)]
    metadataHash = hash(of: topics)
    topicsVersion = topics.version
    epoch = epoch == .max ? .max : epoch + 1
    decision.records.append(epochRecord)
  }
}
