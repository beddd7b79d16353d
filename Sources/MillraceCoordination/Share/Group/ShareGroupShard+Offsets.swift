// What tools ask of share groups: DeleteGroups, AlterShareGroupOffsets, DeleteShareGroupOffsets. Each is done in two
// halves with the share coordinator's work between them, and can be asked again when that failed half-way.

import MillraceProtocol

extension ShareGroupShard {
  // MARK: DeleteGroups

  /// First half: the states of `decision.delete` are to be deleted; then `finishDeletion`.
  package mutating func beginDeletion(ofGroup groupId: String, topics: ShareTopics) -> (ErrorCode, ShareGroupDecision) {
    guard let group = groups[groupId] else { return (.groupIdNotFound, ShareGroupDecision()) }
    guard group.members.isEmpty else { return (.nonEmptyGroup, ShareGroupDecision()) }
    var gone = group.statePartitions.initialized
    gone.add(group.statePartitions.initializing)
    // What an earlier attempt left behind.
    for topicId in group.statePartitions.deleting { gone.add(topics.allPartitions(topicId)) }
    var decision = changeState(ofGroup: groupId) { group in
      guard !group.statePartitions.isEmpty else { return false }
      group.statePartitions.deleting = Set(gone.keys)
      group.statePartitions.initialized = [:]
      group.statePartitions.initializing = [:]
      return true
    }
    decision.delete = Self.keys(groupId, gone)
    return (.none, decision)
  }

  package mutating func finishDeletion(ofGroup groupId: String) -> (ErrorCode, ShareGroupDecision) {
    var decision = ShareGroupDecision()
    guard let group = groups[groupId] else { return (.groupIdNotFound, decision) }
    guard group.members.isEmpty else { return (.nonEmptyGroup, decision) }
    decision.records = [
      .targetEpoch(.init(groupId: groupId), nil), .statePartitions(.init(groupId: groupId), nil),
      .epoch(.init(groupId: groupId), nil),
    ]
    groups[groupId] = nil
    return (.none, decision)
  }

  // MARK: AlterShareGroupOffsets

  /// `decision.initialize` says what the share coordinator is to begin anew; then `initialized`. A group that does not
  /// exist is founded by that.
  package mutating func alterOffsets(
    _ request: AlterShareGroupOffsetsRequest, topics: ShareTopics, now: Moment
  ) -> (AlterShareGroupOffsetsResponse, ShareGroupDecision) {
    var decision = ShareGroupDecision()
    if request.groupId.isEmpty { return (.init(errorCode: ErrorCode.invalidGroupId.rawValue), decision) }
    if groups[request.groupId]?.members.isEmpty == false {
      return (.init(errorCode: ErrorCode.nonEmptyGroup.rawValue), decision)
    }
    var response = AlterShareGroupOffsetsResponse()
    var wanted: [ShareTopicPartition: Int64] = [:]
    for asked in request.topics {
      let topic = topics[asked.topicName]
      var answers: [AlterShareGroupOffsetsResponse.AlterShareGroupOffsetsResponsePartition] = []
      for partition in asked.partitions {
        var error = ErrorCode.none
        if let topic, partition.partitionIndex >= 0, partition.partitionIndex < topic.partitionCount {
          if partition.startOffset >= 0, partition.startOffset < .max {
            let place = ShareTopicPartition(topicId: topic.topicId, partition: partition.partitionIndex)
            wanted[place] = partition.startOffset
          } else {
            error = .invalidRequest
          }
        } else {
          error = .unknownTopicOrPartition
        }
        answers.append(.init(partitionIndex: partition.partitionIndex, errorCode: error.rawValue))
      }
      response.responses.append(
        .init(topicName: asked.topicName, topicId: topic?.topicId ?? .zero, partitions: answers))
    }
    guard !wanted.isEmpty else { return (response, decision) }
    if groups[request.groupId] == nil {
      groups[request.groupId] = ShareGroup(groupId: request.groupId)
    }
    // A new beginning has a new state epoch, above those of before, so that whoever still writes is fenced.
    let raised = changeState(ofGroup: request.groupId) { group in
      group.epoch = group.epoch == .max ? .max : group.epoch + 1
      decision.records.append(group.epochRecord)
      for partition in wanted.keys {
        group.statePartitions.initializing[partition.topicId, default: []].insert(partition.partition)
        group.statePartitions.begunMs[partition.topicId] = now.wallMs
        group.statePartitions.names[partition.topicId] = topics[partition.topicId]?.name
      }
      return true
    }
    decision.records += raised.records
    let epoch = groups[request.groupId]?.epoch ?? 0
    decision.initialize = Self.keys(request.groupId, wanted.keys.byTopic).map { key in
      ShareInitialization(
        key: key, stateEpoch: epoch,
        startOffset: wanted[.init(topicId: key.topicId, partition: key.partition)] ?? -1)
    }
    return (response, decision)
  }

