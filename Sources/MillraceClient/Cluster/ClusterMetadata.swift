// What is known of a cluster: a value that answers of brokers are merged into.

import MillraceProtocol

/// A broker of the cluster.
public struct BrokerInfo: Hashable, Sendable {
  /// The broker's number (`node.id`).
  public var id: Int32
  /// Where clients reach it.
  public var host: String
  /// Where clients reach it.
  public var port: Int32
  /// Where it stands (`broker.rack`); nil when it does not say.
  public var rack: String?
  /// Whether the controller keeps it from leading partitions; only `describeCluster` can tell.
  public var isFenced: Bool

  /// A broker of these properties.
  public init(id: Int32, host: String, port: Int32, rack: String? = nil, isFenced: Bool = false) {
    self.id = id
    self.host = host
    self.port = port
    self.rack = rack
    self.isFenced = isFenced
  }

  var address: BrokerAddress { BrokerAddress(host: host, port: Int(port)) }
}

extension BrokerInfo: CustomStringConvertible {
  public var description: String { "\(address) (id: \(id))" }
}

struct PartitionMetadata: Sendable, Equatable {
  var index: Int32
  /// Nil while there is none.
  var leader: Int32?
  var leaderEpoch: Int32
  var replicas: [Int32]
  var inSyncReplicas: [Int32]
  var offlineReplicas: [Int32]
}

struct TopicMetadata: Sendable, Equatable {
  var name: String
  /// Zero when the broker does not know topic ids.
  var id: Uuid
  var isInternal: Bool
  var error: ErrorCode
  /// In the order of their indexes.
  var partitions: [PartitionMetadata]
  var authorizedOperations: Int32?

  subscript(partition index: Int32) -> PartitionMetadata? {
    // Nearly always the partitions are 0, 1, 2, …
    if partitions.indices.contains(Int(index)), partitions[Int(index)].index == index { return partitions[Int(index)] }
    return partitions.first { $0.index == index }
  }

  init(_ topic: MetadataResponse.MetadataResponseTopic, name: String) {
    self.name = name
    id = topic.topicId
    isInternal = topic.isInternal
    error = ErrorCode(rawValue: topic.errorCode)
    authorizedOperations = topic.topicAuthorizedOperations == .min ? nil : topic.topicAuthorizedOperations
    partitions = topic.partitions.map { partition in
      PartitionMetadata(
        index: partition.partitionIndex, leader: partition.leaderId < 0 ? nil : partition.leaderId,
        leaderEpoch: partition.leaderEpoch, replicas: partition.replicaNodes, inSyncReplicas: partition.isrNodes,
        offlineReplicas: partition.offlineReplicas)
    }
    .sorted { $0.index < $1.index }
  }
}

struct ClusterMetadata: Sendable {
  var clusterId: String?
  var controllerId: Int32?
  var brokers: [Int32: BrokerInfo] = [:]
  private(set) var topics: [String: TopicMetadata] = [:]
  private(set) var topicNames: [Uuid: String] = [:]

  /// Takes over what an answer says. Topics that it does not mention stay as they are.
  mutating func merge(_ response: MetadataResponse) {
    clusterId = response.clusterId ?? clusterId
    controllerId = response.controllerId < 0 ? nil : response.controllerId
    if !response.brokers.isEmpty {
      brokers = Dictionary(
        response.brokers.map { ($0.nodeId, BrokerInfo(id: $0.nodeId, host: $0.host, port: $0.port, rack: $0.rack)) },
        uniquingKeysWith: { _, last in last })
    }
    for topic in response.topics {
      guard let name = topic.name else { continue }
      var incoming = TopicMetadata(topic, name: name)
      if let known = topics[name] {
        topicNames[known.id] = nil
        incoming.keepNewerLeaders(of: known)
      }
      topics[name] = incoming
      if incoming.id != .zero { topicNames[incoming.id] = name }
    }
  }

  func leader(of partition: TopicPartition) -> Int32? {
    topics[partition.topic]?[partition: partition.partition]?.leader
  }
}

extension TopicMetadata {
  /// A broker that lags behind must not take us back to a leader of the past (KIP-320).
  fileprivate mutating func keepNewerLeaders(of known: TopicMetadata) {
    guard known.id == id else { return }
    for index in partitions.indices {
      guard let old = known[partition: partitions[index].index] else { continue }
      if old.leaderEpoch > partitions[index].leaderEpoch, partitions[index].leaderEpoch >= 0 {
        partitions[index].leader = old.leader
        partitions[index].leaderEpoch = old.leaderEpoch
      }
    }
  }
}
