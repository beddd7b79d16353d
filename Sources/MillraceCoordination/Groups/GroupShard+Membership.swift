// JoinGroup, SyncGroup, Heartbeat, LeaveGroup and time-outs: finding the group, and what to say when there is none.

import MillraceProtocol

extension GroupShard {
  package mutating func join(
    _ request: JoinGroupRequest, from caller: JoinCaller, ticket: JoinTicket, topics image: TopicImage, now: Moment
  ) -> GroupDecision {
    var decision = GroupDecision()
    let isConsumerGroup = consumerGroups[request.groupId].map { !$0.members.isEmpty } ?? false
    if let refusal = refusal(of: request, mayNameItself: isConsumerGroup) {
      let answer = JoinGroupResponse(refusing: refusal, memberId: request.memberId)
      decision.answers.append(.join(ticket, answer))
      return decision
    }
    if isShareGroup(request.groupId) {
      let answer = JoinGroupResponse(refusing: .inconsistentGroupProtocol, memberId: "")
      decision.answers.append(.join(ticket, answer))
      return decision
    }
    var request = request
    // v0 has one time-out for both purposes.
    if caller.version == 0 { request.rebalanceTimeoutMs = request.sessionTimeoutMs }
    if isConsumerGroup {
      joinConsumerGroup(request, from: caller, ticket, image, now, &decision)
      return decision
    }
    let isNew = classicGroups[request.groupId] == nil
    var group =
      classicGroups.removeValue(forKey: request.groupId) ?? ClassicGroup(groupId: request.groupId, nowMs: now.wallMs)
    if isNew { decision.records.append(group.newGroupRecord()) }
    group.join(request, from: caller, ticket: ticket, now: now, config: config, into: &decision)
    if isNew && group.members.isEmpty && group.pendingJoins.isEmpty {
      // Turned away: then there is no group either.
      decision.records.removeAll()
    } else {
      // An empty consumer group gives way.
      if let empty = consumerGroups.removeValue(forKey: request.groupId) {
        decision.records.insert(contentsOf: empty.tombstones(), at: 0)
      }
      classicGroups[request.groupId] = group
    }
    return decision
  }

  private mutating func joinConsumerGroup(
    _ request: JoinGroupRequest, from caller: JoinCaller, _ ticket: JoinTicket, _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) {
    let config = self.config
    let answer: JoinGroupResponse
    guard request.isShortEnough else {
      return decision.answers.append(
        .join(ticket, JoinGroupResponse(refusing: .invalidRequest, memberId: request.memberId)))
    }
    do throws(GroupRefusal) {
      let outcome = try consumerGroups[request.groupId]?.join(
        request, from: caller, image, now: now, config: config, into: &decision)
      switch outcome {
      case nil: preconditionFailure("the group was there")
      case .answered(let response)?: answer = response
      case .downgrades(let memberId, let rebalances)?:
        downgrade(request.groupId, without: [], rebalancing: rebalances, image, now, &decision)
        answer = JoinGroupResponse(
          errorCode: ErrorCode.none.rawValue, generationId: classicGroups[request.groupId]?.generation ?? -1,
          protocolType: request.protocolType, protocolName: classicGroups[request.groupId]?.protocolName,
          memberId: memberId)
      }
    } catch {
      answer = JoinGroupResponse(refusing: error.code, memberId: request.memberId)
    }
    decision.answers.append(.join(ticket, answer))
  }

  private func refusal(of request: JoinGroupRequest, mayNameItself: Bool) -> ErrorCode? {
    if request.groupId.isEmpty { return .invalidGroupId }
    if request.sessionTimeoutMs < config.minSessionTimeoutMs || request.sessionTimeoutMs > config.maxSessionTimeoutMs {
      return .invalidSessionTimeout
    }
    // Only who comes without an id may found a group.
    return classicGroups[request.groupId] == nil && !isShareGroup(request.groupId) && !mayNameItself
      && !request.memberId.isEmpty
      ? .unknownMemberId : nil
  }

