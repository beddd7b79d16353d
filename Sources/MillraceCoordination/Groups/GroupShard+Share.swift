// Share groups among the other groups: an id belongs to one kind, and who speaks the wrong protocol is told.

import MillraceProtocol

extension GroupShard {
  /// Whether the id is taken by a group of another kind. Share groups do not give way to others, nor others to them.
  private func isTakenByOthers(_ groupId: String) -> Bool {
    classicGroups[groupId] != nil || consumerGroups[groupId] != nil
  }

  func isShareGroup(_ groupId: String) -> Bool { share.groups[groupId] != nil }

  package mutating func heartbeat(
    _ request: ShareGroupHeartbeatRequest, from caller: HeartbeatCaller, topics image: TopicImage, now: Moment
  ) -> (ShareGroupHeartbeatResponse, GroupDecision) {
    if isTakenByOthers(request.groupId) { return (.init(refusing: .groupIdNotFound), GroupDecision()) }
    if !Self.fitsRecords(
      ids: [request.groupId, request.memberId, request.rackId ?? ""], topicNames: request.subscribedTopicNames)
    {
      return (.init(refusing: .invalidRequest), GroupDecision())
    }
    let config = config.share(of: request.groupId)
    return share.heartbeat(request, from: caller, config: config, topics: image, now: now)
  }

  package func describeShareGroup(
    _ groupId: String, topics image: TopicImage
  ) -> ShareGroupDescribeResponse.DescribedGroup {
    if let group = share.groups[groupId] { return group.described(image) }
    let reason = isTakenByOthers(groupId) ? "is not a share group" : "not found"
    return .init(
      errorCode: ErrorCode.groupIdNotFound.rawValue, errorMessage: "Group \(groupId) \(reason).", groupId: groupId)
  }

  // MARK: States

  /// The share coordinator has these states, durably, and not those.
  package mutating func initialized(
    _ done: PartitionsByTopic, butNot failed: PartitionsByTopic, ofGroup groupId: String, topics image: TopicImage
  ) -> GroupDecision {
    var decision = share.initialized(done, ofGroup: groupId, topics: image)
    decision.records += share.initializationFailed(failed, ofGroup: groupId).records
    return decision
  }

  package func initializedPartitions(ofShareGroup groupId: String) -> PartitionsByTopic {
    share.initializedPartitions(ofGroup: groupId)
  }

  // MARK: Tools

  /// The states that have to be deleted before the group; nil if it is no share group.
  package mutating func beginDeletion(
    ofShareGroup groupId: String, topics image: TopicImage
  ) -> (Result<[ShareStateKey], ErrorCode>, GroupDecision)? {
    isShareGroup(groupId) ? share.beginDeletion(ofGroup: groupId, topics: image) : nil
  }

  package mutating func finishDeletion(ofShareGroup groupId: String) -> (ErrorCode, GroupDecision) {
    share.finishDeletion(ofGroup: groupId)
  }

  package mutating func alterOffsets(
    _ request: AlterShareGroupOffsetsRequest, topics image: TopicImage, now: Moment
  ) -> (AlterShareGroupOffsetsResponse, [ShareInitialization], GroupDecision) {
    if isTakenByOthers(request.groupId) { return (.init(refusing: .groupIdNotFound), [], GroupDecision()) }
    if !Self.fitsRecords(ids: [request.groupId], topicNames: nil) {
      return (.init(refusing: .invalidRequest), [], GroupDecision())
    }
    return share.alterOffsets(request, topics: image, now: now)
  }

  package mutating func beginDeletingOffsets(
    _ request: DeleteShareGroupOffsetsRequest, topics image: TopicImage
  ) -> (DeleteShareGroupOffsetsResponse, [ShareStateKey], GroupDecision) {
    share.beginDeletingOffsets(request, topics: image)
  }

  package mutating func finishDeletingOffsets(ofGroup groupId: String, topics gone: Set<Uuid>) -> GroupDecision {
    share.finishDeletingOffsets(ofGroup: groupId, topics: gone)
  }

  /// Topics that are gone, for good: the share coordinator deletes their states by itself.
  package mutating func topicsDeleted(ids: Set<Uuid>) -> GroupDecision { share.deleted(topics: ids) }

  /// The topics of which share groups think that they have state.
  package var topicsWithShareState: Set<Uuid> {
    share.groups.values.reduce(into: []) { topics, group in
      topics.formUnion(group.statePartitions.initializing.topics.keys)
      topics.formUnion(group.statePartitions.initialized.topics.keys)
      topics.formUnion(group.statePartitions.deleting)
    }
  }
}
