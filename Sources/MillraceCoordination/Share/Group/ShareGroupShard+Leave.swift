// Members that go: by their own word, or because they fell silent.

import MillraceProtocol

extension ShareGroupShard {
  mutating func leave(
    _ request: ShareGroupHeartbeatRequest, topics: ShareTopics
  ) -> (ShareGroupHeartbeatResponse, ShareGroupDecision) {
    guard let group = groups[request.groupId] else { return (.init(refusing: .groupIdNotFound), ShareGroupDecision()) }
    guard group.members[request.memberId] != nil else {
      return (.init(refusing: .unknownMemberId), ShareGroupDecision())
    }
    var decision = ShareGroupDecision()
    groups[request.groupId]?.fence(request.memberId, topics: topics, into: &decision)
    return (
      ShareGroupHeartbeatResponse(memberId: request.memberId, memberEpoch: request.memberEpoch), decision
    )
  }

  package mutating func timerFired(_ timer: ShareGroupTimer, topics: ShareTopics) -> ShareGroupDecision {
    var decision = ShareGroupDecision()
    switch groups[timer.groupId]?.sessions[timer.memberId]?.fired(timer.deadlineMs) {
    case nil, .outdated?: break
    case .early(let alarmMs)?:
      decision.timers.append(
        ShareGroupTimer(groupId: timer.groupId, memberId: timer.memberId, deadlineMs: alarmMs))
    case .expired?:
      groups[timer.groupId]?.fence(timer.memberId, topics: topics, into: &decision)
      decision.fenced.append(ShareSessionKey(groupId: timer.groupId, memberId: timer.memberId))
    }
    return decision
  }
}

extension ShareGroup {
  /// The others learn of it with the next heartbeat of any of them, which makes a new assignment.
  mutating func fence(_ memberId: String, topics: ShareTopics, into decision: inout ShareGroupDecision) {
    remove(memberId)
    decision.records += [currentRecord(memberId), targetRecord(memberId), memberRecord(memberId)]
    metadataHash = hash(of: topics)
    topicsVersion = topics.version
    epoch = epoch == .max ? .max : epoch + 1
    decision.records.append(epochRecord)
  }
}
