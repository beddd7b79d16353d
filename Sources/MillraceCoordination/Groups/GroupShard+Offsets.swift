// OffsetCommit, OffsetFetch and OffsetDelete. Topics arrive by name here; ids and existence are the handlers' concern.

import MillraceProtocol

extension GroupShard {
  package mutating func commit(
    _ request: OffsetCommitRequest, version: Int16, now: Moment
  ) -> (OffsetCommitResponse, GroupDecision) {
    var decision = GroupDecision()
    if let refusal = refusal(of: request, version: version) {
      return (OffsetCommitResponse(refusing: request, refusal), decision)
    }
    classicGroups[request.groupId]?.committed(by: request.memberId, now, &decision)

    // Clients older than v5 set their own retention.
    let retentionEnd = now.wallMs.addingReportingOverflow(request.retentionTimeMs)
    let expiry: Int64? = request.retentionTimeMs == -1 || retentionEnd.overflow ? nil : retentionEnd.partialValue
    let topics = request.topics.map { topic in
      OffsetCommitResponse.OffsetCommitResponseTopic(
        name: topic.name, topicId: topic.topicId,
        partitions: topic.partitions.map { partition in
          let metadata = partition.committedMetadata ?? ""
          var error = ErrorCode.none
          if isTooLarge(metadata) {
            error = .offsetMetadataTooLarge
          } else {
            let committed = CommittedOffset(
              offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch, metadata: metadata,
              commitTimestampMs: now.wallMs, expireTimestampMs: expiry, topicId: topic.topicId)
            journal(
              committed.record(groupId: request.groupId, topic: topic.name, partition: partition.partitionIndex),
              &decision)
          }
          return OffsetCommitResponse.OffsetCommitResponsePartition(
            partitionIndex: partition.partitionIndex, errorCode: error.rawValue)
        })
    }
    return (OffsetCommitResponse(topics: topics), decision)
  }

  func isTooLarge(_ metadata: String) -> Bool {
    let limit = Int(config.offsetMetadataMaxBytes)
    return metadata.utf8.count > limit && metadata.utf16.count > limit
  }

  private func refusal(of request: OffsetCommitRequest, version: Int16) -> ErrorCode? {
    let generation = request.generationIdOrMemberEpoch
    if let group = consumerGroups[request.groupId] {
      return group.refusalOfCommit(memberId: request.memberId, epoch: generation, version: version)
    }
    if isShareGroup(request.groupId) { return .groupIdNotFound }
    guard let group = classicGroups[request.groupId] else {
      // Without a generation it comes from an administrator or from a client that assigns itself partitions: fine.
      if generation < 0 { return nil }
      return version >= 9 ? .groupIdNotFound : .illegalGeneration
    }
    return group.refusalOfCommit(
      memberId: request.memberId, groupInstanceId: request.groupInstanceId, generation: generation)
  }

  /// One group of an OffsetFetch; `topics` nil asks for everything. A group that is not there has no offsets. Whoever
  /// requires stable ones is not told of a partition that a transaction is about to move (KIP-447).
  package func fetchOffsets(
    _ request: OffsetFetchRequest.OffsetFetchRequestGroup, requireStable: Bool = false
  ) -> OffsetFetchResponse.OffsetFetchResponseGroup {
    typealias Topic = OffsetFetchResponse.OffsetFetchResponseTopics
    typealias Partition = OffsetFetchResponse.OffsetFetchResponsePartitions
    // From v9 on a member of a consumer group says who it is.
    let refusal =
      isShareGroup(request.groupId)
      ? .groupIdNotFound
      : consumerGroups[request.groupId]?.refusalOfFetch(memberId: request.memberId, epoch: request.memberEpoch)
    if let refusal {
      return OffsetFetchResponse.OffsetFetchResponseGroup(groupId: request.groupId, errorCode: refusal.rawValue)
    }
    let topics: [Topic]
    if let wanted = request.topics {
      let known = offsets.topics(of: request.groupId)
      var named = NamedPartitions()
      topics = wanted.map { topic in
        let partitions = known[topic.name]
        return Topic(
          name: topic.name, topicId: topic.topicId,
          partitions: named.new(topic.partitionIndexes, of: topic.name).map { index in
            if requireStable, pendingOffsets.contains(request.groupId, topic.name, index) {
              return Partition(unstable: index)
            }
            guard let committed = partitions?[index], committed.belongs(to: topic.topicId) else {
              return Partition(partitionIndex: index, committedOffset: -1, committedLeaderEpoch: -1, metadata: "")
            }
            return Partition(index, committed)
          })
      }
    } else {
      topics = offsets.sortedPartitions(of: request.groupId).map { topic, partitions in
        Topic(
          name: topic,
          partitions: partitions.map {
            requireStable && pendingOffsets.contains(request.groupId, topic, $0.index)
              ? Partition(unstable: $0.index) : Partition($0.index, $0.offset)
          })
      }
    }
    return OffsetFetchResponse.OffsetFetchResponseGroup(groupId: request.groupId, topics: topics)
  }

