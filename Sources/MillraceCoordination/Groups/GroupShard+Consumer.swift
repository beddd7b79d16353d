// ConsumerGroupHeartbeat and ConsumerGroupDescribe (KIP-848): finding or founding the group, and changes of protocol.

import MillraceProtocol

extension GroupShard {
  package mutating func heartbeat(
    _ request: ConsumerGroupHeartbeatRequest, version: Int16, from caller: HeartbeatCaller, topics image: TopicImage,
    now: Moment
  ) -> (ConsumerGroupHeartbeatResponse, GroupDecision) {
    var decision = GroupDecision()
    do throws(GroupRefusal) {
      try Self.check(request, version: version, config.consumer)
      let response =
        request.memberEpoch < 0
        ? try leave(request, image, now, &decision)
        : try stay(request, from: caller, image, now, &decision)
      return (response, decision)
    } catch {
      return (ConsumerGroupHeartbeatResponse(error), decision)
    }
  }

  private mutating func stay(
    _ request: ConsumerGroupHeartbeatRequest, from caller: HeartbeatCaller, _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) throws(GroupRefusal) -> ConsumerGroupHeartbeatResponse {
    let groupId = request.groupId
    if consumerGroups[groupId] != nil {
      return try heartbeatInPlace(request, from: caller, image, now, &decision)
    }
    // Only who joins may found a group, or make a consumer group of a classic one.
    if isShareGroup(groupId) { throw GroupRefusal(.groupIdNotFound, "Group \(groupId) is not a consumer group.") }
    guard request.memberEpoch == 0 else {
      throw GroupRefusal(.groupIdNotFound, "There is no consumer group \(groupId).")
    }
    var trial = GroupDecision()
    var group = ConsumerGroup(groupId: groupId)
    var classic = classicGroups[groupId]
    if let old = classic {
      trial.records.append(.group(GroupMetadataKey(group: groupId), nil))
      if old.state != .empty {
        group = try ConsumerGroup(upgrading: old, image, config.consumer)
        trial.records += group.records()
        trial.notices.append(.upgraded(groupId: groupId))
      }
    }
    let response = try group.heartbeat(request, from: caller, image, now: now, config: config.consumer, into: &trial)
    group.loaded(now: now, config: config.consumer, into: &trial)
    classic?.dismiss(&trial)
    classicGroups[groupId] = nil
    consumerGroups[groupId] = group
    decision = trial
    return response
  }

  private mutating func heartbeatInPlace(
    _ request: ConsumerGroupHeartbeatRequest, from caller: HeartbeatCaller, _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) throws(GroupRefusal) -> ConsumerGroupHeartbeatResponse {
    let consumer = config.consumer
    guard
      let response = try consumerGroups[request.groupId]?.heartbeat(
        request, from: caller, image, now: now, config: consumer, into: &decision)
    else { preconditionFailure("the group was there") }
    return response
  }

  private mutating func leave(
    _ request: ConsumerGroupHeartbeatRequest, _ image: TopicImage, _ now: Moment, _ decision: inout GroupDecision
  ) throws(GroupRefusal) -> ConsumerGroupHeartbeatResponse {
    guard let member = try consumerGroups[request.groupId]?.leavingMember(request) else {
      throw GroupRefusal(.groupIdNotFound, "There is no consumer group \(request.groupId).")
    }
    if request.memberEpoch == ConsumerMember.leavingStaticEpoch {
      consumerGroups[request.groupId]?.leaveForNow(member, &decision)
    } else {
      remove([member.memberId], from: request.groupId, because: "\(member.memberId) left", image, now, &decision)
    }
    return ConsumerGroupHeartbeatResponse(memberId: member.memberId, memberEpoch: request.memberEpoch)
  }

  /// Members go for good. If only classic members are left, they go on as a classic group.
  mutating func remove(
    _ leaving: [String], from groupId: String, because reason: String, _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) {
    guard !leaving.isEmpty, let group = consumerGroups[groupId] else { return }
    if group.allowsDowngrade(without: Set(leaving), config) {
      downgrade(groupId, without: Set(leaving), rebalancing: true, image, now, &decision)
    } else {
      consumerGroups[groupId]?.remove(leaving, because: reason, image, &decision)
    }
  }

