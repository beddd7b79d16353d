// Topics and their partitions.

import MillraceProtocol

/// A topic to create.
public struct NewTopic: Sendable, Hashable {
  /// The topic's name: 1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`.
  public var name: String
  /// Nil for the broker's default, `num.partitions`.
  public var partitions: Int32?
  /// Nil for the broker's default, `default.replication.factor`.
  public var replicationFactor: Int16?
  /// The brokers of each partition, when that is not left to the cluster; `partitions` and `replicationFactor` stay nil.
  public var assignments: [Int32: [Int32]]
  /// Configs by Kafka's names, as in `["retention.ms": "86400000"]`; the others have the broker's defaults.
  public var configs: [String: String]

  /// A topic of this name; see the properties for the rest.
  public init(
    _ name: String, partitions: Int32? = nil, replicationFactor: Int16? = nil, assignments: [Int32: [Int32]] = [:],
    configs: [String: String] = [:]
  ) {
    self.name = name
    self.partitions = partitions
    self.replicationFactor = replicationFactor
    self.assignments = assignments
    self.configs = configs
  }
}

/// A topic that was created, or with `validateOnly` would be.
public struct CreatedTopic: Sendable, Hashable {
  /// Zero when the broker does not know topic ids.
  public var topicId: Uuid
  /// Nil when the broker does not say.
  public var partitions: Int32?
  /// Nil when the broker does not say.
  public var replicationFactor: Int16?
  /// The topic's configs as they are in force, nil for secrets; empty when the broker does not say.
  public var configs: [String: String?]
}

/// A topic, in a list of them.
public struct TopicListing: Sendable, Hashable {
  /// The topic's name.
  public var name: String
  /// Zero when the broker does not know topic ids.
  public var topicId: Uuid
  /// Whether it is the cluster's own.
  public var isInternal: Bool
}

/// A topic with its partitions.
public struct TopicDescription: Sendable, Hashable {
  /// The topic's name.
  public var name: String
  /// Zero when the broker does not know topic ids.
  public var topicId: Uuid
  /// Whether it is the cluster's own.
  public var isInternal: Bool
  /// Its partitions.
  public var partitions: [PartitionDescription]
}

/// A partition and who has it. Replicas are ids of brokers.
public struct PartitionDescription: Sendable, Hashable {
  /// Counted from 0.
  public var index: Int32
  /// Nil while there is none.
  public var leader: Int32?
  /// Counts the partition's leaders; -1 when the broker does not say.
  public var leaderEpoch: Int32
  /// Who should have the partition.
  public var replicas: [Int32]
  /// Who has all of it.
  public var inSyncReplicas: [Int32]
  /// Who cannot be reached, or has a broken disk.
  public var offlineReplicas: [Int32]
  /// Replicas that may lead without losing data (KIP-966); nil when the broker does not say.
  public var eligibleLeaderReplicas: [Int32]?
  /// Who was eligible when nobody is any more (KIP-966); nil when the broker does not say.
  public var lastKnownEligibleLeaderReplicas: [Int32]?
}

extension Admin {
  /// Creates topics.
  ///
  /// - Parameters:
  ///   - topics: what to create.
  ///   - validateOnly: only check whether it could be done.
  /// - Returns: for each topic by name what was created, or why it was not.
  /// - Throws: `KafkaError` when the cluster cannot be reached.
  public func createTopics(
    _ topics: [NewTopic], validateOnly: Bool = false
  ) async throws(KafkaError) -> [String: Result<CreatedTopic, KafkaError>] {
    guard !topics.isEmpty else { return [:] }
    let timeoutMs = brokerTimeoutMs
    let response = try await cluster.send(to: .controller) { version throws(KafkaError) in
      if version < 4,
        topics.contains(where: { $0.assignments.isEmpty && ($0.partitions == nil || $0.replicationFactor == nil) })
      {
        throw KafkaError(
          .unsupportedVersion,
          "this broker has no defaults for new topics (KIP-464); give the number of partitions and the replication factor"
        )
      }
      return CreateTopicsRequest(topics: topics.map(\.wire), timeoutMs: timeoutMs, validateOnly: validateOnly)
    } failure: {
      Self.notController($0.topics.map(\.errorCode))
    }
    return Dictionary(
      response.topics.map { topic in
        let error = KafkaError.broker(topic.errorCode, about: "topic '\(topic.name)'", detail: topic.errorMessage)
        return (topic.name, Result(error, CreatedTopic(topic)))
      }, uniquingKeysWith: { first, _ in first })
  }

