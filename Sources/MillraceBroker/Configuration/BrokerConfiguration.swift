// What the broker and its server were started with, as typed values. Kafka's name is given with each; what it means
// is in `BrokerConfigs`.

import MillraceCoordination
import MillraceLog

package struct BrokerConfiguration: Sendable {
  /// `node.id` (`broker.id`)
  package let nodeId: Int32
  /// `broker.rack`
  package let rack: String?
  /// `cluster.id`
  package let clusterId: String?
  /// `log.dirs` (`log.dir`)
  package let logDirectories: [String]
  /// Everything that was set, for the sources in DescribeConfigs.
  package let started: [String: String]

  // MARK: Sockets

  /// `listeners` with `advertised.listeners`
  package let listeners: [BrokerListener]
  /// `num.network.threads`
  package let networkThreads: Int
  /// `socket.request.max.bytes`
  package let maxRequestBytes: Int
  /// `socket.send.buffer.bytes`; nil lets the system decide.
  package let sendBufferBytes: Int?
  /// `socket.receive.buffer.bytes`; nil lets the system decide.
  package let receiveBufferBytes: Int?
  /// `socket.listen.backlog.size`
  package let listenBacklog: Int
  /// `max.connections`
  package let maxConnections: Int
  /// `max.connections.per.ip`
  package let maxConnectionsPerAddress: Int
  /// `max.connections.per.ip.overrides`, by host
  package let maxConnectionsOverrides: [String: Int]
  /// `max.connection.creation.rate`, connections a second
  package let maxConnectionCreationRate: Int
  /// `connections.max.idle.ms`; nil never closes an idle connection.
  package let maxIdleMs: Int64?
  /// `queued.max.requests`
  package let maxQueuedRequests: Int
  /// `queued.max.request.bytes`; nil leaves the bound to the server.
  package let maxQueuedRequestBytes: Int?

  // MARK: Fetching and metadata

  /// `fetch.max.bytes`
  package let fetchMaxBytes: Int
  /// `max.incremental.fetch.session.cache.slots`
  package let fetchSessionSlots: Int
  /// `max.request.partition.size.limit`
  package let maxPartitionsPerDescription: Int

  // MARK: Topics and logs

  /// `num.partitions`
  package let defaultPartitionCount: Int32
  /// `auto.create.topics.enable`
  package let isTopicCreationAutomatic: Bool
  /// `delete.topic.enable`
  package let isTopicDeletionEnabled: Bool
  /// `metadata.log.segment.bytes`
  package let metadataSegmentBytes: Int32
  /// `metadata.log.segment.ms`
  package let metadataSegmentMs: Int64
  /// `metadata.log.max.record.bytes.between.snapshots`
  package let metadataSnapshotBytes: Int64
  /// `metadata.log.max.snapshot.interval.ms`
  package let metadataSnapshotIntervalMs: Int64
  /// `num.recovery.threads.per.data.dir`
  package let recoveryThreadsPerDirectory: Int
  /// `log.retention.check.interval.ms`
  package let retentionCheckIntervalMs: Int64
  /// `log.initial.task.delay.ms`
  package let initialTaskDelayMs: Int64
  /// `log.flush.policy`
  package let flushPolicy: FlushPolicy
  /// `log.flush.offset.checkpoint.interval.ms`
  package let checkpointIntervalMs: Int64
  /// `log.cleaner.enable`
  package let isCleanerEnabled: Bool
  /// `producer.id.expiration.ms`
  package let producerIdExpirationMs: Int64
  /// `producer.id.expiration.check.interval.ms`
  package let producerIdExpirationCheckIntervalMs: Int64

  // MARK: Groups and offsets

  /// `group.min.session.timeout.ms`
  package let groupMinSessionTimeoutMs: Int32
  /// `group.max.session.timeout.ms`
  package let groupMaxSessionTimeoutMs: Int32
  /// `group.initial.rebalance.delay.ms`
  package let groupInitialRebalanceDelayMs: Int32
  /// `group.max.size`
  package let groupMaxSize: Int32
  /// `group.consumer.…`
  package let consumerGroups: ConsumerGroupConfig
  /// `group.coordinator.rebalance.protocols` has the consumer protocol.
  package let servesConsumerProtocol: Bool
  /// `offsets.topic.num.partitions`
  package let offsetsTopicPartitionCount: Int32
  /// `offsets.topic.segment.bytes`
  package let offsetsTopicSegmentBytes: Int32
  /// `offset.metadata.max.bytes`
  package let offsetMetadataMaxBytes: Int32
  /// `offsets.retention.minutes`, in milliseconds
  package let offsetsRetentionMs: Int64
  /// `offsets.retention.check.interval.ms`
  package let offsetsRetentionCheckIntervalMs: Int64
  /// `offsets.commit.timeout.ms`
  package let offsetsCommitTimeoutMs: Int32

  // MARK: Share groups

  /// `group.share.…`, for groups that say nothing themselves
  package let shareGroups: ShareGroupConfig
  /// `group.share.max.share.sessions`
  package let maxShareSessions: Int
  /// `share.coordinator.…`
  package let shareState: ShareStateConfig
  /// `share.coordinator.state.topic.num.partitions`
  package let shareStateTopicPartitionCount: Int32
  /// `share.coordinator.state.topic.segment.bytes`
  package let shareStateTopicSegmentBytes: Int32
  /// `share.coordinator.state.topic.prune.interval.ms`
  package let shareStatePruneIntervalMs: Int64

  // MARK: Transactions

  /// `transaction.max.timeout.ms`
  package let transactionMaxTimeoutMs: Int32
  /// `transactional.id.expiration.ms`
  package let transactionalIdExpirationMs: Int64
  /// `transaction.abort.timed.out.transaction.cleanup.interval.ms`
  package let transactionAbortIntervalMs: Int64
  /// `transaction.remove.expired.transaction.cleanup.interval.ms`
  package let transactionExpiryIntervalMs: Int64
  /// `add.partitions.to.txn.retry.backoff.max.ms`
  package let transactionWaitMaxMs: Int64
  /// `transaction.state.log.num.partitions`
  package let transactionTopicPartitionCount: Int32
  /// `transaction.state.log.segment.bytes`
  package let transactionTopicSegmentBytes: Int32

  /// - Parameters:
  ///   - properties: what was set, the weakest first: of two entries with one name the later counts.
  ///   - hostName: the name of this machine, for listeners on every address that advertise nothing else.
  ///   - hasSockets: whether there are listeners at all; without, the broker serves its own process only.
  package init(
    properties: [ConfigEntry] = [], hostName: String = "localhost", hasSockets: Bool = true
  ) throws(ConfigurationError) {
    var reader = ConfigurationReader(properties)
    listeners = hasSockets ? reader.listeners(hostName: hostName) : []
    nodeId = reader.nodeId()
    maxConnectionsOverrides = reader.connectionOverrides()
    reader.checkTogether()

    started = reader.started
    rack = reader.text("broker.rack")
    clusterId = reader.text("cluster.id")
    logDirectories = reader.list(reader.isSet("log.dirs") ? "log.dirs" : "log.dir")

    func atLeastZero(_ number: Int) -> Int? { number < 0 ? nil : number }
    networkThreads = reader.integer("num.network.threads")
    maxRequestBytes = reader.integer("socket.request.max.bytes")
    sendBufferBytes = atLeastZero(reader.integer("socket.send.buffer.bytes"))
    receiveBufferBytes = atLeastZero(reader.integer("socket.receive.buffer.bytes"))
    listenBacklog = reader.integer("socket.listen.backlog.size")
    maxConnections = reader.integer("max.connections")
    maxConnectionsPerAddress = reader.integer("max.connections.per.ip")
    maxConnectionCreationRate = reader.integer("max.connection.creation.rate")
    let idle = reader.integer("connections.max.idle.ms")
    maxIdleMs = idle > 0 ? Int64(idle) : nil
    maxQueuedRequests = reader.integer("queued.max.requests")
    maxQueuedRequestBytes = atLeastZero(reader.integer("queued.max.request.bytes"))

    fetchMaxBytes = reader.integer("fetch.max.bytes")
    fetchSessionSlots = reader.integer("max.incremental.fetch.session.cache.slots")
    maxPartitionsPerDescription = reader.integer("max.request.partition.size.limit")

    defaultPartitionCount = reader.int32("num.partitions")
    isTopicCreationAutomatic = reader.boolean("auto.create.topics.enable")
    isTopicDeletionEnabled = reader.boolean("delete.topic.enable")
    metadataSegmentBytes = reader.int32("metadata.log.segment.bytes")
    metadataSegmentMs = Int64(reader.integer("metadata.log.segment.ms"))
    metadataSnapshotBytes = Int64(reader.integer("metadata.log.max.record.bytes.between.snapshots"))
    metadataSnapshotIntervalMs = Int64(reader.integer("metadata.log.max.snapshot.interval.ms"))
    recoveryThreadsPerDirectory = reader.integer("num.recovery.threads.per.data.dir")
    retentionCheckIntervalMs = Int64(reader.integer("log.retention.check.interval.ms"))
    initialTaskDelayMs = Int64(reader.integer("log.initial.task.delay.ms"))
    flushPolicy = reader.text("log.flush.policy") == "files" ? .fileByFile : .automatic
    checkpointIntervalMs = Int64(reader.integer("log.flush.offset.checkpoint.interval.ms"))
    isCleanerEnabled = reader.boolean("log.cleaner.enable")
    producerIdExpirationMs = Int64(reader.integer("producer.id.expiration.ms"))
    producerIdExpirationCheckIntervalMs = Int64(reader.integer("producer.id.expiration.check.interval.ms"))

    groupMinSessionTimeoutMs = reader.int32("group.min.session.timeout.ms")
    groupMaxSessionTimeoutMs = reader.int32("group.max.session.timeout.ms")
    groupInitialRebalanceDelayMs = reader.int32("group.initial.rebalance.delay.ms")
    groupMaxSize = reader.int32("group.max.size")
    consumerGroups = reader.consumerGroups()
    servesConsumerProtocol = reader.list("group.coordinator.rebalance.protocols").contains("consumer")
    offsetsTopicPartitionCount = reader.int32("offsets.topic.num.partitions")
    offsetsTopicSegmentBytes = reader.int32("offsets.topic.segment.bytes")
    offsetMetadataMaxBytes = reader.int32("offset.metadata.max.bytes")
    offsetsRetentionMs = Int64(reader.integer("offsets.retention.minutes")) * 60_000
    offsetsRetentionCheckIntervalMs = Int64(reader.integer("offsets.retention.check.interval.ms"))
    offsetsCommitTimeoutMs = reader.int32("offsets.commit.timeout.ms")

    shareGroups = ConfigResolver(started: started).shareGroup(overrides: [:])
    maxShareSessions = reader.integer("group.share.max.share.sessions")
    shareState = reader.shareState()
    shareStateTopicPartitionCount = reader.int32("share.coordinator.state.topic.num.partitions")
    shareStateTopicSegmentBytes = reader.int32("share.coordinator.state.topic.segment.bytes")
    shareStatePruneIntervalMs = Int64(reader.integer("share.coordinator.state.topic.prune.interval.ms"))

    transactionMaxTimeoutMs = reader.int32("transaction.max.timeout.ms")
    transactionalIdExpirationMs = Int64(reader.integer("transactional.id.expiration.ms"))
    transactionAbortIntervalMs = Int64(
      reader.integer("transaction.abort.timed.out.transaction.cleanup.interval.ms"))
    transactionExpiryIntervalMs = Int64(
      reader.integer("transaction.remove.expired.transaction.cleanup.interval.ms"))
    transactionWaitMaxMs = Int64(reader.integer("add.partitions.to.txn.retry.backoff.max.ms"))
    transactionTopicPartitionCount = reader.int32("transaction.state.log.num.partitions")
    transactionTopicSegmentBytes = reader.int32("transaction.state.log.segment.bytes")

    guard reader.problems.isEmpty else { throw ConfigurationError(problems: reader.problems) }
  }

  /// - Parameters:
  ///   - settings: values by their names.
  ///   - origin: where somebody wrote them, for what is wrong with them.
  package init(settings: [String: String], origin: String, hasSockets: Bool) throws(ConfigurationError) {
    try self.init(
      properties: settings.sorted { $0.key < $1.key }.map {
        ConfigEntry(name: $0.key, value: $0.value, origin: origin)
      },
      hasSockets: hasSockets)
  }

  /// What the catalog needs to know of this.
  package var catalogSettings: CatalogSettings {
    CatalogSettings(
      nodeId: nodeId, started: started, defaultPartitionCount: defaultPartitionCount,
      isTopicDeletionEnabled: isTopicDeletionEnabled)
  }
}

