// TxnOffsetCommit, and the outcomes of transactions that committed offsets (KIP-98, KIP-447).

import MillraceProtocol

extension GroupShard {
  /// The decision's records belong to the producer's transaction, and so does the batch that holds them.
  package mutating func commit(
    _ request: TxnOffsetCommitRequest, now: Moment
  ) -> (TxnOffsetCommitResponse, GroupDecision) {
    var decision = GroupDecision()
    if let refusal = refusal(of: request) { return (TxnOffsetCommitResponse(refusing: request, refusal), decision) }
    let topics = request.topics.map { topic in
      TxnOffsetCommitResponse.TxnOffsetCommitResponseTopic(
        name: topic.name,
        partitions: topic.partitions.map { partition in
          let metadata = partition.committedMetadata ?? ""
          var error = ErrorCode.none
          if isTooLarge(metadata) {
            error = .offsetMetadataTooLarge
          } else {
            let committed = CommittedOffset(
              offset: partition.committedOffset, leaderEpoch: partition.committedLeaderEpoch, metadata: metadata,
              commitTimestampMs: now.wallMs, expireTimestampMs: nil, topicId: .zero)
            let record = committed.record(
              groupId: request.groupId, topic: topic.name, partition: partition.partitionIndex)
            replay(record, producerId: request.producerId)
            decision.records.append(record)
          }
          return .init(partitionIndex: partition.partitionIndex, errorCode: error.rawValue)
        })
    }
    return (TxnOffsetCommitResponse(topics: topics), decision)
  }

  private func refusal(of request: TxnOffsetCommitRequest) -> ErrorCode? {
    if let group = consumerGroups[request.groupId] {
      return group.refusalOfTransactionalCommit(
        memberId: request.memberId, groupInstanceId: request.groupInstanceId, epoch: request.generationId)
    }
    if isShareGroup(request.groupId) { return .groupIdNotFound }
    guard let group = classicGroups[request.groupId] else {
      return request.generationId < 0 ? nil : .illegalGeneration
    }
    return group.refusalOfTransactionalCommit(
      memberId: request.memberId, groupInstanceId: request.groupInstanceId, generation: request.generationId)
  }

  /// The outcome stands in the journal: what the producer committed counts from now on, or never did.
  package mutating func endTransaction(producerId: Int64, isCommit: Bool) {
    for (place, offset) in pendingOffsets.end(producerId, isCommit: isCommit) {
      // The group may have been deleted since: its tombstone has taken the pending offsets too.
      offsets.put(offset, groupId: place.groupId, topic: place.topic, partition: place.partition)
    }
  }
}

extension TxnOffsetCommitResponse {
  /// The same error for every partition that was asked about.
  package init(refusing request: TxnOffsetCommitRequest, _ error: ErrorCode) {
    self.init(
      topics: request.topics.map { topic in
        TxnOffsetCommitResponseTopic(
          name: topic.name,
          partitions: topic.partitions.map {
            TxnOffsetCommitResponsePartition(partitionIndex: $0.partitionIndex, errorCode: error.rawValue)
          })
      })
  }
}