  /// Deletes topics with all their records.
  public func deleteTopics(_ names: [String]) async throws(KafkaError) -> [String: Result<Void, KafkaError>] {
    guard !names.isEmpty else { return [:] }
    let timeoutMs = brokerTimeoutMs
    let response = try await cluster.send(to: .controller) { version in
      version >= 6
        ? DeleteTopicsRequest(topics: names.map { .init(name: $0) }, timeoutMs: timeoutMs)
        : DeleteTopicsRequest(topicNames: names, timeoutMs: timeoutMs)
    } failure: {
      Self.notController($0.responses.map(\.errorCode))
    }
    cluster.expireMetadata(of: names)
    return Dictionary(
      response.responses.compactMap { topic in
        topic.name.map { name in
          (name, Result(KafkaError.broker(topic.errorCode, about: "topic '\(name)'", detail: topic.errorMessage)))
        }
      }, uniquingKeysWith: { first, _ in first })
  }

  /// The names of all topics, in order.
  ///
  /// - Parameter includeInternal: also the cluster's own, such as `__consumer_offsets`.
  public func listTopics(includeInternal: Bool = false) async throws(KafkaError) -> [TopicListing] {
    let response = try await cluster.send(to: .any) {
      version in
      MetadataRequest(topics: version == 0 ? [] : nil)
    } failure: {
      .broker($0.errorCode, about: "the list of topics")
    }
    return response.topics.compactMap { topic in
      guard let name = topic.name, includeInternal || !topic.isInternal else { return nil }
      return TopicListing(name: name, topicId: topic.topicId, isInternal: topic.isInternal)
    }
    .sorted { $0.name < $1.name }
  }

  /// Describes topics with their partitions.
  public func describeTopics(
    _ names: [String]
  ) async throws(KafkaError) -> [String: Result<TopicDescription, KafkaError>] {
    guard !names.isEmpty else { return [:] }
    let connection = try await cluster.connection(to: .any)
    if connection.versions.version(of: DescribeTopicPartitionsRequest.self) != nil {
      return try await describeTopicPages(names)
    }
    let response = try await cluster.send(to: .any) {
      version in
      MetadataRequest(topics: names.map { .init(name: $0) }, allowAutoTopicCreation: version < 4)
    } failure: {
      .broker($0.errorCode, about: "the topics")
    }
    var results: [String: Result<TopicDescription, KafkaError>] = [:]
    for topic in response.topics {
      guard let name = topic.name else { continue }
      let error = KafkaError.broker(topic.errorCode, about: "topic '\(name)'")
      results[name] = Result(error, TopicDescription(TopicMetadata(topic, name: name)))
    }
    return results
  }

  /// KIP-966: page by page, however many partitions there are.
  private func describeTopicPages(
    _ names: [String]
  ) async throws(KafkaError) -> [String: Result<TopicDescription, KafkaError>] {
    var results: [String: Result<TopicDescription, KafkaError>] = [:]
    // Names have to be asked for in order, since a page says where the next one begins.
    let sorted = Set(names).sorted()
    var cursor: DescribeTopicPartitionsResponse.Cursor?
    repeat {
      let from = cursor
      let response = try await cluster.send(to: .any) { _ in
        DescribeTopicPartitionsRequest(
          topics: sorted.filter { $0 >= from?.topicName ?? "" }.map { .init(name: $0) },
          cursor: from.map { .init(topicName: $0.topicName, partitionIndex: $0.partitionIndex) })
      }
      for topic in response.topics {
        guard let name = topic.name else { continue }
        if let error = KafkaError.broker(topic.errorCode, about: "topic '\(name)'") {
          results[name] = .failure(error)
        } else if case .success(var description) = results[name] {
          description.partitions += topic.partitions.map(PartitionDescription.init)
          results[name] = .success(description)
        } else {
          results[name] = .success(
            TopicDescription(
              name: name, topicId: topic.topicId, isInternal: topic.isInternal,
              partitions: topic.partitions.map(PartitionDescription.init)))
        }
      }
      if let next = response.nextCursor, let from,
        (next.topicName, next.partitionIndex) <= (from.topicName, from.partitionIndex)
      {
        throw KafkaError(.invalidResponse, "the broker's description of topics does not end")
      }
      cursor = response.nextCursor
    } while cursor != nil
    return results
  }