extension ConfigurationReader {
  fileprivate mutating func nodeId() -> Int32 {
    let older = int32("broker.id")
    guard isSet("broker.id"), older >= 0 else { return int32("node.id") }
    if isSet("node.id"), older != int32("node.id") {
      reject(
        "broker.id", "broker.id (\(older)) and node.id (\(int32("node.id"))) are the same setting: remove broker.id.")
    }
    return older
  }

  fileprivate mutating func consumerGroups() -> ConsumerGroupConfig {
    var config = ConsumerGroupConfig()
    config.timeouts = .init(
      sessionTimeoutMs: int32("group.consumer.session.timeout.ms"),
      heartbeatIntervalMs: int32("group.consumer.heartbeat.interval.ms"))
    config.maxSize = int32("group.consumer.max.size")
    config.assignors = list("group.consumer.assignors").compactMap { Assignor(rawValue: $0) }
    config.migrationPolicy =
      MigrationPolicy(rawValue: (text("group.consumer.migration.policy") ?? "").lowercased()) ?? .bidirectional
    config.patternRefreshIntervalMs = Int64(int32("group.consumer.regex.refresh.interval.ms"))
    return config
  }

  fileprivate func shareState() -> ShareStateConfig {
    var config = ShareStateConfig()
    config.updatesPerSnapshot = int32("share.coordinator.snapshot.update.records.per.snapshot")
    config.coldSnapshotIntervalMs = Int64(integer("share.coordinator.cold.partition.snapshot.interval.ms"))
    return config
  }