  package mutating func sync(
    _ request: SyncGroupRequest, ticket: SyncTicket, topics image: TopicImage, now: Moment
  ) -> GroupDecision {
    var decision = GroupDecision()
    if consumerGroups[request.groupId] != nil {
      let consumer = config.consumer
      do throws(GroupRefusal) {
        if let answer = try consumerGroups[request.groupId]?.sync(
          request, image, now: now, config: consumer, into: &decision)
        {
          decision.answers.append(.sync(ticket, answer))
        }
      } catch {
        decision.answers.append(.sync(ticket, SyncGroupResponse(refusing: error.code)))
      }
    } else if classicGroups[request.groupId] == nil {
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
    if consumerGroups[request.groupId] != nil {
      let consumer = config.consumer
      do throws(GroupRefusal) {
        try consumerGroups[request.groupId]?.heartbeat(request, now: now, config: consumer, into: &decision)
        return (HeartbeatResponse(errorCode: ErrorCode.none.rawValue), decision.timers)
      } catch {
        return (HeartbeatResponse(refusing: error.code), decision.timers)
      }
    }
    let error: ErrorCode =
      request.groupId.isEmpty
      ? .invalidGroupId
      : classicGroups[request.groupId]?.heartbeat(request, now: now, into: &decision) ?? .unknownMemberId
    return (HeartbeatResponse(errorCode: error.rawValue), decision.timers)
  }

  /// `request` in the shape of v3+; see `LeaveGroupRequest.leavingMembers(version:)`.
  package mutating func leave(
    _ request: LeaveGroupRequest, version: Int16, topics image: TopicImage, now: Moment
  ) -> (LeaveGroupResponse, GroupDecision) {
    var decision = GroupDecision()
    guard !request.groupId.isEmpty else { return (LeaveGroupResponse(refusing: .invalidGroupId), decision) }
    let leaving = request.leavingMembers(version: version)
    if consumerGroups[request.groupId] != nil {
      let members = leaveConsumerGroup(request.groupId, leaving, image, now, &decision)
      return (LeaveGroupResponse(members: members, version: version), decision)
    }
    let members =
      classicGroups[request.groupId]?.leave(leaving, now: now, config: config, into: &decision)
      ?? leaving.map {
        LeaveGroupResponse.MemberResponse(
          memberId: $0.memberId, groupInstanceId: $0.groupInstanceId, errorCode: ErrorCode.unknownMemberId.rawValue)
      }
    return (LeaveGroupResponse(members: members, version: version), decision)
  }

  private mutating func leaveConsumerGroup(
    _ groupId: String, _ leaving: [LeaveGroupRequest.MemberIdentity], _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) -> [LeaveGroupResponse.MemberResponse] {
    var left: Set<String> = []
    let responses = leaving.map { identity in
      var error = ErrorCode.none
      switch consumerGroups[groupId]?.memberToRemove(identity) {
      case .success(let memberId)?: left.insert(memberId)
      case .failure(let refusal)?: error = refusal
      case nil: error = .unknownMemberId
      }
      return LeaveGroupResponse.MemberResponse(
        memberId: identity.memberId, groupInstanceId: identity.groupInstanceId, errorCode: error.rawValue)
    }
    let memberIds = left.sorted()
    let reason = "\(memberIds.joined(separator: ", ")) left"
    remove(memberIds, from: groupId, because: reason, image, now, &decision)
    return responses
  }

  package mutating func timerFired(_ timer: GroupTimer, topics image: TopicImage, now: Moment) -> GroupDecision {
    if isShareGroup(timer.groupId) { return share.timerFired(timer, topics: image) }
    var decision = GroupDecision()
    classicGroups[timer.groupId]?.timerFired(timer, now: now, config: config, into: &decision)
    if let overdue = consumerGroups[timer.groupId]?.overdueMember(timer, into: &decision) {
      decision.notices.append(
        .removed(groupId: timer.groupId, memberId: overdue.memberId, reason: overdue.reason))
      remove([overdue.memberId], from: timer.groupId, because: overdue.reason, image, now, &decision)
    }
    return decision
  }
}

extension JoinGroupRequest {
  /// Whether what it says fits into the records of a consumer group.
  fileprivate var isShortEnough: Bool {
    var byteCount = 0
    for one in protocols { byteCount += one.name.utf8.count + one.metadata.readableBytes }
    return memberId.utf8.count <= ConsumerGroupConfig.maxIdBytes
      && (groupInstanceId ?? "").utf8.count <= ConsumerGroupConfig.maxIdBytes
      && byteCount <= ConsumerGroupConfig.maxSubscriptionBytes
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
