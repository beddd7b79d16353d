// What tools ask of share groups: DeleteGroups, AlterShareGroupOffsets, DeleteShareGroupOffsets. Each is done in two
// halves with the share coordinator's work between them, and can be asked again when that failed half-way.

import MillraceProtocol

extension ShareGroupShard {
  // MARK: DeleteGroups

  /// First half: these states are to be deleted; then `finishDeletion`.
  mutating func beginDeletion(
    ofGroup groupId: String, topics: TopicImage
  ) -> (Result<[ShareStateKey], ErrorCode>, GroupDecision) {
    guard let group = groups[groupId] else { return (.failure(.groupIdNotFound), GroupDecision()) }
    guard group.members.isEmpty else { return (.failure(.nonEmptyGroup), GroupDecision()) }
    var gone = group.statePartitions.initialized
    gone.formUnion(group.statePartitions.initializing)
    // What an earlier attempt left behind.
    for topicId in group.statePartitions.deleting { gone.formUnion(topics.allPartitions(topicId)) }
    let decision = changeState(ofGroup: groupId) { group in
      guard !group.statePartitions.isEmpty else { return false }
      group.statePartitions.deleting = Set(gone.topics.keys)
      group.statePartitions.initialized = PartitionsByTopic()
      group.statePartitions.initializing = PartitionsByTopic()
      return true
    }
    return (.success(gone.keys(ofGroup: groupId)), decision)
  }

  mutating func finishDeletion(ofGroup groupId: String) -> (ErrorCode, GroupDecision) {
    var decision = GroupDecision()
    guard let group = groups[groupId] else { return (.groupIdNotFound, decision) }
    guard group.members.isEmpty else { return (.nonEmptyGroup, decision) }
    decision.records = group.tombstones
    decision.notices.append(.deleted(groupId: groupId))
    groups[groupId] = nil
    return (.none, decision)
  }

  // MARK: AlterShareGroupOffsets

