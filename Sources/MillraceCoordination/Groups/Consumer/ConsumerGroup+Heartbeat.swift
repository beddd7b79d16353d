// ConsumerGroupHeartbeat (KIP-848): how a member joins, says what it wants and has, and learns what it is to have.
//
// What may be wrong with a heartbeat is found before anything changes. A heartbeat that says nothing new in a group that
// has nothing to do costs a few look-ups, however large the group.

import MillraceProtocol

extension ConsumerGroup {
  /// A member as it was before an event, and the member whose place it takes, if it is a static one that came back.
  struct Standing {
    var member: ConsumerMember
    var predecessor: String?
  }

  mutating func heartbeat(
    _ request: ConsumerGroupHeartbeatRequest, from caller: HeartbeatCaller, _ image: TopicImage, now: Moment,
    config: ConsumerGroupConfig, into decision: inout GroupDecision
  ) throws(GroupRefusal) -> ConsumerGroupHeartbeatResponse {
    let memberId = request.memberId.isEmpty ? caller.newMemberId : request.memberId
    try requireRoom(for: request.memberId, config)
    let standing = try standing(of: memberId, request)
    let before = standing.member
    if before.placement.state == .unknown, request.topicPartitions?.isEmpty != true {
      throw GroupRefusal(
        .fencedMemberEpoch, "The member's state is not known here; it must give up its partitions and join again.")
    }
    var profile = before.profile
    profile.update(with: request, caller)
    let isPatternKnown = profile.topicRegex.map { index.patterns[$0] != nil } ?? true
    if let pattern = profile.topicRegex, !isPatternKnown { try Self.check(pattern) }

    // Nothing is refused from here on.
    take(standing, &decision)
    let namesChanged = profile.topicNames != before.profile.topicNames
    if members[memberId] == nil || profile != before.profile {
      journal(profile.record(groupId: groupId, memberId: memberId), &decision)
    }
    let patternChange = patternChanged(
      from: before.profile.topicRegex, to: profile.topicRegex, wasKnown: isPatternKnown, &decision)
    refreshPatterns(image, now, config, &decision)

    let isNew = epoch == 0
    if isNew || namesChanged || patternChange == .changedAndResolved {
      bumpEpoch(ifChanged: false, because: "the subscription of \(memberId) has changed", image, &decision)
    } else if checkedTopicsVersion != image.version {
      bumpEpoch(ifChanged: true, because: "", image, &decision)
    }
    if epoch > assignmentEpoch { retarget(image, config, &decision) }
    reconcile(
      memberId, owned: request.topicPartitions, subscriptionChanged: namesChanged || patternChange != .none, image, now,
      &decision)
    restartSession(of: memberId, now, config, &decision)
    return answer(to: memberId, request, before, config)
  }

  private func answer(
    to memberId: String, _ request: ConsumerGroupHeartbeatRequest, _ before: ConsumerMember,
    _ config: ConsumerGroupConfig
  ) -> ConsumerGroupHeartbeatResponse {
    guard let member = members[memberId] else { preconditionFailure("a member that heartbeats is in the group") }
    var response = ConsumerGroupHeartbeatResponse(
      memberId: memberId, memberEpoch: member.epoch,
      heartbeatIntervalMs: config.timeouts(of: groupId).heartbeatIntervalMs)
    // Told when it changes, and to a member that may not know it: one that joins, or that says everything anew.
    let isFull =
      request.rebalanceTimeoutMs != -1 && request.topicPartitions != nil
      && (request.subscribedTopicNames != nil || request.subscribedTopicRegex != nil)
    if request.memberEpoch == 0 || isFull || member.placement.assigned != before.placement.assigned {
      response.assignment = member.placement.assigned.asAnswer
    }
    return response
  }

  private static func check(_ pattern: String) throws(GroupRefusal) {
    do throws(RegularExpressionError) {
      _ = try RegularExpression(pattern)
    } catch {
      throw GroupRefusal(
        .invalidRegularExpression, "SubscribedTopicRegex is not a valid regular expression: \(error)")
    }
  }

  // MARK: Who it is

  func requireRoom(for memberId: String, _ config: ConsumerGroupConfig) throws(GroupRefusal) {
    guard members.count >= Int(config.maxSize), members[memberId] == nil else { return }
    throw GroupRefusal(.groupMaxSizeReached, "The group has reached its maximum of \(config.maxSize) members.")
  }

