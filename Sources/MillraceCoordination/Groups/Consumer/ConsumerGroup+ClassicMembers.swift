// Classic members of a consumer group (KIP-848, migration): JoinGroup, SyncGroup, Heartbeat and LeaveGroup in terms of
// member epochs. A join never waits for others; whoever has to take a step is told REBALANCE_IN_PROGRESS by its heartbeat,
// joins, and fetches what it may have by now.

import MillraceProtocol

extension ConsumerGroup {
  enum ClassicJoin {
    case answered(JoinGroupResponse)
    /// The member is in, and takes the place of the last member that was not a classic one: the group is to become a
    /// classic group, which has to rebalance if the member subscribes to something else.
    case downgrades(memberId: String, rebalances: Bool)
  }

  mutating func join(
    _ request: JoinGroupRequest, from caller: JoinCaller, _ image: TopicImage, now: Moment, config: GroupConfig,
    into decision: inout GroupDecision
  ) throws(GroupRefusal) -> ClassicJoin {
    let isUnknown = request.memberId.isEmpty
    let memberId =
      isUnknown ? caller.newMemberId(groupInstanceId: request.groupInstanceId) : request.memberId
    try requireRoom(for: memberId, config.consumer)
    guard supports(request, as: memberId), let first = request.protocols.first else {
      throw GroupRefusal(.inconsistentGroupProtocol, "The member's protocols are not supported.")
    }
    if isUnknown && request.groupInstanceId == nil && caller.mustKnowItsId {
      return .answered(JoinGroupResponse(refusing: .memberIdRequired, memberId: memberId))
    }
    guard let subscription = ClassicSubscription(first.metadata) else {
      throw GroupRefusal(.unknownServerError, "The member's subscription cannot be read.")
    }
    let standing: Standing
    if let instanceId = request.groupInstanceId {
      standing =
        isUnknown
        ? try staticStanding(of: memberId, instanceId, isClassic: true)
        : Standing(member: try knownStaticMember(memberId, instanceId))
    } else {
      standing = Standing(member: try dynamicMember(memberId, mayBeNew: true))
    }
    let downgrades =
      request.groupInstanceId.flatMap(staticMember).map { allowsDowngrade(replacing: $0, config) } ?? false

    // Nothing is refused from here on.
    let before = standing.member
    take(standing, &decision)
    var profile = before.profile
    profile.update(with: request, caller, subscription.message)
    let hasChanged =
      profile.topicNames != before.profile.topicNames || profile.topicRegex != before.profile.topicRegex
    if members[memberId] == nil || profile != before.profile {
      journal(profile.record(groupId: groupId, memberId: memberId), &decision)
    }
    forgetPattern(before.profile.topicRegex, &decision)
    if hasChanged || epoch == 0 {
      bumpEpoch(ifChanged: false, because: "the subscription of \(memberId) has changed", image, &decision)
    } else if checkedTopicsVersion != image.version {
      bumpEpoch(ifChanged: true, because: "", image, &decision)
    }
    if downgrades && hasChanged { return .downgrades(memberId: memberId, rebalances: true) }
    if !downgrades && epoch > assignmentEpoch { retarget(image, config.consumer, &decision) }
    reconcile(
      memberId, owned: subscription.owned(image), subscriptionChanged: hasChanged, image, now, &decision)
    if downgrades { return .downgrades(memberId: memberId, rebalances: false) }

    clocks[memberId]?.join.stop()
    clocks[memberId]?.isJoinAwaited = false
    restartSession(of: memberId, now, config.consumer, &decision)
    awaitSync(of: memberId, now, &decision)
    return .answered(
      JoinGroupResponse(
        errorCode: ErrorCode.none.rawValue, generationId: members[memberId]?.epoch ?? epoch,
        protocolType: ClassicGroup.consumerProtocolType, protocolName: first.name, memberId: memberId))
  }

  /// Whether the member and all other classic members have a protocol in common. It need not be one that anybody uses,
  /// but a classic group that they may become again needs it.
  private func supports(_ request: JoinGroupRequest, as memberId: String) -> Bool {
    guard request.protocolType == ClassicGroup.consumerProtocolType else { return false }
    let own = members[memberId]?.profile.classic
    let others = index.classicMemberCount - (own == nil ? 0 : 1)
    return request.protocols.contains { offered in
      let isOwn = own?.protocols.contains { $0.name == offered.name } ?? false
      return index.classicProtocols[offered.name, default: 0] - (isOwn ? 1 : 0) == others
    }
  }

