// ShareGroupHeartbeat: joining, staying, changing a subscription.

import MillraceProtocol

extension ShareGroupShard {
  static let leaveEpoch: Int32 = -1

  /// - Parameter config: as it is for this group.
  package mutating func heartbeat(
    _ request: ShareGroupHeartbeatRequest, from caller: HeartbeatCaller, config: ShareGroupConfig,
    topics: TopicImage, now: Moment
  ) -> (ShareGroupHeartbeatResponse, GroupDecision) {
    if let refusal = Self.refusal(of: request) { return (.init(refusing: refusal), GroupDecision()) }
    if request.memberEpoch == Self.leaveEpoch { return leave(request, topics: topics) }

    let isJoin = request.memberEpoch == 0
    guard var group = groups[request.groupId] ?? (isJoin ? ShareGroup(groupId: request.groupId) : nil) else {
      return (.init(refusing: .groupIdNotFound), GroupDecision())
    }
    let known = group.members[request.memberId]
    if known == nil, group.members.count >= Int(config.maxSize) {
      return (.init(refusing: .groupMaxSizeReached), GroupDecision())
    }
    guard let before = known ?? (isJoin ? ShareGroupMember() : nil) else {
      return (.init(refusing: .unknownMemberId), GroupDecision())
    }
    // The epoch before the last is taken, since the answer that raised it may have been lost.
    guard request.memberEpoch == before.memberEpoch || request.memberEpoch == before.previousMemberEpoch else {
      return (.init(refusing: .fencedMemberEpoch), GroupDecision())
    }

    var decision = GroupDecision()
    // The one reference to the group's tables: they are changed in place.
    groups[request.groupId] = nil
    var member = before
    if let rackId = request.rackId { member.rackId = rackId }
    if let names = request.subscribedTopicNames { member.subscribedTopicNames = Set(names) }
    member.clientId = caller.clientId
    member.clientHost = caller.clientHost
    if known == nil || member != before {
      group.put(member, request.memberId)
      decision.records.append(group.memberRecord(request.memberId))
    }
    let hasChanged = known == nil || member.subscribedTopicNames != before.subscribedTopicNames
    group.refresh(because: hasChanged || group.hasNewPartitions, topics: topics, into: &decision)
    group.reconcile(request.memberId, topics: topics, hasSubscriptionChanged: hasChanged, into: &decision)
    group.beginInitializing(config: config, topics: topics, now: now, into: &decision)
    group.startSession(request.memberId, config: config, now: now, into: &decision)

    let after = group.members[request.memberId] ?? member
    groups[request.groupId] = group
    let isFull = isJoin || request.subscribedTopicNames != nil || after.assigned != before.assigned
    return (
      ShareGroupHeartbeatResponse(
        memberId: request.memberId, memberEpoch: after.memberEpoch, heartbeatIntervalMs: config.heartbeatIntervalMs,
        assignment: isFull
          ? .init(topicPartitions: after.assigned.sorted.map { .init(topicId: $0.topic, partitions: $0.partitions) })
          : nil),
      decision
    )
  }

  private static func refusal(of request: ShareGroupHeartbeatRequest) -> ErrorCode? {
    if request.groupId.isEmpty || request.memberId.isEmpty || request.rackId?.isEmpty == true { return .invalidRequest }
    if request.memberEpoch < leaveEpoch { return .invalidRequest }
    if request.memberEpoch == 0, request.subscribedTopicNames?.isEmpty ?? true { return .invalidRequest }
    return nil
  }
}

extension ShareGroup {
  /// Raises the group's epoch if there is a reason, and makes a new target assignment for it.
  mutating func refresh(because hasChanged: Bool, topics: TopicImage, into decision: inout GroupDecision) {
    var isNew = hasChanged
    if hasChanged || topicsVersion != topics.version {
      let hash = hash(of: topics)
      isNew = isNew || hash != metadataHash
      metadataHash = hash
      topicsVersion = topics.version
    }
    if isNew {
      epoch = epoch == .max ? .max : epoch + 1
      decision.records.append(epochRecord)
    }
    if epoch > assignmentEpoch { assign(topics: topics, into: &decision) }
  }