  private func standing(
    of memberId: String, _ request: ConsumerGroupHeartbeatRequest
  ) throws(GroupRefusal) -> Standing {
    let isJoining = request.memberEpoch == 0
    guard let instanceId = request.instanceId else {
      let member = try dynamicMember(memberId, mayBeNew: isJoining)
      try Self.checkEpoch(of: member, request)
      return Standing(member: member)
    }
    if isJoining {
      return try staticStanding(of: memberId, instanceId, isClassic: false)
    }
    let member = try knownStaticMember(memberId, instanceId)
    try Self.checkEpoch(of: member, request)
    return Standing(member: member)
  }

  func dynamicMember(_ memberId: String, mayBeNew: Bool) throws(GroupRefusal) -> ConsumerMember {
    if let member = members[memberId] { return member }
    guard mayBeNew else { throw GroupRefusal(.unknownMemberId, "Member \(memberId) is not in group \(groupId).") }
    return ConsumerMember(memberId: memberId)
  }

  /// A static member that joins: a new one, or one that takes the place of its former self (KIP-345).
  func staticStanding(of memberId: String, _ instanceId: String, isClassic: Bool) throws(GroupRefusal) -> Standing {
    guard let existing = staticMember(instanceId) else {
      return Standing(member: try dynamicMember(memberId, mayBeNew: true))
    }
    // A consumer that is still there is not driven out by another one with its name; it has to leave or time out.
    if !isClassic && !existing.usesClassicProtocol && existing.epoch != ConsumerMember.leavingStaticEpoch {
      throw GroupRefusal(
        .unreleasedInstanceId, "Instance id \(instanceId) is still in use by member \(existing.memberId).")
    }
    var member = ConsumerMember(memberId: memberId)
    member.profile = existing.profile
    member.placement = existing.placement
    member.placement.epoch = 0
    member.placement.previousEpoch = 0
    return Standing(member: member, predecessor: existing.memberId)
  }

  func knownStaticMember(_ memberId: String, _ instanceId: String) throws(GroupRefusal) -> ConsumerMember {
    guard let existing = staticMember(instanceId) else {
      throw GroupRefusal(.unknownMemberId, "Instance id \(instanceId) is unknown.")
    }
    guard existing.memberId == memberId else {
      throw GroupRefusal(
        .fencedInstanceId, "Instance id \(instanceId) belongs to member \(existing.memberId) by now.")
    }
    return existing
  }

  /// A member may be one epoch behind, if the answer that told it of the new one was lost: then it has no partition that
  /// it should not have.
  private static func checkEpoch(
    of member: ConsumerMember, _ request: ConsumerGroupHeartbeatRequest
  ) throws(GroupRefusal) {
    let received = request.memberEpoch
    if received == member.epoch { return }
    if received < member.epoch, received == member.placement.previousEpoch,
      let owned = request.topicPartitions, isSubset(owned, of: member.placement.assigned)
    {
      return
    }
    throw GroupRefusal(
      .fencedMemberEpoch,
      "Member epoch \(received) is not \(member.epoch); the member must give up its partitions and join again.")
  }

  private static func isSubset(_ owned: OwnedPartitions, of assigned: PartitionsByTopic) -> Bool {
    owned.allSatisfy { topic in
      guard let partitions = assigned.topics[topic.topicId] else { return false }
      return topic.partitions.allSatisfy { partitions.contains($0) }
    }
  }

  /// Puts a static member into the place of its former self.
  mutating func take(_ standing: Standing, _ decision: inout GroupDecision) {
    guard let predecessor = standing.predecessor else { return }
    let target = targets[predecessor] ?? PartitionsByTopic()
    for record in tombstones(of: predecessor) { journal(record, &decision) }
    let memberId = standing.member.memberId
    journal(standing.member.profile.record(groupId: groupId, memberId: memberId), &decision)
    journal(targetRecord(memberId, target), &decision)
    journal(standing.member.placement.record(groupId: groupId, memberId: memberId), &decision)
  }
}

extension ConsumerMember.Profile {
  /// A heartbeat says only what is new.
  fileprivate mutating func update(with request: ConsumerGroupHeartbeatRequest, _ caller: HeartbeatCaller) {
    if let instanceId = request.instanceId { self.instanceId = instanceId }
    if let rackId = request.rackId { self.rackId = rackId }
    if request.rebalanceTimeoutMs != -1 { rebalanceTimeoutMs = request.rebalanceTimeoutMs }
    if let assignor = request.serverAssignor { serverAssignor = assignor }
    if let names = request.subscribedTopicNames { topicNames = Set(names).sorted() }
    if let pattern = request.subscribedTopicRegex { topicRegex = pattern.isEmpty ? nil : pattern }
    clientId = caller.clientId
    clientHost = caller.clientHost
    classic = nil
  }
}
