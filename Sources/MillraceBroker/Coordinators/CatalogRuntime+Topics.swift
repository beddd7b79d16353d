// Topics that are made because somebody needs them: by asking for metadata, or a coordinator for its own log.

import MillraceCoordination
import MillraceProtocol

extension CatalogRuntime {
  /// Calls `done` once, on any thread, with the topic as soon as it can be used. Makes it if it is not there: one of
  /// the broker's own with its settings, any other with `overrides` of the broker's defaults. Many who ask at the same
  /// time get one topic.
  package func ensureTopic(
    named name: String, overrides: [String: String] = [:],
    done: @escaping @Sendable (Result<Topic, CatalogError>) -> Void
  ) {
    if let topic = topics.topic(named: name) { return done(.success(topic)) }
    let outstanding = Outstanding()
    enum Step {
      case ready(Topic)
      case waiting
      case created(Effects)
    }
    let step: Step
    do throws(CatalogError) {
      step = try state.withLock { (state) throws(CatalogError) in
        if let topic = topics.topic(named: name) { return .ready(topic) }
        if let topic = state.catalog.topic(named: name) {
          state.waiters[topic.id, default: []].append(done)
          submitGrowth(of: topic.id, &state)
          return .waiting
        }
        let (id, records) = try decideNeeded(name, overrides, state.catalog)
        let effects = try append(records, to: &state, outstanding)
        state.waiters[id, default: []].append(done)
        return .created(effects)
      }
    } catch {
      return done(.failure(error))
    }
    switch step {
    case .ready(let topic): done(.success(topic))
    case .waiting: break
    case .created(let effects):
      logger.info("created a topic that was needed", metadata: ["topic": "\(name)"])
      finish(effects)
    }
  }

  private func decideNeeded(
    _ name: String, _ overrides: [String: String], _ catalog: Catalog
  ) throws(CatalogError) -> (Uuid, [MetadataRecord]) {
    var random = SystemRandomNumberGenerator()
    if let own = InternalTopic(name, configuration),
      let decision = catalog.decideInternalTopic(
        name, partitionCount: own.partitionCount, overrides: own.overrides, random: &random)
    {
      return (decision.answer, decision.records)
    }
    let configs = overrides.map { CreateTopicsRequest.CreatableTopicConfig(name: $0.key, value: $0.value) }
    let request = CreateTopicsRequest(
      topics: [.init(name: name, numPartitions: -1, replicationFactor: -1, configs: configs)])
    let decision = catalog.decide(request, random: &random)
    guard let result = decision.answer.topics.first, result.errorCode == 0 else {
      let refused = decision.answer.topics.first
      throw CatalogError(
        ErrorCode(rawValue: refused?.errorCode ?? ErrorCode.unknownServerError.rawValue), refused?.errorMessage ?? "")
    }
    return (result.topicId, decision.records)
  }
}

/// How the broker's own topics are made, as in Kafka.
struct InternalTopic {
  let partitionCount: Int
  let overrides: [String: String]

  init?(_ name: String, _ configuration: BrokerConfiguration) {
    // What `segment.bytes` allows.
    func segmentBytes(_ number: Int32) -> String { String(max(1_048_576, number)) }
    switch name {
    case TopicName.consumerOffsets:
      partitionCount = Int(configuration.offsetsTopicPartitionCount)
      overrides = [
        "cleanup.policy": "compact", "compression.type": "producer",
        "segment.bytes": segmentBytes(configuration.offsetsTopicSegmentBytes),
      ]
    case TopicName.transactionState:
      partitionCount = Int(configuration.transactionTopicPartitionCount)
      overrides = [
        "cleanup.policy": "compact", "compression.type": "uncompressed", "min.insync.replicas": "1",
        "segment.bytes": segmentBytes(configuration.transactionTopicSegmentBytes),
        "unclean.leader.election.enable": "false",
      ]
    case TopicName.shareGroupState:
      partitionCount = Int(configuration.shareStateTopicPartitionCount)
      overrides = [
        "cleanup.policy": "delete", "compression.type": "producer", "retention.ms": "-1",
        "segment.bytes": segmentBytes(configuration.shareStateTopicSegmentBytes),
      ]
    default: return nil
    }
  }
}