  private mutating func assign(topics: TopicImage, into decision: inout GroupDecision) {
    hasNewPartitions = false
    let assignable = PartitionsByTopic(statePartitions.initialized.topics.filter { topics[$0.key] != nil })
    let candidates = members.map { memberId, member in
      ShareAssignment.Member(
        memberId: memberId, topics: member.topicIds(topics), current: target[memberId] ?? PartitionsByTopic())
    }
    let next = ShareAssignment.assign(members: candidates, assignable: assignable)
    for (memberId, partitions) in next.sorted(by: { $0.key < $1.key }) where target[memberId] != partitions {
      target[memberId] = partitions
      decision.records.append(targetRecord(memberId))
    }
    assignmentEpoch = epoch
    decision.records.append(targetEpochRecord)
  }

  /// The member takes what the target has for it.
  mutating func reconcile(
    _ memberId: String, topics: TopicImage, hasSubscriptionChanged: Bool, into decision: inout GroupDecision
  ) {
    guard var member = members[memberId] else { return }
    let before = member
    if member.memberEpoch != assignmentEpoch {
      member.previousMemberEpoch = member.memberEpoch
      member.memberEpoch = assignmentEpoch
      member.assigned = target[memberId] ?? PartitionsByTopic()
    } else if hasSubscriptionChanged {
      let wanted = member.topicIds(topics)
      member.assigned = PartitionsByTopic(member.assigned.topics.filter { wanted.contains($0.key) })
    }
    guard member != before else { return }
    put(member, memberId)
    decision.records.append(currentRecord(memberId))
  }

  /// Subscribed partitions that have no state yet get one, if nobody is at it already.
  mutating func beginInitializing(
    config: ShareGroupConfig, topics: TopicImage, now: Moment, into decision: inout GroupDecision
  ) {
    var hasBegun = false
    for topic in subscribers.keys.sorted().compactMap({ topics[$0] }) where topic.partitionCount > 0 {
      let id = topic.id
      var known = statePartitions.initialized[id]
      // All of it is there: the usual case costs no set of partitions.
      if known.count >= Int(topic.partitionCount) { continue }
      if let begun = statePartitions.begunMs[id], now.wallMs >= begun,
        now.wallMs < begun.addingClamped(config.initializeRetryIntervalMs)
      {
        known.formUnion(statePartitions.initializing[id])
      }
      let missing = Set(0..<topic.partitionCount).subtracting(known)
      guard !missing.isEmpty else { continue }
      statePartitions.initializing[id].formUnion(missing)
      statePartitions.begunMs[id] = now.wallMs
      statePartitions.names[id] = topic.name
      hasBegun = true
      decision.initializations += missing.sorted().map {
        ShareInitialization(
          key: ShareStateKey(groupId: groupId, topicId: id, partition: $0), stateEpoch: epoch,
          startOffset: PersistedShareState.uninitializedStartOffset)
      }
    }
    if hasBegun { decision.records.append(statePartitionsRecord) }
  }

  mutating func startSession(
    _ memberId: String, config: ShareGroupConfig, now: Moment, into decision: inout GroupDecision
  ) {
    let deadlineMs = now.uptimeMs.addingClamped(Int64(config.sessionTimeoutMs))
    if let alarmMs = sessions[memberId, default: Countdown()].start(until: deadlineMs) {
      decision.timers.append(GroupTimer(groupId: groupId, kind: .session(memberId: memberId), deadlineMs: alarmMs))
    }
  }
}

extension ShareGroupMember {
  func topicIds(_ topics: TopicImage) -> Set<Uuid> { Set(subscribedTopicNames.compactMap { topics[$0]?.id }) }
}

extension ShareGroupHeartbeatResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue)
  }
}
