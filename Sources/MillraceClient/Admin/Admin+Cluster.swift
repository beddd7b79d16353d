// The cluster, its brokers and their disks.

import MillraceProtocol

/// A cluster and its brokers.
public struct ClusterDescription: Sendable, Hashable {
  /// The cluster's own id; nil when the broker does not say.
  public var clusterId: String?
  /// The broker that takes requests for the controller; nil when there is none.
  public var controllerId: Int32?
  /// By their ids.
  public var brokers: [BrokerInfo]
}

/// What a broker says it speaks.
public struct BrokerApiVersions: Sendable {
  /// An API and the versions of it that are spoken.
  public struct Api: Sendable, Hashable {
    /// Which API.
    public var key: ApiKey
    /// The versions that the broker speaks.
    public var versions: ClosedRange<Int16>
  }

  /// In the order of their keys.
  public var apis: [Api]
  /// The levels of each feature that the broker could have.
  public var supportedFeatures: [String: ClosedRange<Int16>]
  /// The level of each feature that the cluster has.
  public var finalizedFeatures: [String: Int16]
}

/// A directory in which a broker keeps logs.
public struct LogDirDescription: Sendable {
  /// Where it is on the broker.
  public var path: String
  /// Why the directory is not in use, when it is not.
  public var error: KafkaError?
  /// Nil when the broker does not say.
  public var totalBytes: Int64?
  /// What is free of them; nil when the broker does not say.
  public var usableBytes: Int64?
  /// The replicas in the directory.
  public var replicas: [TopicPartition: ReplicaInfo]
}

/// A replica in a log directory.
public struct ReplicaInfo: Sendable, Hashable {
  /// The size of its log segments.
  public var sizeInBytes: Int64
  /// How far the log is behind the high watermark, or a future replica behind the current one.
  public var offsetLag: Int64
  /// Whether it is being moved here from another directory.
  public var isFuture: Bool
}

extension Admin {
  /// The cluster and its brokers.
  ///
  /// - Parameter includeFenced: also brokers that the controller keeps from leading partitions (KIP-1073). Brokers that
  ///   do not know this leave them out.
  public func describeCluster(includeFenced: Bool = false) async throws(KafkaError) -> ClusterDescription {
    let connection = try await cluster.connection(to: .any)
    guard connection.versions.version(of: DescribeClusterRequest.self) != nil else {
      try await cluster.refreshMetadata(.brokers)
      let metadata = cluster.metadata
      return ClusterDescription(
        clusterId: metadata.clusterId, controllerId: metadata.controllerId, brokers: cluster.brokers)
    }
    let response = try await cluster.send(to: .any) { version in
      DescribeClusterRequest(includeFencedBrokers: includeFenced && version >= 2)
    } failure: {
      .broker($0.errorCode, about: "the cluster", detail: $0.errorMessage)
    }
    return ClusterDescription(
      clusterId: response.clusterId, controllerId: response.controllerId < 0 ? nil : response.controllerId,
      brokers: response.brokers.map { broker in
        BrokerInfo(
          id: broker.brokerId, host: broker.host, port: broker.port, rack: broker.rack, isFenced: broker.isFenced)
      }
      .sorted { $0.id < $1.id })
  }

  /// The API versions that each broker speaks.
  public func apiVersions() async throws(KafkaError) -> [BrokerInfo: Result<BrokerApiVersions, KafkaError>] {
    try await cluster.refreshMetadata(.brokers)
    return await results(of: cluster.brokers) { [cluster] broker throws(KafkaError) in
      let versions = try await cluster.connection(to: .broker(broker.id)).versions
      return BrokerApiVersions(
        apis: versions.all.map { .init(key: $0.key, versions: $0.versions) },
        supportedFeatures: versions.supportedFeatures, finalizedFeatures: versions.finalizedFeatures)
    }
  }

  /// The data directories of brokers, with the size of each replica in them.
  ///
  /// - Parameters:
  ///   - brokers: nil for all.
  ///   - topics: nil for all.
  public func describeLogDirs(
    brokers: [Int32]? = nil, topics: [String]? = nil
  ) async throws(KafkaError) -> [Int32: Result<[LogDirDescription], KafkaError>] {
    try await cluster.refreshMetadata(.brokers)
    var wanted: [DescribeLogDirsRequest.DescribableLogDirTopic]?
    if let topics {
      wanted = []
      for name in topics {
        let topic = try await cluster.topic(name)
        wanted?.append(.init(topic: name, partitions: topic.partitions.map(\.index)))
      }
    }
    return await results(of: brokers ?? cluster.brokers.map(\.id)) { [cluster, wanted] broker throws(KafkaError) in
      let response = try await cluster.send(to: .broker(broker)) { _ in
        DescribeLogDirsRequest(topics: wanted)
      } failure: {
        .broker($0.errorCode, about: "the data directories of broker \(broker)")
      }
      return response.results.map(LogDirDescription.init)
    }
  }
}

extension LogDirDescription {
  fileprivate init(_ directory: DescribeLogDirsResponse.DescribeLogDirsResult) {
    path = directory.logDir
    error = .broker(directory.errorCode, about: "the data directory \(directory.logDir)")
    totalBytes = directory.totalBytes < 0 ? nil : directory.totalBytes
    usableBytes = directory.usableBytes < 0 ? nil : directory.usableBytes
    replicas = [:]
    for topic in directory.topics {
      for partition in topic.partitions {
        replicas[TopicPartition(topic.name, partition.partitionIndex)] = ReplicaInfo(
          sizeInBytes: partition.partitionSize, offsetLag: partition.offsetLag, isFuture: partition.isFutureKey)
      }
    }
  }
}
