// CreateTopics: which of the topics asked for come to be, and with what.

import MillraceProtocol

extension Catalog {
  /// The most partitions that one request may make, as in Kafka: a decision is one batch in the journal.
  package static let maxPartitionsPerRequest = 10_000

  package func decide(
    _ request: CreateTopicsRequest, random: inout some RandomNumberGenerator
  ) -> CatalogDecision<CreateTopicsResponse> {
    if let objection = objectionToSize(of: request) {
      return CatalogDecision(
        answer: CreateTopicsResponse(topics: request.topics.map { refusal(of: $0.name, objection) }))
    }
    let occurrences = Dictionary(request.topics.map { ($0.name, 1) }, uniquingKeysWith: +)
    var taken: [String: String] = [:]
    var answered: Set<String> = []
    var records: [MetadataRecord] = []
    var response = CreateTopicsResponse()
    for topic in request.topics where answered.insert(topic.name).inserted {
      do throws(CatalogError) {
        guard occurrences[topic.name] == 1 else {
          throw CatalogError(.invalidRequest, "Topic '\(topic.name)' is in the request more than once.")
        }
        let plan = try plan(topic, takenInThisRequest: taken)
        if let form = TopicName.collisionForm(topic.name) { taken[form] = topic.name }
        let id = request.validateOnly ? Uuid.zero : Uuid.random(using: &random)
        records += newTopicRecords(name: topic.name, id: id, plan)
        response.topics.append(result(of: topic.name, id, plan))
      } catch {
        response.topics.append(refusal(of: topic.name, error))
      }
    }
    return CatalogDecision(request.validateOnly ? [] : records, answer: response)
  }

  /// What a topic will have, once everything asked for is in order.
  struct TopicPlan {
    var partitionCount: Int
    var overrides: [String: String]
  }

  private func plan(
    _ topic: CreateTopicsRequest.CreatableTopic, takenInThisRequest taken: [String: String]
  ) throws(CatalogError) -> TopicPlan {
    if topic.name == TopicName.clusterMetadata {
      throw CatalogError(.invalidRequest, "'\(topic.name)' is the broker's own metadata log and cannot be a topic.")
    }
    if let objection = TopicName.objection(to: topic.name) { throw CatalogError(.invalidTopicException, objection) }
    if self.topic(named: topic.name) != nil {
      throw CatalogError(.topicAlreadyExists, "Topic '\(topic.name)' already exists.")
    }
    let other = collision(with: topic.name) ?? TopicName.collisionForm(topic.name).flatMap { taken[$0] }
    if let other {
      throw CatalogError(
        .invalidTopicException,
        "Topic '\(topic.name)' collides with '\(other)': in a topic's name '.' and '_' count as the same.")
    }
    return TopicPlan(partitionCount: try partitionCount(for: topic), overrides: try overrides(for: topic))
  }

  private func overrides(for topic: CreateTopicsRequest.CreatableTopic) throws(CatalogError) -> [String: String] {
    var overrides: [String: String] = [:]
    for config in topic.configs {
      guard let value = config.value else {
        throw CatalogError(.invalidConfig, "Configuration '\(config.name)' of topic '\(topic.name)' has no value.")
      }
      overrides[config.name] = value
    }
    try validate(topicOverrides: overrides, changed: overrides.keys.sorted(), topic: topic.name)
    return overrides
  }

  private func partitionCount(for topic: CreateTopicsRequest.CreatableTopic) throws(CatalogError) -> Int {
    if !topic.assignments.isEmpty { return try partitionCount(assignedBy: topic) }
    guard topic.replicationFactor == -1 || topic.replicationFactor >= 1 else {
      throw CatalogError(
        .invalidReplicationFactor,
        "The replication factor must be 1, or -1 for the default; it was \(topic.replicationFactor).")
    }
    guard topic.numPartitions == -1 || topic.numPartitions >= 1 else {
      throw CatalogError(
        .invalidPartitions,
        "The number of partitions must be at least 1, or -1 for the default; it was \(topic.numPartitions).")
    }
    guard topic.replicationFactor <= 1 else {
      throw CatalogError(
        .invalidReplicationFactor,
        """
        Topic '\(topic.name)' cannot have \(topic.replicationFactor) replicas: this cluster is one broker, which keeps \
        one. Use replication factor 1, or -1 for the default.
        """
      )
    }
    return Int(topic.numPartitions == -1 ? settings.defaultPartitionCount : topic.numPartitions)
  }

