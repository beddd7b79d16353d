// The group coordinator of this broker: a shard for each partition of __consumer_offsets, and the way from a group id
// to its shard.
//
// The topic is made when the first client looks for a coordinator. Until then there are no groups, and whoever asks
// about one without looking first is sent to look.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

package final class GroupRuntime: Sendable {
  package static let topicName = TopicName.consumerOffsets

  let topics: TopicTable
  let shareState: ShareStateRuntime
  let fencedObserver = Mutex<(@Sendable (ShareSessionKey) -> Void)?>(nil)
  /// `offsets.retention.check.interval.ms`
  let expiryIntervalMs: Int64
  let timers: Timers
  let time: GroupTime
  let logger: Logger
  /// When the runtime was made, and what is known since of the wall clock; see `+Expiry`.
  let start: Moment
  let trust = Mutex<WallClockTrust?>(nil)
  let coordinated: Mutex<Coordinated>
  /// Matches regular expressions with topics.
  private let patternWorker = OnDemandWorker(name: "group-patterns")

  struct Coordinated {
    var config: GroupConfig
    var topicId: Uuid?
    /// By partition; empty until the topic exists. The count never changes afterwards: it decides where a group lives.
    var shards: [GroupRuntimeShard] = []
  }

  package init(
    config: GroupConfig, expiryIntervalMs: Int64, topics: TopicTable, shareState: ShareStateRuntime, timers: Timers,
    clock: any BrokerClock, logger: Logger
  ) {
    self.topics = topics
    self.shareState = shareState
    coordinated = Mutex(Coordinated(config: config))
    self.expiryIntervalMs = expiryIntervalMs
    self.timers = timers
    self.logger = logger
    time = GroupTime(clock)
    start = time.now()
  }

  /// Coordinates the groups in `topic`. Of one that existed when the broker started the journal is read in the
  /// background, and groups answer COORDINATOR_LOAD_IN_PROGRESS meanwhile; one that was made since is empty.
  package func adopt(_ topic: Topic, isNew: Bool) {
    let made = coordinated.withLock { coordinated -> [GroupRuntimeShard] in
      guard coordinated.topicId == nil else { return [] }
      coordinated.topicId = topic.id
      coordinated.shards = topic.partitions.map {
        GroupRuntimeShard(
          journal: Journal(log: $0.log, leaderEpoch: $0.leaderEpoch), config: coordinated.config, topics: topics,
          patternWorker: patternWorker, timers: timers, time: time, logger: logger, owner: self)
      }
      if isNew { for shard in coordinated.shards { shard.beginEmpty() } }
      return coordinated.shards
    }
    guard !isNew, !made.isEmpty else { return }
    BackgroundThread.start(name: "group-loading") {
      for shard in made { shard.load() }
    }
  }

  /// Lets go of the offsets of topics that the catalog deletes, once it is certain that they are deleted: were the
  /// broker to crash before, it would come back with the topic and without its offsets.
  ///
  /// The configs of groups are taken over as they change.
  func follow(_ catalog: CatalogRuntime) {
    catalog.onGroupConfigured { [weak self, weak catalog] groupId in
      if let catalog { self?.configure(groupId, by: catalog) }
    }
    catalog.onTopicRemoved { [weak self, weak catalog] topic in
      catalog?.answer { _ in
      } done: { [weak self] result in
        if case .success = result { self?.topicRemoved(named: topic.name, id: topic.id) }
      }
    }
  }

  /// A topic was deleted: its offsets go. If it was the one that the groups live in, they are gone with it.
  package func topicRemoved(named name: String, id: Uuid) {
    let orphaned = coordinated.withLock { coordinated -> [GroupRuntimeShard]? in
      guard coordinated.topicId == id else { return nil }
      defer { coordinated = Coordinated(config: coordinated.config) }
      return coordinated.shards
    }
    if let orphaned {
      for shard in orphaned { shard.stop() }
    } else {
      forgetTopic(named: name, id: id)
    }
  }

  /// Ends coordination; everybody who waits is told to look for a coordinator again.
  package func stop() {
    for shard in shards { shard.stop() }
  }

  var shards: [GroupRuntimeShard] { coordinated.withLock { $0.shards } }

  func shard(for groupId: String) -> GroupRuntimeShard? {
    coordinated.withLock { coordinated in
      guard !coordinated.shards.isEmpty else { return nil }
      let partition = GroupPartitioning.partition(of: groupId, count: Int32(coordinated.shards.count))
      return coordinated.shards[Int(partition)]
    }
  }

  /// The configs of a share group, its own and the broker's.
  package func shareConfig(ofGroup groupId: String) -> ShareGroupConfig {
    coordinated.withLock { $0.config.share(of: groupId) }
  }

  /// Whether clients of the group may be sent here.
  package func canCoordinate(_ groupId: String) -> Bool {
    guard let shard = shard(for: groupId) else { return false }
    return shard.state.withLock { $0.phase.isReachable }
  }
}

extension GroupConfig {
  package init(_ configuration: BrokerConfiguration) {
    self.init()
    minSessionTimeoutMs = configuration.groupMinSessionTimeoutMs
    maxSessionTimeoutMs = configuration.groupMaxSessionTimeoutMs
    initialRebalanceDelayMs = configuration.groupInitialRebalanceDelayMs
    maxSize = configuration.groupMaxSize
    offsetMetadataMaxBytes = configuration.offsetMetadataMaxBytes
    offsetsRetentionMs = configuration.offsetsRetentionMs
    consumer = configuration.consumerGroups
    share = configuration.shareGroups
  }
}