  /// The answer, and what the share coordinator is to begin anew before it is given; then `initialized`. A group that
  /// does not exist is founded by that.
  mutating func alterOffsets(
    _ request: AlterShareGroupOffsetsRequest, topics: TopicImage, now: Moment
  ) -> (AlterShareGroupOffsetsResponse, [ShareInitialization], GroupDecision) {
    var decision = GroupDecision()
    if request.groupId.isEmpty { return (.init(refusing: .invalidGroupId), [], decision) }
    if groups[request.groupId]?.members.isEmpty == false { return (.init(refusing: .nonEmptyGroup), [], decision) }
    var response = AlterShareGroupOffsetsResponse()
    var wanted: [ShareTopicPartition: Int64] = [:]
    for asked in request.topics {
      let topic = topics[asked.topicName]
      var answers: [AlterShareGroupOffsetsResponse.AlterShareGroupOffsetsResponsePartition] = []
      for partition in asked.partitions {
        var error = ErrorCode.none
        if let topic, partition.partitionIndex >= 0, partition.partitionIndex < topic.partitionCount {
          if partition.startOffset >= 0, partition.startOffset < .max {
            let place = ShareTopicPartition(topicId: topic.id, partition: partition.partitionIndex)
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
        .init(topicName: asked.topicName, topicId: topic?.id ?? .zero, partitions: answers))
    }
    guard !wanted.isEmpty else { return (response, [], decision) }
    if groups[request.groupId] == nil {
      groups[request.groupId] = ShareGroup(groupId: request.groupId)
    }
    // A new beginning has a new state epoch, above those of before, so that whoever still writes is fenced.
    let raised = changeState(ofGroup: request.groupId) { group in
      group.epoch = group.epoch == .max ? .max : group.epoch + 1
      decision.records.append(group.epochRecord)
      for partition in wanted.keys {
        group.statePartitions.initializing.insert(partition.topicId, partition.partition)
        group.statePartitions.begunMs[partition.topicId] = now.wallMs
        group.statePartitions.names[partition.topicId] = topics[partition.topicId]?.name
      }
      return true
    }
    decision.records += raised.records
    let epoch = groups[request.groupId]?.epoch ?? 0
    let partitions = wanted.keys.reduce(into: PartitionsByTopic()) { $0.insert($1.topicId, $1.partition) }
    let initializations = partitions.keys(ofGroup: request.groupId).map { key in
      ShareInitialization(
        key: key, stateEpoch: epoch,
        startOffset: wanted[.init(topicId: key.topicId, partition: key.partition)] ?? -1)
    }
    return (response, initializations, decision)
  }

  // MARK: DeleteShareGroupOffsets

  /// First half: these states are to be deleted; then `finishDeletingOffsets` for the topics where that succeeded.
  /// Topics with an error in the response have nothing to delete.
  mutating func beginDeletingOffsets(
    _ request: DeleteShareGroupOffsetsRequest, topics: TopicImage
  ) -> (DeleteShareGroupOffsetsResponse, [ShareStateKey], GroupDecision) {
    if request.groupId.isEmpty { return (.init(refusing: .invalidGroupId), [], GroupDecision()) }
    guard let group = groups[request.groupId] else {
      return (.init(refusing: .groupIdNotFound), [], GroupDecision())
    }
    guard group.members.isEmpty else { return (.init(refusing: .nonEmptyGroup), [], GroupDecision()) }
    var response = DeleteShareGroupOffsetsResponse()
    var gone = PartitionsByTopic()
    for asked in request.topics {
      let topicId = topics[asked.topicName]?.id
      var found = PartitionsByTopic()
      if let topicId {
        found[topicId] = group.statePartitions.initialized[topicId]
        if group.statePartitions.deleting.contains(topicId) { found.formUnion(topics.allPartitions(topicId)) }
      }
      gone.formUnion(found)
      response.responses.append(
        .init(
          topicName: asked.topicName, topicId: topicId ?? .zero,
          errorCode: (found.isEmpty ? ErrorCode.unknownTopicOrPartition : .none).rawValue,
          errorMessage: found.isEmpty ? "The group has no offsets of topic \(asked.topicName)." : nil))
    }
    guard !gone.isEmpty else { return (response, [], GroupDecision()) }
    let decision = changeState(ofGroup: request.groupId) { group in
      for topicId in gone.topics.keys {
        group.statePartitions.initialized[topicId] = []
        group.statePartitions.deleting.insert(topicId)
        group.statePartitions.names[topicId] = topics[topicId]?.name
      }
      return true
    }
    return (response, gone.keys(ofGroup: request.groupId), decision)
  }

  mutating func finishDeletingOffsets(ofGroup groupId: String, topics gone: Set<Uuid>) -> GroupDecision {
    changeState(ofGroup: groupId) { group in
      let before = group.statePartitions.deleting
      group.statePartitions.deleting.subtract(gone)
      return group.statePartitions.deleting != before
    }
  }
}

extension PartitionsByTopic {
  /// As share-partitions of the group, in a fixed order.
  package func keys(ofGroup groupId: String) -> [ShareStateKey] {
    sorted.flatMap { topicId, indices in
      indices.map { ShareStateKey(groupId: groupId, topicId: topicId, partition: $0) }
    }
  }
}

extension TopicImage {
  fileprivate func allPartitions(_ topicId: Uuid) -> PartitionsByTopic {
    guard let topic = self[topicId], topic.partitionCount > 0 else { return PartitionsByTopic() }
    return PartitionsByTopic([topicId: Set(0..<topic.partitionCount)])
  }
}

extension AlterShareGroupOffsetsResponse {
  package init(refusing error: ErrorCode) { self.init(errorCode: error.rawValue, errorMessage: error.name) }
}

extension DeleteShareGroupOffsetsResponse {
  package init(refusing error: ErrorCode) { self.init(errorCode: error.rawValue, errorMessage: error.name) }
}