  /// A manual assignment says the number of partitions and, in a cluster of one, nothing else.
  private func partitionCount(
    assignedBy topic: CreateTopicsRequest.CreatableTopic
  ) throws(CatalogError) -> Int {
    guard topic.replicationFactor == -1, topic.numPartitions == -1 else {
      throw CatalogError(
        .invalidRequest,
        "With a manual assignment the number of partitions and the replication factor must both be -1.")
    }
    var seen: Set<Int32> = []
    for assignment in topic.assignments {
      guard seen.insert(assignment.partitionIndex).inserted else {
        throw CatalogError(
          .invalidReplicaAssignment, "Partition \(assignment.partitionIndex) is assigned more than once.")
      }
      try validate(assignment: assignment.brokerIds)
    }
    guard seen.min() == 0, seen.max() == Int32(seen.count - 1) else {
      throw CatalogError(.invalidReplicaAssignment, "The assigned partitions must be numbered from 0 without a gap.")
    }
    return seen.count
  }

  func validate(assignment replicas: [Int32]) throws(CatalogError) {
    if replicas.isEmpty {
      throw CatalogError(.invalidReplicaAssignment, "An assignment without a broker is not possible.")
    }
    if let stranger = replicas.first(where: { $0 != settings.nodeId }) {
      throw CatalogError(
        .invalidReplicaAssignment,
        "The assignment names broker \(stranger), but this cluster is broker \(settings.nodeId) alone.")
    }
    if replicas.count > 1 {
      throw CatalogError(.invalidReplicaAssignment, "The assignment names broker \(settings.nodeId) more than once.")
    }
  }

  private func objectionToSize(of request: CreateTopicsRequest) -> CatalogError? {
    var total = 0
    for topic in request.topics {
      if !topic.assignments.isEmpty {
        total += topic.assignments.count
      } else if topic.numPartitions > 0 {
        total += Int(topic.numPartitions)
      } else if topic.numPartitions == -1 {
        total += Int(settings.defaultPartitionCount)
      }
    }
    guard total > Self.maxPartitionsPerRequest else { return nil }
    return CatalogError(
      .policyViolation, "One request can make \(Self.maxPartitionsPerRequest) partitions; this one asks for \(total).")
  }

  // MARK: Facts and results

  private func newTopicRecords(name: String, id: Uuid, _ plan: TopicPlan) -> [MetadataRecord] {
    var records = [MetadataRecord.topic(TopicRecord(name: name, topicId: id))]
    for (key, value) in plan.overrides.sorted(by: { $0.key < $1.key }) {
      records.append(configRecord(.topic(name), key, value))
    }
    for index in 0..<Int32(plan.partitionCount) { records.append(newPartitionRecord(id, index)) }
    return records
  }

  func newPartitionRecord(_ id: Uuid, _ index: Int32, leaderEpoch: Int32 = 0) -> MetadataRecord {
    .partition(
      PartitionRecord(
        partitionId: index, topicId: id, replicas: [settings.nodeId], isr: [settings.nodeId], leader: settings.nodeId,
        leaderEpoch: leaderEpoch, partitionEpoch: 0, directories: [.zero]))
  }

  func configRecord(_ resource: ConfigResource, _ key: String, _ value: String?) -> MetadataRecord {
    .config(ConfigRecord(resourceType: resource.kind.rawValue, resourceName: resource.name, name: key, value: value))
  }

  private func result(of name: String, _ id: Uuid, _ plan: TopicPlan) -> CreateTopicsResponse.CreatableTopicResult {
    let configs = TopicConfigs.all.map { definition in
      let effective = resolver.topic(definition, overrides: plan.overrides)
      return CreateTopicsResponse.CreatableTopicConfigs(
        name: definition.name, value: effective.text, readOnly: false, configSource: effective.source.rawValue,
        isSensitive: definition.isSensitive)
    }
    return CreateTopicsResponse.CreatableTopicResult(
      name: name, topicId: id, numPartitions: Int32(plan.partitionCount), replicationFactor: 1, configs: configs)
  }

  private func refusal(of name: String, _ error: CatalogError) -> CreateTopicsResponse.CreatableTopicResult {
    CreateTopicsResponse.CreatableTopicResult(
      name: name, errorCode: error.code.rawValue, errorMessage: error.message)
  }
}
