// Committed offsets of groups.

import MillraceProtocol

extension Admin {
  /// The offsets that a group has committed.
  ///
  /// - Parameters:
  ///   - group: with or without members.
  ///   - partitions: nil for all that have one.
  ///   - requireStable: wait for transactions that may yet commit some. Otherwise it is what was committed before.
  public func groupOffsets(
    _ group: String, partitions: [TopicPartition]? = nil, requireStable: Bool = true
  ) async throws(KafkaError) -> [TopicPartition: OffsetAndMetadata] {
    try await cluster.committedOffsets(of: group, partitions, requireStable: requireStable)
  }

  /// Sets committed offsets of a group that has no members.
  public func alterGroupOffsets(
    _ group: String, _ offsets: [TopicPartition: OffsetAndMetadata]
  ) async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    guard !offsets.isEmpty else { return [:] }
    return try await cluster.commit(offsets, in: group, as: { GroupIdentity(group: group) })
  }

  /// Drops committed offsets of topics that no member of the group is subscribed to.
  public func deleteGroupOffsets(
    _ group: String, _ partitions: [TopicPartition]
  ) async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    let response = try await cluster.send(to: .coordinator(.group(group))) { _ in
      OffsetDeleteRequest(
        groupId: group,
        topics: partitions.groupedByTopic().map { topic, indexes in
          .init(name: topic, partitions: indexes.map { .init(partitionIndex: $0) })
        })
    } failure: {
      .broker($0.errorCode, about: "group '\(group)'")
    }
    var results: [TopicPartition: Result<Void, KafkaError>] = [:]
    for topic in response.topics {
      for answer in topic.partitions {
        let partition = TopicPartition(topic.name, answer.partitionIndex)
        results[partition] = Result(.broker(answer.errorCode, about: "group '\(group)', partition \(partition)"))
      }
    }
    return results
  }
}
