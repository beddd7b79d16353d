// JoinGroup, SyncGroup, Heartbeat, LeaveGroup and time-outs: finding the group, and what to say when there is none.

import MillraceProtocol

extension GroupShard {
  package mutating func join(
    _ request: JoinGroupRequest, from caller: JoinCaller, ticket: JoinTicket, now: Moment
  ) -> GroupDecision {
    var decision = GroupDecision()
    if let refusal = refusal(of: request) {
      let answer = JoinGroupResponse(refusing: refusal, memberId: request.memberId)
      decision.answers.append(.join(ticket, answer))
      return decision
    }
    var request = request
    // v0 has one time-out for both purposes.
    if caller.version == 0 { request.rebalanceTimeoutMs = request.sessionTimeoutMs }

    let isNew = classicGroups[request.groupId] == nil
    var group =
      classicGroups.removeValue(forKey: request.groupId) ?? ClassicGroup(groupId: request.groupId, nowMs: now.wallMs)
    if isNew { decision.records.append(group.newGroupRecord()) }
    group.join(request, from: caller, ticket: ticket, now: now, config: config, into: &decision)
    if isNew && group.members.isEmpty && group.pendingJoins.isEmpty {
      // Turned away: then there is no group either.
      decision.records.removeAll()
    } else {
      classicGroups[request.groupId] = group
    }
    return decision
  }

  private func refusal(of request: JoinGroupRequest) -> ErrorCode? {
    if request.groupId.isEmpty { return .invalidGroupId }
    if request.sessionTimeoutMs < config.minSessionTimeoutMs || request.sessionTimeoutMs > config.maxSessionTimeoutMs {
      return .invalidSessionTimeout
    }
    // Only who comes without an id may found a group.
    return classicGroups[request.groupId] == nil && !request.memberId.isEmpty ? .unknownMemberId : nil
  }

  package mutating func sync(_ request: SyncGroupRequest, ticket: SyncTicket, now: Moment) -> GroupDecision {
    var decision = GroupDecision()
    if classicGroups[request.groupId] == nil {
      let refusal: ErrorCode = request.groupId.isEmpty ? .invalidGroupId : .unknownMemberId
      decision.answers.append(.sync(ticket, SyncGroupResponse(refusing: refusal)))
    } else {
      classicGroups[request.groupId]?.sync(request, ticket: ticket, now: now, into: &decision)
    }
    return decision
  }

  /// Heartbeats journal nothing and answer nobody else; at most an alarm is to be set.
  package mutating func heartbeat(_ request: HeartbeatRequest, now: Moment) -> (HeartbeatResponse, [GroupTimer]) {
    var decision = GroupDecision()
    let error: ErrorCode =
      request.groupId.isEmpty
      ? .invalidGroupId
      : classicGroups[request.groupId]?.heartbeat(request, now: now, into: &decision) ?? .unknownMemberId
    return (HeartbeatResponse(errorCode: error.rawValue), decision.timers)
  }

  /// `request` in the shape of v3+; see `LeaveGroupRequest.leavingMembers(version:)`.
  package mutating func leave(
    _ request: LeaveGroupRequest, version: Int16, now: Moment
  ) -> (LeaveGroupResponse, GroupDecision) {
    var decision = GroupDecision()
    guard !request.groupId.isEmpty else { return (LeaveGroupResponse(refusing: .invalidGroupId), decision) }
    let leaving = request.leavingMembers(version: version)
    let members =
      classicGroups[request.groupId]?.leave(leaving, now: now, config: config, into: &decision)
      ?? leaving.map {
        LeaveGroupResponse.MemberResponse(
          memberId: $0.memberId, groupInstanceId: $0.groupInstanceId, errorCode: ErrorCode.unknownMemberId.rawValue)
      }
    return (LeaveGroupResponse(members: members, version: version), decision)
  }

  package mutating func timerFired(_ timer: GroupTimer, now: Moment) -> GroupDecision {
    var decision = GroupDecision()
    classicGroups[timer.groupId]?.timerFired(timer, now: now, config: config, into: &decision)
    return decision
  }
}

extension LeaveGroupRequest {
  /// v0 to v2 name one member outside of the list.
  func leavingMembers(version: Int16) -> [MemberIdentity] {
    version >= 3 ? members : [MemberIdentity(memberId: memberId)]
  }
}

extension LeaveGroupResponse {
  /// v0 to v2 have no list: what became of the one member is the answer.
  init(members: [MemberResponse], version: Int16) {
    if version >= 3 {
      self.init(errorCode: ErrorCode.none.rawValue, members: members)
    } else {
      self.init(errorCode: members.first?.errorCode ?? ErrorCode.none.rawValue)
    }
  }
}
