// What the cluster is: topics, configs, features, the broker's registration, the next producer id. A plain value. Facts
// are Kafka's metadata records; `apply` is the only way in which it changes, in the running broker and in the replay at
// start alike. Decisions (the extensions beside this file) read it and answer with facts.
//
// Leader epochs. Every unclean start raises the epoch of every partition, so that a client that validates its
// position (KIP-320) notices a suffix that a power cut took. That is one fact, the FenceBrokerRecord that Kafka
// writes for a broker that went away, and not one record a partition: the catalog counts fencings, and a partition
// keeps its epoch relative to that count.

import MillraceProtocol

package struct Catalog: Sendable, Equatable {
  /// More partitions than this in one topic is damage, not a topic.
  static let maxPartitionsPerTopic = 1_000_000

  package let settings: CatalogSettings
  package private(set) var topics: [Uuid: CatalogTopic] = [:]
  private var idsByName: [String: Uuid] = [:]
  /// Names with '.' or '_' by their common form.
  private var namesByCollisionForm: [String: Set<String>] = [:]
  package private(set) var configs: [ConfigResource: [String: String]] = [:]
  package private(set) var featureLevels: [String: Int16] = [:]
  /// Where in the journal a feature changed last; -1 for never.
  package private(set) var featuresEpoch: Int64 = -1
  package private(set) var registration: RegisterBrokerRecord?
  package private(set) var nextProducerId: Int64 = 0
  /// How often this broker was fenced: its unclean starts.
  package private(set) var fencings: Int32 = 0
  package private(set) var resolver: ConfigResolver
  /// What a topic without configs of its own has.
  package private(set) var topicDefaults: TopicConfiguration
  /// `producer.id.expiration.ms`, which is no topic's but every log's.
  package private(set) var producerIdExpirationMs: Int64
  /// `transaction.partition.verification.enable`
  package private(set) var verifiesTransactionPartitions: Bool

  package init(settings: CatalogSettings) {
    self.settings = settings
    resolver = ConfigResolver(started: settings.started)
    topicDefaults = TopicConfiguration(defaults: resolver)
    producerIdExpirationMs = resolver.producerIdExpirationMs
    verifiesTransactionPartitions = resolver.verifiesTransactionPartitions
  }

  // MARK: Looking things up

  package func topic(named name: String) -> CatalogTopic? { idsByName[name].flatMap { topics[$0] } }
  package func topic(id: Uuid) -> CatalogTopic? { topics[id] }

  package func leaderEpoch(_ topic: CatalogTopic, _ partition: Int) -> Int32 {
    topic.epochBases[partition] &+ fencings
  }

  package func configuration(of topic: CatalogTopic) -> TopicConfiguration {
    var configuration = topicDefaults
    if let overrides = configs[.topic(topic.name)] { configuration = configuration.overridden(by: overrides) }
    // What coordinators acknowledge has to survive a power cut, whatever the broker's default is for user data.
    if topic.isInternal { configuration.commitsToDisk = true }
    return configuration
  }

  /// Groups with configs of their own, by name.
  package var configuredGroups: [String] { configs.keys.filter { $0.kind == .group }.map(\.name).sorted() }

  /// An existing topic whose name is the same but for '.' and '_'.
  func collision(with name: String) -> String? {
    TopicName.collisionForm(name).flatMap { namesByCollisionForm[$0]?.subtracting([name]).min() }
  }

  // MARK: Applying facts

  /// - Parameter offset: where in the journal the fact is.
  @discardableResult
  package mutating func apply(_ record: MetadataRecord, at offset: Int64) -> CatalogChange {
    switch record {
    case .topic(let record): return apply(record)
    case .partition(let record): return apply(record)
    case .partitionChange(let record): return apply(record)
    case .removeTopic(let record): return removeTopic(record.topicId)
    case .config(let record): return apply(record)
    case .featureLevel(let record):
      featureLevels[record.name] = record.featureLevel == 0 ? nil : record.featureLevel
      featuresEpoch = offset
      return .features
    case .registerBroker(let record):
      if record.brokerId == settings.nodeId { registration = record }
      return .none
    case .fenceBroker(let record):
      guard record.id == settings.nodeId else { return .none }
      fencings &+= 1
      return .leaderEpochs
    case .producerIds(let record):
      nextProducerId = max(nextProducerId, record.nextProducerId)
      return .none
    case .noOp, .other: return .none
    }
  }

  private mutating func apply(_ record: TopicRecord) -> CatalogChange {
    // A topic of that name can only be here still if the fact of its removal was lost.
    if let old = idsByName[record.name], old != record.topicId { _ = removeTopic(old) }
    guard topics[record.topicId] == nil else { return .none }
    topics[record.topicId] = CatalogTopic(name: record.name, id: record.topicId)
    idsByName[record.name] = record.topicId
    if let form = TopicName.collisionForm(record.name) {
      namesByCollisionForm[form, default: []].insert(record.name)
    }
    return .topicAdded(record.topicId)
  }

  private mutating func apply(_ record: PartitionRecord) -> CatalogChange {
    guard topics[record.topicId] != nil else { return .none }
    let index = Int(record.partitionId)
    guard index >= 0, index < Self.maxPartitionsPerTopic else { return .none }
    // Partitions come in order; a gap is a lost batch, and the partitions in it begin at epoch 0 again.
    topics[record.topicId]!.epochBases.append(
      contentsOf: repeatElement(0 &- fencings, count: max(0, index + 1 - topics[record.topicId]!.epochBases.count)))
    topics[record.topicId]!.epochBases[index] = max(0, record.leaderEpoch) &- fencings
    return .partitions(record.topicId)
  }

  private mutating func apply(_ record: PartitionChangeRecord) -> CatalogChange {
    // A new leader (this broker, or none and this broker again) raises the epoch, as it does in Kafka.
    let index = Int(record.partitionId)
    guard let topic = topics[record.topicId], topic.epochBases.indices.contains(index), record.leader != -2 else {
      return .none
    }
    topics[record.topicId]!.epochBases[index] &+= 1
    return .leaderEpochs
  }

  private mutating func removeTopic(_ id: Uuid) -> CatalogChange {
    guard let topic = topics.removeValue(forKey: id) else { return .none }
    idsByName[topic.name] = nil
    configs[.topic(topic.name)] = nil
    if let form = TopicName.collisionForm(topic.name) {
      namesByCollisionForm[form]?.remove(topic.name)
      if namesByCollisionForm[form]?.isEmpty == true { namesByCollisionForm[form] = nil }
    }
    return .topicRemoved(topic)
  }

  private mutating func apply(_ record: ConfigRecord) -> CatalogChange {
    guard let kind = ConfigResource.Kind(rawValue: record.resourceType) else { return .none }
    let resource = ConfigResource(kind, record.resourceName)
    configs[resource, default: [:]][record.name] = record.value
    if configs[resource]?.isEmpty == true { configs[resource] = nil }
    switch kind {
    case .topic: return topic(named: resource.name).map { .topicConfigs($0.id) } ?? .none
    case .broker:
      resolver.broker = configs[ConfigResource(.broker, String(settings.nodeId))] ?? [:]
      resolver.cluster = configs[ConfigResource(.broker, "")] ?? [:]
      topicDefaults = TopicConfiguration(defaults: resolver)
      producerIdExpirationMs = resolver.producerIdExpirationMs
      verifiesTransactionPartitions = resolver.verifiesTransactionPartitions
      return .brokerConfigs
    case .group: return .groupConfigs(resource.name)
    case .brokerLogger, .clientMetrics: return .none
    }
  }
}