  package mutating func deleteOffsets(_ request: OffsetDeleteRequest) -> (OffsetDeleteResponse, GroupDecision) {
    typealias Topic = OffsetDeleteResponse.OffsetDeleteResponseTopic
    typealias Partition = OffsetDeleteResponse.OffsetDeleteResponsePartition
    var decision = GroupDecision()
    guard !request.groupId.isEmpty else { return (OffsetDeleteResponse(refusing: .invalidGroupId), decision) }
    let classic = classicGroups[request.groupId]
    let consumer = consumerGroups[request.groupId]
    guard classic != nil || consumer != nil else {
      return (OffsetDeleteResponse(refusing: .groupIdNotFound), decision)
    }
    if let refusal = classic?.refusalOfOffsetDeletion { return (OffsetDeleteResponse(refusing: refusal), decision) }

    let topics = request.topics.map { topic in
      let isSubscribed =
        classic?.isSubscribed(to: topic.name) ?? consumer?.isSubscribed(to: topic.name) ?? false
      let error: ErrorCode = isSubscribed ? .groupSubscribedToTopic : .none
      for partition in topic.partitions
      where error == .none
        && (offsets[request.groupId, topic.name, partition.partitionIndex] != nil
          || pendingOffsets.contains(request.groupId, topic.name, partition.partitionIndex))
      {
        journal(
          CommittedOffset.tombstone(
            groupId: request.groupId, topic: topic.name, partition: partition.partitionIndex), &decision)
      }
      return Topic(
        name: topic.name,
        partitions: topic.partitions.map { Partition(partitionIndex: $0.partitionIndex, errorCode: error.rawValue) })
    }
    return (OffsetDeleteResponse(errorCode: ErrorCode.none.rawValue, topics: topics), decision)
  }
}

extension OffsetFetchResponse.OffsetFetchResponsePartitions {
  fileprivate init(unstable index: Int32) {
    self.init(
      partitionIndex: index, committedOffset: -1, committedLeaderEpoch: -1, metadata: "",
      errorCode: ErrorCode.unstableOffsetCommit.rawValue)
  }

  fileprivate init(_ index: Int32, _ committed: CommittedOffset) {
    self.init(
      partitionIndex: index, committedOffset: committed.offset, committedLeaderEpoch: committed.leaderEpoch,
      metadata: committed.metadata)
  }
}

extension OffsetCommitResponse {
  /// The same error for every partition that was asked about; the response has no place for one error for all.
  package init(refusing request: OffsetCommitRequest, _ error: ErrorCode) {
    self.init(
      topics: request.topics.map { topic in
        OffsetCommitResponseTopic(
          name: topic.name, topicId: topic.topicId,
          partitions: topic.partitions.map {
            OffsetCommitResponsePartition(partitionIndex: $0.partitionIndex, errorCode: error.rawValue)
          })
      })
  }
}

extension OffsetDeleteResponse {
  package init(refusing error: ErrorCode) {
    self.init(errorCode: error.rawValue)
  }
}
