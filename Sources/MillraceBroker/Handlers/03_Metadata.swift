// Metadata, key 3.
//
// v0 an empty list is every topic   v1 null is every topic, an empty list none   v2 cluster id   v4 auto-creation is
// the client's choice   v7 leader epochs   v8–v10 authorized operations (KIP-430; the cluster's go to DescribeCluster
// in v11) v9 flexible   v10 topic ids in the answer (KIP-516)   v12 topics by id   v13 top-level error
//
// A topic that the client asks for and may have made is answered once it can be used, so that its first produce works;
// Kafka answers LEADER_NOT_AVAILABLE and has the client ask again.

import MillraceCoordination
import MillraceProtocol
import Synchronization

struct MetadataHandler: Handler {
  typealias Described = MetadataResponse.MetadataResponseTopic

  func handle(_ request: MetadataRequest, _ context: RequestContext, _ reply: Reply<MetadataResponse>) {
    let broker = context.broker
    let operations =
      request.includeTopicAuthorizedOperations ? AuthorizedOperations.topic : AuthorizedOperations.notRequested
    func describe(_ topic: Topic) -> Described { Self.describe(topic, broker.configuration.nodeId, operations) }

    guard let asked = request.topics, !(asked.isEmpty && context.version == 0) else {
      return reply.send(Self.response(broker.topics.all.map(describe), request, context))
    }
    if context.version < 12, let topic = asked.first(where: { $0.name == nil || $0.topicId != .zero }) {
      // Announced since version 10, but clients may not use it before 12.
      let error = Described(
        errorCode: ErrorCode.invalidRequest.rawValue, name: topic.name ?? "", topicId: topic.topicId)
      return reply.send(Self.response([error], request, context))
    }

    var described: [Described] = []
    var missing: [String] = []
    var seen: Set<MetadataRequest.MetadataRequestTopic.Identity> = []
    for topic in asked where seen.insert(topic.identity).inserted {
      switch topic.identity {
      case .id(let id):
        described.append(
          broker.topics.topic(id: id).map(describe)
            ?? Described(errorCode: ErrorCode.unknownTopicId.rawValue, name: nil, topicId: id))
      case .name(let name):
        if let topic = broker.topics.topic(named: name) {
          described.append(describe(topic))
        } else {
          missing.append(name)
        }
      }
    }
    if missing.isEmpty { return reply.send(Self.response(described, request, context)) }
    let mayCreate = request.allowAutoTopicCreation && broker.configuration.isTopicCreationAutomatic
    let rest = MissingTopics(described, count: missing.count) { topics in
      reply.send(Self.response(topics, request, context))
    }
    for name in missing {
      guard mayCreate || broker.catalog.hasTopic(named: name) else {
        let isLegal = TopicName.objection(to: name) == nil
        rest.add(Self.failure(name, isLegal ? .unknownTopicOrPartition : .invalidTopicException))
        continue
      }
      broker.catalog.ensureTopic(named: name) { result in
        switch result {
        case .success(let topic): rest.add(Self.describe(topic, broker.configuration.nodeId, operations))
        case .failure(let error): rest.add(Self.failure(name, error.code))
        }
      }
    }
  }

  // MARK: The answer

  private static func failure(_ name: String, _ code: ErrorCode) -> Described {
    Described(errorCode: code.rawValue, name: name, isInternal: TopicName.isInternal(name))
  }

  private static func describe(_ topic: Topic, _ nodeId: Int32, _ operations: Int32) -> Described {
    let replicas = [nodeId]
    let partitions = topic.partitions.map { partition in
      MetadataResponse.MetadataResponsePartition(
        partitionIndex: partition.index, leaderId: nodeId, leaderEpoch: partition.leaderEpoch, replicaNodes: replicas,
        isrNodes: replicas)
    }
    return Described(
      name: topic.name, topicId: topic.id, isInternal: topic.isInternal, partitions: partitions,
      topicAuthorizedOperations: operations)
  }

  private static func response(
    _ topics: [Described], _ request: MetadataRequest, _ context: RequestContext
  ) -> MetadataResponse {
    let broker = context.broker
    let endpoint = broker.advertised.endpoint(for: context.connection.listener)
    let node = MetadataResponse.MetadataResponseBroker(
      nodeId: broker.configuration.nodeId, host: endpoint.host, port: endpoint.port, rack: broker.configuration.rack)
    return MetadataResponse(
      brokers: [node], clusterId: broker.store.clusterId, controllerId: broker.configuration.nodeId, topics: topics,
      clusterAuthorizedOperations: request.includeClusterAuthorizedOperations
        ? AuthorizedOperations.cluster : AuthorizedOperations.notRequested)
  }
}

extension MetadataRequest.MetadataRequestTopic {
  enum Identity: Hashable {
    case name(String)
    case id(Uuid)
  }

  var identity: Identity { topicId == .zero ? .name(name ?? "") : .id(topicId) }
}

/// Collects what is known of topics that were not there; calls `done` with all topics when the last is.
private final class MissingTopics: Sendable {
  private struct State {
    var topics: [MetadataHandler.Described]
    var missing: Int
  }

  private let state: Mutex<State>
  private let done: @Sendable ([MetadataHandler.Described]) -> Void

  init(
    _ topics: [MetadataHandler.Described], count: Int, done: @escaping @Sendable ([MetadataHandler.Described]) -> Void
  ) {
    state = Mutex(State(topics: topics, missing: count))
    self.done = done
  }

  func add(_ topic: MetadataHandler.Described) {
    let all = state.withLock { state -> [MetadataHandler.Described]? in
      state.topics.append(topic)
      state.missing -= 1
      return state.missing == 0 ? state.topics : nil
    }
    if let all { done(all) }
  }
}