  mutating func sync(
    _ request: SyncGroupRequest, _ image: TopicImage, now: Moment, config: ConsumerGroupConfig,
    into decision: inout GroupDecision
  ) throws(GroupRefusal) -> SyncGroupResponse {
    let (member, classic) = try classicMember(request.memberId, request.groupInstanceId)
    guard member.epoch == request.generationId else {
      throw GroupRefusal(.illegalGeneration, "Generation \(request.generationId) is not \(member.epoch).")
    }
    if let type = request.protocolType, type != ClassicGroup.consumerProtocolType {
      throw GroupRefusal(.inconsistentGroupProtocol, "The group's protocol type is not \(type).")
    }
    if let name = request.protocolName, name != classic.protocols[0].name {
      throw GroupRefusal(.inconsistentGroupProtocol, "The member's protocol is not \(name).")
    }
    // One that gives up partitions has joined already, and joins again when it is done.
    if epoch > member.epoch && member.placement.state != .unrevokedPartitions {
      awaitJoin(of: member.memberId, now, &decision)
      throw GroupRefusal(.rebalanceInProgress, "The group has gone on; the member has to join again.")
    }
    clocks[member.memberId]?.sync.stop()
    restartSession(of: member.memberId, now, config, &decision)
    let version = ClassicSubscription(classic.protocols[0].metadata)?.version ?? 0
    return SyncGroupResponse(
      errorCode: ErrorCode.none.rawValue, protocolType: request.protocolType, protocolName: request.protocolName,
      assignment: member.placement.assigned.classicAssignment(version: version, image))
  }

  mutating func heartbeat(
    _ request: HeartbeatRequest, now: Moment, config: ConsumerGroupConfig, into decision: inout GroupDecision
  ) throws(GroupRefusal) {
    let (member, _) = try classicMember(request.memberId, request.groupInstanceId)
    guard member.epoch == request.generationId else {
      throw GroupRefusal(.illegalGeneration, "Generation \(request.generationId) is not \(member.epoch).")
    }
    restartSession(of: member.memberId, now, config, &decision)
    let mustJoin =
      member.epoch < epoch || member.placement.state == .unrevokedPartitions
      || member.placement.state == .unreleasedPartitions && !waitsForOthers(member)
    guard mustJoin else { return }
    awaitJoin(of: member.memberId, now, &decision)
    throw GroupRefusal(.rebalanceInProgress, "The member has to join again.")
  }

  /// Whether somebody still has a partition that the member is to get.
  private func waitsForOthers(_ member: ConsumerMember) -> Bool {
    (targets[member.memberId] ?? PartitionsByTopic()).topics.contains { topic, partitions in
      partitions.contains { partition in
        !member.placement.assigned.contains(topic, partition) && owner(of: topic, partition) != nil
      }
    }
  }

  private func classicMember(
    _ memberId: String, _ instanceId: String?
  ) throws(GroupRefusal) -> (ConsumerMember, ConsumerMember.Classic) {
    let member: ConsumerMember
    if let instanceId {
      member = try knownStaticMember(memberId, instanceId)
    } else {
      member = try dynamicMember(memberId, mayBeNew: false)
    }
    guard let classic = member.profile.classic else {
      throw GroupRefusal(.unknownMemberId, "Member \(memberId) does not use the classic protocol.")
    }
    return (member, classic)
  }

  /// LeaveGroup names members of either kind, static ones also by instance id alone.
  func memberToRemove(_ identity: LeaveGroupRequest.MemberIdentity) -> Result<String, ErrorCode> {
    guard let instanceId = identity.groupInstanceId else {
      return members[identity.memberId] == nil ? .failure(.unknownMemberId) : .success(identity.memberId)
    }
    guard let member = staticMember(instanceId) else { return .failure(.unknownMemberId) }
    return identity.memberId.isEmpty || identity.memberId == member.memberId
      ? .success(member.memberId) : .failure(.fencedInstanceId)
  }
}

extension ConsumerMember.Profile {
  fileprivate mutating func update(
    with request: JoinGroupRequest, _ caller: JoinCaller, _ subscription: ConsumerProtocolSubscription
  ) {
    if let instanceId = request.groupInstanceId { self.instanceId = instanceId }
    if let rackId = subscription.rackId, !rackId.isEmpty { self.rackId = rackId }
    if request.rebalanceTimeoutMs != -1 { rebalanceTimeoutMs = request.rebalanceTimeoutMs }
    topicNames = Set(subscription.topics).sorted()
    topicRegex = nil
    clientId = caller.clientId
    clientHost = caller.clientHost
    classic = .init(
      sessionTimeoutMs: request.sessionTimeoutMs, protocols: [SupportedProtocol](request.protocols))
  }
}