  mutating func downgrade(
    _ groupId: String, without leaving: Set<String>, rebalancing: Bool, _ image: TopicImage, _ now: Moment,
    _ decision: inout GroupDecision
  ) {
    guard let group = consumerGroups.removeValue(forKey: groupId) else { return }
    var classic = ClassicGroup(downgrading: group, without: leaving, image, nowMs: now.wallMs)
    decision.records += group.tombstones()
    decision.records.append(classic.record())
    decision.notices.append(.downgraded(groupId: groupId))
    for memberId in classic.members.keys { classic.restartSession(of: memberId, now, &decision) }
    if rebalancing || classic.protocolName == nil {
      classic.prepareRebalance(because: "the group is a classic group again", now, config, &decision)
    }
    classicGroups[groupId] = classic
  }

  /// What a background look through the topics has found.
  package mutating func patternsMatched(
    _ matches: PatternMatches, topics image: TopicImage, now: Moment
  ) -> GroupDecision {
    var decision = GroupDecision()
    consumerGroups[matches.groupId]?.patternsMatched(matches, image, now, into: &decision)
    return decision
  }

  package func describeConsumerGroup(
    _ groupId: String, topics image: TopicImage
  ) -> ConsumerGroupDescribeResponse.DescribedGroup {
    if let group = consumerGroups[groupId] { return group.described(image, config.consumer) }
    let reason =
      classicGroups[groupId] == nil && !isShareGroup(groupId)
      ? "Group \(groupId) not found." : "Group \(groupId) is not a consumer group."
    return .init(errorCode: ErrorCode.groupIdNotFound.rawValue, errorMessage: reason, groupId: groupId)
  }
}

// MARK: - What a heartbeat may say

extension GroupShard {
  /// From version 1 on members make their ids themselves.
  private static let firstMemberIdVersion: Int16 = 1

  private static func check(
    _ request: ConsumerGroupHeartbeatRequest, version: Int16, _ config: ConsumerGroupConfig
  ) throws(GroupRefusal) {
    func invalid(_ message: String) -> GroupRefusal { GroupRefusal(.invalidRequest, message) }
    let epoch = request.memberEpoch
    if request.memberId.isEmpty,
      version >= firstMemberIdVersion || epoch > 0 || epoch == ConsumerMember.leavingEpoch
    {
      throw invalid("MemberId can't be empty.")
    }
    if request.groupId.isEmpty { throw invalid("GroupId can't be empty.") }
    if request.instanceId?.isEmpty == true { throw invalid("InstanceId can't be empty.") }
    if request.rackId?.isEmpty == true { throw invalid("RackId can't be empty.") }
    if epoch == 0 {
      if request.rebalanceTimeoutMs == -1 { throw invalid("RebalanceTimeoutMs must be provided in first request.") }
      if request.topicPartitions?.isEmpty != true { throw invalid("TopicPartitions must be empty when (re-)joining.") }
      if request.subscribedTopicNames == nil && request.subscribedTopicRegex == nil {
        throw invalid(
          "Either SubscribedTopicNames or SubscribedTopicRegex must be non-null when (re-)joining.")
      }
    } else if epoch == ConsumerMember.leavingStaticEpoch {
      if request.instanceId == nil { throw invalid("InstanceId can't be null.") }
    } else if epoch < ConsumerMember.leavingStaticEpoch {
      throw invalid("MemberEpoch is invalid.")
    }
    if let assignor = request.serverAssignor, !config.assignors.contains(where: { $0.rawValue == assignor }) {
      let supported = config.assignors.map(\.rawValue).joined(separator: ", ")
      throw GroupRefusal(
        .unsupportedAssignor,
        "ServerAssignor \(assignor.prefix(64)) is not supported. Supported assignors: \(supported).")
    }
    try checkSizes(request)
  }

  /// What goes into a record has to fit there.
  private static func checkSizes(_ request: ConsumerGroupHeartbeatRequest) throws(GroupRefusal) {
    let pattern = request.subscribedTopicRegex ?? ""
    let ids = [request.groupId, request.memberId, request.instanceId ?? "", request.rackId ?? "", pattern]
    if !fitsRecords(ids: ids, topicNames: request.subscribedTopicNames, besides: pattern.utf8.count) {
      throw GroupRefusal(.invalidRequest, "The member's ids or subscriptions are too long.")
    }
  }

  static func fitsRecords(ids: [String], topicNames: [String]?, besides byteCount: Int = 0) -> Bool {
    let subscriptionBytes = (topicNames ?? []).reduce(byteCount) { $0 + $1.utf8.count + 1 }
    return ids.allSatisfy { $0.utf8.count <= ConsumerGroupConfig.maxIdBytes }
      && subscriptionBytes <= ConsumerGroupConfig.maxSubscriptionBytes
  }
}