/// What a fact changed, for the runtime that has directories and logs to look after.
package enum CatalogChange: Sendable, Equatable {
  case none
  case topicAdded(Uuid)
  case partitions(Uuid)
  case topicRemoved(CatalogTopic)
  case topicConfigs(Uuid)
  case brokerConfigs
  /// Of the group with this name.
  case groupConfigs(String)
  case leaderEpochs
  case features
}

/// What the catalog has to know of how the broker was started.
package struct CatalogSettings: Sendable, Equatable {
  package var nodeId: Int32
  /// The broker configs that were set by file, flag or environment, for their sources in DescribeConfigs.
  package var started: [String: String]
  /// `num.partitions`
  package var defaultPartitionCount: Int32
  /// `delete.topic.enable`
  package var isTopicDeletionEnabled: Bool

  package init(
    nodeId: Int32 = 1, started: [String: String] = [:], defaultPartitionCount: Int32 = 1,
    isTopicDeletionEnabled: Bool = true
  ) {
    self.nodeId = nodeId
    self.started = started
    self.defaultPartitionCount = defaultPartitionCount
    self.isTopicDeletionEnabled = isTopicDeletionEnabled
  }
}

extension ConfigResolver {
  fileprivate var producerIdExpirationMs: Int64 {
    guard let definition = BrokerConfigs.definition("producer.id.expiration.ms"),
      case .integer(let number) = broker(definition).value
    else { preconditionFailure("producer.id.expiration.ms has no number") }
    return number
  }

  fileprivate var verifiesTransactionPartitions: Bool {
    guard let definition = BrokerConfigs.definition("transaction.partition.verification.enable"),
      case .boolean(let isOn) = broker(definition).value
    else { preconditionFailure("transaction.partition.verification.enable is not true or false") }
    return isOn
  }
}
