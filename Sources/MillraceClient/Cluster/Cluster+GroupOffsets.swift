// Committed offsets, as the consumer and the admin client use them. Topics go by name: ids came with the version after.

import MillraceProtocol

/// Who commits: a member of a group, or somebody from outside.
struct GroupIdentity: Sendable, Equatable {
  var group: String
  var generation: Int32 = -1
  var memberId = ""
  var groupInstanceId: String?
}

extension Cluster {
  private static let lastOffsetFetchByName: Int16 = 9
  private static let lastOffsetCommitByName: Int16 = 9

  /// - Parameter partitions: nil for all that have a committed offset.
  func committedOffsets(
    of group: String, _ partitions: [TopicPartition]?
  ) async throws(KafkaError) -> [TopicPartition: OffsetAndMetadata] {
    let wanted = partitions?.groupedByTopic()
    let response = try await send(to: .coordinator(.group(group)), upTo: Self.lastOffsetFetchByName) { version in
      version >= 8
        ? OffsetFetchRequest(
          groups: [
            .init(groupId: group, topics: wanted?.map { .init(name: $0.topic, partitionIndexes: $0.partitions) })
          ],
          requireStable: true)
        : OffsetFetchRequest(
          groupId: group, topics: wanted?.map { .init(name: $0.topic, partitionIndexes: $0.partitions) },
          requireStable: version >= 7)
    } failure: {
      Self.failure(in: $0, group)
    }
    var offsets: [TopicPartition: OffsetAndMetadata] = [:]
    func add(_ topic: String, _ index: Int32, _ offset: Int64, _ epoch: Int32, _ metadata: String?) {
      guard offset >= 0 else { return }
      offsets[TopicPartition(topic, index)] = OffsetAndMetadata(
        offset: offset, leaderEpoch: epoch < 0 ? nil : epoch, metadata: metadata ?? "")
    }
    for topic in response.groups.first?.topics ?? [] {
      for answer in topic.partitions {
        add(topic.name, answer.partitionIndex, answer.committedOffset, answer.committedLeaderEpoch, answer.metadata)
      }
    }
    for topic in response.topics {
      for answer in topic.partitions {
        add(topic.name, answer.partitionIndex, answer.committedOffset, answer.committedLeaderEpoch, answer.metadata)
      }
    }
    return offsets
  }

  private static func failure(in response: OffsetFetchResponse, _ group: String) -> KafkaError? {
    let codes =
      [response.errorCode] + response.groups.map(\.errorCode)
      + response.groups.flatMap { $0.topics.flatMap { $0.partitions.map(\.errorCode) } }
      + response.topics.flatMap { $0.partitions.map(\.errorCode) }
    return codes.first { $0 != 0 }.flatMap { .broker($0, about: "the offsets of group '\(group)'") }
  }

  /// Commits offsets. Retries only when the coordinator cannot be reached or has moved, which fails all partitions alike.
  func commit(
    _ offsets: [TopicPartition: OffsetAndMetadata], _ identity: GroupIdentity,
    until deadline: ContinuousClock.Instant? = nil
  ) async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    let response = try await send(
      to: .coordinator(.group(identity.group)), upTo: Self.lastOffsetCommitByName, until: deadline
    ) { version throws(KafkaError) in
      if identity.groupInstanceId != nil, version < 7 {
        throw KafkaError(
          .unsupportedVersion, "the broker does not know static members (KIP-345); leave out the group instance id")
      }
      return OffsetCommitRequest(
        groupId: identity.group, generationIdOrMemberEpoch: identity.generation, memberId: identity.memberId,
        groupInstanceId: identity.groupInstanceId,
        topics: offsets.groupedByTopic().map { topic, offsets in
          .init(
            name: topic,
            partitions: offsets.map { index, offset in
              .init(
                partitionIndex: index, committedOffset: offset.offset,
                committedLeaderEpoch: offset.leaderEpoch ?? -1, committedMetadata: offset.metadata)
            })
        })
    } failure: { response in
      response.topics.lazy.flatMap(\.partitions).map { ErrorCode(rawValue: $0.errorCode) }
        .first(where: Self.isAboutCoordinator)
        .map { KafkaError(brokerCode: $0, about: "group '\(identity.group)'") }
    }
    var results: [TopicPartition: Result<Void, KafkaError>] = [:]
    for topic in response.topics {
      for answer in topic.partitions {
        let partition = TopicPartition(topic.name, answer.partitionIndex)
        results[partition] = Result(
          .broker(answer.errorCode, about: "group '\(identity.group)', partition \(partition)"))
      }
    }
    return results
  }

  /// A topic that does not exist is retriable by Kafka's book too, but concerns its own partitions only.
  private static func isAboutCoordinator(_ code: ErrorCode) -> Bool {
    switch code {
    case .notCoordinator, .coordinatorNotAvailable, .coordinatorLoadInProgress, .requestTimedOut: true
    default: false
    }
  }
}
