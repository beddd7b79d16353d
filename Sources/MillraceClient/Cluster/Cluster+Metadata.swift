// Topics and their leaders: asked for when first needed, again after a failure or when they have grown old. Equal
// questions that are asked at the same time go to the broker once.

import MillraceProtocol

/// A Metadata request.
enum MetadataQuery: Hashable, Sendable {
  /// No topics, only what the cluster is.
  case brokers
  case allTopics
  case topics(Set<String>, create: Bool)
  /// Topics whose names are not known (KIP-516).
  case topicIds(Set<Uuid>)
}

extension Cluster {
  /// How long a topic that is not there is looked for: one that was just created is not known everywhere at once.
  private static let unknownTopicGrace = Duration.seconds(2)
  private static let firstMetadataById: Int16 = 12

  var metadata: ClusterMetadata { state.withLock { $0.metadata } }

  /// The names of those of these topics that are known.
  func topicNames(of ids: Set<Uuid>) -> [Uuid: String] {
    state.withLock { state in
      Dictionary(
        ids.compactMap { id in state.metadata.topicNames[id].map { (id, $0) } }, uniquingKeysWith: { first, _ in first }
      )
    }
  }

  /// The topic from the cache, when it is there and young enough.
  func cachedTopic(_ name: String) -> TopicMetadata? {
    state.withLock { state in
      guard let fetchedAt = state.fetchedAt[name], fetchedAt.duration(to: .now) < configuration.metadataMaxAge else {
        return nil
      }
      return state.metadata.topics[name].flatMap { $0.error == .none ? $0 : nil }
    }
  }

  /// The topic, with at least one partition.
  ///
  /// - Parameter create: whether a broker that creates topics by itself may create this one.
  func topic(_ name: String, create: Bool = false) async throws(KafkaError) -> TopicMetadata {
    if let topic = cachedTopic(name) { return topic }
    let giveUp = ContinuousClock.now + min(Self.unknownTopicGrace, configuration.operationTimeout)
    return try await retrying { () throws(KafkaError) in
      try await self.refreshMetadata(.topics([name], create: create))
      guard let topic = self.metadata.topics[name] else {
        throw KafkaError(.invalidResponse, "the broker's metadata leaves out topic '\(name)'")
      }
      if let error = KafkaError.broker(topic.error, about: "topic '\(name)'") {
        let isFinal = topic.error == .unknownTopicOrPartition && .now >= giveUp
        throw isFinal ? KafkaError(.broker, error.message, brokerCode: topic.error, isRetriable: false) : error
      }
      return topic
    }
  }

  func leader(of partition: TopicPartition) async throws(KafkaError) -> BrokerInfo {
    var topic = try await topic(partition.topic)
    if topic[partition: partition.partition] == nil {
      // It may have been added since.
      expireMetadata(of: [partition.topic])
      topic = try await self.topic(partition.topic)
    }
    guard let found = topic[partition: partition.partition] else {
      throw KafkaError(
        .invalidArgument,
        "topic '\(partition.topic)' has no partition \(partition.partition); it has \(topic.partitions.count)")
    }
    guard let leader = found.leader, let broker = broker(leader) else {
      throw KafkaError(brokerCode: .leaderNotAvailable, about: "partition \(partition)")
    }
    return broker
  }

  /// Marks topics so that their metadata is fetched before it is used again.
  func expireMetadata(of topics: some Sequence<String>) {
    state.withLock { state in
      for topic in topics { state.fetchedAt[topic] = nil }
    }
  }

  /// Asks a broker, and takes over what it says.
  func refreshMetadata(_ query: MetadataQuery) async throws(KafkaError) {
    let (lookup, isMine) = state.withLock { state -> (Deferred<Void>, Bool) in
      if let lookup = state.lookups[query] { return (lookup, false) }
      let lookup = Deferred<Void>()
      state.lookups[query] = lookup
      return (lookup, true)
    }
    if isMine {
      Task {
        let result: Result<Void, KafkaError>
        do throws(KafkaError) {
          result = .success(try await self.ask(query))
        } catch {
          result = .failure(error)
        }
        self.state.withLock { $0.lookups[query] = nil }
        lookup.fulfil(result)
      }
    }
    try await lookup.value()
  }

  private func ask(_ query: MetadataQuery) async throws(KafkaError) {
    let response = try await attempt(to: .any) { version throws(KafkaError) in
      switch query {
      case .brokers:
        return MetadataRequest(topics: [])
      case .allTopics:
        return MetadataRequest(topics: version == 0 ? [] : nil)
      case .topics(let names, let create):
        return MetadataRequest(
          topics: names.sorted().map { MetadataRequest.MetadataRequestTopic(name: $0) },
          allowAutoTopicCreation: create || version < 4)
      case .topicIds(let ids):
        if version < Self.firstMetadataById {
          throw KafkaError(
            .unsupportedVersion, "the broker cannot look up topics by their ids; it needs a newer version")
        }
        return MetadataRequest(
          topics: ids.map { MetadataRequest.MetadataRequestTopic(topicId: $0, name: nil) },
          allowAutoTopicCreation: false)
      }
    }
    if let error = KafkaError.broker(response.errorCode, about: "the cluster's metadata") { throw error }
    state.withLock { state in
      state.metadata.merge(response)
      let now = ContinuousClock.now
      for topic in response.topics {
        if let name = topic.name { state.fetchedAt[name] = now }
      }
    }
  }
}