  // MARK: DeleteShareGroupOffsets

  /// First half: the states of `decision.delete` are to be deleted; then `finishDeletingOffsets` for the topics where
  /// that succeeded. Topics with an error in the response have nothing to delete.
  package mutating func beginDeletingOffsets(
    _ request: DeleteShareGroupOffsetsRequest, topics: ShareTopics
  ) -> (DeleteShareGroupOffsetsResponse, ShareGroupDecision) {
    guard let group = groups[request.groupId] else {
      return (.init(errorCode: ErrorCode.groupIdNotFound.rawValue), ShareGroupDecision())
    }
    guard group.members.isEmpty else {
      return (.init(errorCode: ErrorCode.nonEmptyGroup.rawValue), ShareGroupDecision())
    }
    var response = DeleteShareGroupOffsetsResponse()
    var gone: SharePartitions = [:]
    for asked in request.topics {
      let topicId = topics[asked.topicName]?.topicId
      var found: SharePartitions = [:]
      if let topicId {
        if let partitions = group.statePartitions.initialized[topicId] { found = [topicId: partitions] }
        if group.statePartitions.deleting.contains(topicId) { found.add(topics.allPartitions(topicId)) }
      }
      gone.add(found)
      response.responses.append(
        .init(
          topicName: asked.topicName, topicId: topicId ?? .zero,
          errorCode: (found.isEmpty ? ErrorCode.unknownTopicOrPartition : .none).rawValue))
    }
    guard !gone.isEmpty else { return (response, ShareGroupDecision()) }
    var decision = changeState(ofGroup: request.groupId) { group in
      for topicId in gone.keys {
        group.statePartitions.initialized[topicId] = nil
        group.statePartitions.deleting.insert(topicId)
        group.statePartitions.names[topicId] = topics[topicId]?.name
      }
      return true
    }
    decision.delete = Self.keys(request.groupId, gone)
    return (response, decision)
  }

  package mutating func finishDeletingOffsets(ofGroup groupId: String, topics gone: Set<Uuid>) -> ShareGroupDecision {
    changeState(ofGroup: groupId) { group in
      let before = group.statePartitions.deleting
      group.statePartitions.deleting.subtract(gone)
      return group.statePartitions.deleting != before
    }
  }

  private static func keys(_ groupId: String, _ partitions: SharePartitions) -> [ShareStateKey] {
    partitions.inOrder.flatMap { topicId, indices in
      indices.map { ShareStateKey(groupId: groupId, topicId: topicId, partition: $0) }
    }
  }
}

extension ShareTopics {
  fileprivate func allPartitions(_ topicId: Uuid) -> SharePartitions {
    guard let topic = self[topicId], topic.partitionCount > 0 else { return [:] }
    return [topicId: Set(0..<topic.partitionCount)]
  }
}

extension Sequence<ShareTopicPartition> {
  fileprivate var byTopic: SharePartitions {
    reduce(into: [:]) { $0[$1.topicId, default: []].insert($1.partition) }
  }
}