  /// `least` ≤ `value` ≤ `most`
  fileprivate mutating func checkBounds(_ value: String, least: String, most: String) {
    if integer(most) < integer(least) { reject(most, "\(most) has to be at least \(least).") }
    if integer(value) < integer(least) { reject(value, "\(value) has to be at least \(least).") }
    if integer(value) > integer(most) { reject(value, "\(value) has to be at most \(most).") }
  }

  fileprivate mutating func connectionOverrides() -> [String: Int] {
    let key = "max.connections.per.ip.overrides"
    var overrides: [String: Int] = [:]
    for pair in (text(key) ?? "").split(separator: ",") {
      guard let colon = pair.lastIndex(of: ":"), let number = Int(pair[pair.index(after: colon)...]), number >= 0 else {
        reject(key, "'\(pair)' is not host:number.")
        continue
      }
      overrides[String(pair[..<colon]).trimmingConfigWhitespace()] = number
    }
    return overrides
  }

  /// What values must be relative to each other.
  fileprivate mutating func checkTogether() {
    if !list("process.roles").contains("broker") {
      reject(
        "process.roles",
        "process.roles has to contain broker: this program is one. Remove the key, or use broker,controller.")
    }
    let queued = integer("queued.max.request.bytes")
    let largest = integer("socket.request.max.bytes")
    if queued >= 0 && queued < largest {
      reject(
        "queued.max.request.bytes",
        "queued.max.request.bytes (\(queued)) has to be at least socket.request.max.bytes (\(largest)), or -1."
      )
    }
    if integer("group.min.session.timeout.ms") > integer("group.max.session.timeout.ms") {
      reject(
        "group.min.session.timeout.ms", "group.min.session.timeout.ms has to be at most group.max.session.timeout.ms.")
    }
    for kind in ["group.consumer", "group.share"] {
      for key in ["session.timeout.ms", "heartbeat.interval.ms"] {
        checkBounds("\(kind).\(key)", least: "\(kind).min.\(key)", most: "\(kind).max.\(key)")
      }
      if integer("\(kind).heartbeat.interval.ms") >= integer("\(kind).session.timeout.ms") {
        reject(
          "\(kind).heartbeat.interval.ms",
          "\(kind).heartbeat.interval.ms has to be less than \(kind).session.timeout.ms.")
      }
    }
    checkBounds(
      "group.share.record.lock.duration.ms", least: "group.share.min.record.lock.duration.ms",
      most: "group.share.max.record.lock.duration.ms")
    if integer("group.share.max.share.sessions") < integer("group.share.max.size") {
      reject(
        "group.share.max.share.sessions",
        "group.share.max.share.sessions has to be at least group.share.max.size: each member has a session.")
    }
    if let conflict = TopicConfiguration(defaults: ConfigResolver(started: started)).conflict {
      reject("log.cleaner.min.compaction.lag.ms", "log.cleaner: \(conflict.message)")
    }
  }
}