  /// Adds partitions to topics. Records stay where they are, so keys may go to other partitions from then on.
  ///
  /// - Parameters:
  ///   - totals: how many partitions each topic should have.
  ///   - validateOnly: only check whether it could be done.
  public func createPartitions(
    _ totals: [String: Int32], validateOnly: Bool = false
  ) async throws(KafkaError) -> [String: Result<Void, KafkaError>] {
    guard !totals.isEmpty else { return [:] }
    let timeoutMs = brokerTimeoutMs
    let response = try await cluster.send(to: .controller) { _ in
      CreatePartitionsRequest(
        topics: totals.map { .init(name: $0.key, count: $0.value, assignments: nil) }, timeoutMs: timeoutMs,
        validateOnly: validateOnly)
    } failure: {
      Self.notController($0.results.map(\.errorCode))
    }
    cluster.expireMetadata(of: totals.keys)
    return Dictionary(
      response.results.map { topic in
        (
          topic.name,
          Result(KafkaError.broker(topic.errorCode, about: "topic '\(topic.name)'", detail: topic.errorMessage))
        )
      }, uniquingKeysWith: { first, _ in first })
  }

  /// An error when the request went to a broker that is not the controller any more: it says so for every topic.
  static func notController(_ codes: [Int16]) -> KafkaError? {
    codes.contains(ErrorCode.notController.rawValue)
      ? KafkaError(brokerCode: .notController, about: "the cluster's controller") : nil
  }
}

extension NewTopic {
  fileprivate var wire: CreateTopicsRequest.CreatableTopic {
    CreateTopicsRequest.CreatableTopic(
      name: name, numPartitions: partitions ?? -1, replicationFactor: replicationFactor ?? -1,
      assignments: assignments.sorted { $0.key < $1.key }.map { .init(partitionIndex: $0.key, brokerIds: $0.value) },
      configs: configs.sorted { $0.key < $1.key }.map { .init(name: $0.key, value: $0.value) })
  }
}

extension CreatedTopic {
  fileprivate init(_ topic: CreateTopicsResponse.CreatableTopicResult) {
    topicId = topic.topicId
    partitions = topic.numPartitions < 0 ? nil : topic.numPartitions
    replicationFactor = topic.replicationFactor < 0 ? nil : topic.replicationFactor
    configs = Dictionary(
      (topic.configs ?? []).map { ($0.name, $0.isSensitive ? nil : $0.value) }, uniquingKeysWith: { first, _ in first })
  }
}

extension TopicDescription {
  init(_ topic: TopicMetadata) {
    self.init(
      name: topic.name, topicId: topic.id, isInternal: topic.isInternal,
      partitions: topic.partitions.map { partition in
        PartitionDescription(
          index: partition.index, leader: partition.leader, leaderEpoch: partition.leaderEpoch,
          replicas: partition.replicas, inSyncReplicas: partition.inSyncReplicas,
          offlineReplicas: partition.offlineReplicas)
      })
  }
}

extension PartitionDescription {
  fileprivate init(_ partition: DescribeTopicPartitionsResponse.DescribeTopicPartitionsResponsePartition) {
    self.init(
      index: partition.partitionIndex, leader: partition.leaderId < 0 ? nil : partition.leaderId,
      leaderEpoch: partition.leaderEpoch, replicas: partition.replicaNodes, inSyncReplicas: partition.isrNodes,
      offlineReplicas: partition.offlineReplicas, eligibleLeaderReplicas: partition.eligibleLeaderReplicas,
      lastKnownEligibleLeaderReplicas: partition.lastKnownElr)
  }
}
