// Committed offsets, as the consumer and the admin client use them. Topics go by name: ids came with the version after.

import MillraceProtocol

extension Cluster {
  private static let lastOffsetFetchByName: Int16 = 9
  private static let firstOffsetFetchByMember: Int16 = 9
  private static let lastOffsetCommitByName: Int16 = 9

  /// - Parameters:
  ///   - partitions: nil for all that have a committed offset.
  ///   - requireStable: wait for transactions that may yet commit some (KIP-447).
  ///   - member: who asks, when that is a member of a group of the consumer protocol; nil otherwise.
  func committedOffsets(
    of group: String, _ partitions: [TopicPartition]?, requireStable: Bool = true,
    as member: @escaping @Sendable () -> GroupIdentity? = { nil }
  ) async throws(KafkaError) -> [TopicPartition: OffsetAndMetadata] {
    let wanted = partitions?.groupedByTopic()
    let response = try await send(to: .coordinator(.group(group)), upTo: Self.lastOffsetFetchByName) { version in
      let member = version >= Self.firstOffsetFetchByMember ? member() : nil
      return version >= 8
        ? OffsetFetchRequest(
          groups: [
            .init(
              groupId: group, memberId: member?.memberId, memberEpoch: member?.generation ?? -1,
              topics: wanted?.map { .init(name: $0.topic, partitionIndexes: $0.partitions) })
          ],
          requireStable: requireStable)
        : OffsetFetchRequest(
          groupId: group, topics: wanted?.map { .init(name: $0.topic, partitionIndexes: $0.partitions) },
          requireStable: requireStable && version >= 7)
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
    return codes.first { $0 != 0 }.flatMap { code in
      let error = KafkaError(brokerCode: ErrorCode(rawValue: code), about: "the offsets of group '\(group)'")
      return error.isAboutMembership ? error.retriable : error
    }
  }

  /// Commits offsets. Retries only when the coordinator cannot be reached or has moved, which fails all partitions alike.
  func commit(
    _ offsets: [TopicPartition: OffsetAndMetadata], in group: String,
    as member: @escaping @Sendable () -> GroupIdentity,
    until deadline: ContinuousClock.Instant? = nil
  ) async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    let response = try await send(
      to: .coordinator(.group(group)), upTo: Self.lastOffsetCommitByName, until: deadline
    ) { version throws(KafkaError) in
      let identity = member()
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
        .first(where: Self.isWorthAnotherTry)
        .map { KafkaError(brokerCode: $0, about: "group '\(group)'").retriable }
    }
    var results: [TopicPartition: Result<Void, KafkaError>] = [:]
    for topic in response.topics {
      for answer in topic.partitions {
        let partition = TopicPartition(topic.name, answer.partitionIndex)
        results[partition] = Result(
          .broker(answer.errorCode, about: "group '\(group)', partition \(partition)"))
      }
    }
    return results
  }

  /// A topic that does not exist is retriable by Kafka's book too, but concerns its own partitions only. A member whose
  /// epoch has just risen is about to hear of it (KIP-848).
  private static func isWorthAnotherTry(_ code: ErrorCode) -> Bool {
    switch code {
    case .notCoordinator, .coordinatorNotAvailable, .coordinatorLoadInProgress, .requestTimedOut, .staleMemberEpoch:
      true
    default: false
    }
  }
}

extension KafkaError {
  /// Whether the coordinator and the member do not agree yet about who it is, which the next heartbeat settles.
  fileprivate var isAboutMembership: Bool { brokerCode == .staleMemberEpoch || brokerCode == .unknownMemberId }

  fileprivate var retriable: KafkaError { KafkaError(code, message, brokerCode: brokerCode, isRetriable: true) }
}
