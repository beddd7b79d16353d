// The share coordinator of this broker (KIP-932): a shard for each partition of __share_group_state, and the way from a
// share-partition to its shard.
//
// The topic is made when the first share-partition is initialized, or when the first client looks for its coordinator.
// It is not compacted: what newer snapshots have replaced is removed from its beginning, and what is not written any
// more is written anew now and then, so that it does not keep all that came later.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

package final class ShareStateRuntime: Sendable {
  package static let topicName = TopicName.shareGroupState

  let configuration: BrokerConfiguration
  let catalog: CatalogRuntime
  let topics: TopicTable
  let timers: Timers
  let time: GroupTime
  let logger: Logger
  /// Reads journals, and takes from their beginnings.
  private let worker = OnDemandWorker(name: "share-state")
  private let coordinated = Mutex(Coordinated())
  private let replacementObserver = Mutex<(@Sendable (ShareStateKey) -> Void)?>(nil)
  private let letterObserver = Mutex<(@Sendable (ShareStateKey) -> Void)?>(nil)

  private struct Coordinated {
    var topicId: Uuid?
    /// By partition; empty until the topic exists. The count never changes afterwards: it decides where a state lives.
    var shards: [ShareStateRuntimeShard] = []
  }

  init(
    configuration: BrokerConfiguration, catalog: CatalogRuntime, topics: TopicTable, timers: Timers,
    clock: any BrokerClock, logger: Logger
  ) {
    self.configuration = configuration
    self.catalog = catalog
    self.topics = topics
    self.timers = timers
    self.logger = logger
    time = GroupTime(clock)
  }

  /// Coordinates the states in `topic`. Of one that existed when the broker started the journal is read in the
  /// background, and requests are answered COORDINATOR_LOAD_IN_PROGRESS meanwhile; one that was made since is empty.
  package func adopt(_ topic: Topic, isNew: Bool) {
    let made = coordinated.withLock { coordinated -> [ShareStateRuntimeShard] in
      guard coordinated.topicId == nil else { return [] }
      coordinated.topicId = topic.id
      coordinated.shards = topic.partitions.map {
        ShareStateRuntimeShard(
          journal: Journal(log: $0.log, leaderEpoch: $0.leaderEpoch), config: configuration.shareState, owner: self)
      }
      if isNew { for shard in coordinated.shards { shard.beginEmpty() } }
      return coordinated.shards
    }
    guard !isNew, !made.isEmpty else { return }
    inBackground { for shard in made { shard.load() } }
  }

  /// Lets go of the states of topics that the catalog deletes, once it is certain that they are deleted.
  func follow(_ catalog: CatalogRuntime) {
    catalog.onTopicRemoved { [weak self] topic in
      self?.orphan(topic.id)
      self?.whenDeletionIsCertain { runtime in
        for shard in runtime.shards { shard.delete(topics: [topic.id]) }
      }
    }
  }

  /// Calls `body` whenever a state begins anew or is deleted: who has read it before knows nothing any more. Set it once.
  func onReplaced(_ body: @escaping @Sendable (ShareStateKey) -> Void) { replacementObserver.withLock { $0 = body } }

  func replaced(_ key: ShareStateKey) { replacementObserver.withLock { $0 }?(key) }

  /// Calls `body` with every share-partition in whose state, read from the journal, records wait for their dead letters:
  /// now with those that have been read, and whenever a journal has been read from now on. Set it once.
  func onLettersFound(_ body: @escaping @Sendable (ShareStateKey) -> Void) {
    letterObserver.withLock { $0 = body }
    inBackground { [self] in for shard in shards { shard.findLetters() } }
  }

  func foundLetters(_ key: ShareStateKey) { letterObserver.withLock { $0 }?(key) }

  /// If it is the topic that the states live in, they are gone with it.
  private func orphan(_ topicId: Uuid) {
    let orphaned = coordinated.withLock { coordinated -> [ShareStateRuntimeShard] in
      guard coordinated.topicId == topicId else { return [] }
      defer { coordinated = Coordinated() }
      return coordinated.shards
    }
    for shard in orphaned { shard.stop() }
  }

  /// Calls `body` on a thread that may take its time, when all that the catalog has decided so far is durable. Were the
  /// broker to crash before, it would come back with a topic and without the states of its partitions.
  func whenDeletionIsCertain(_ body: @escaping @Sendable (ShareStateRuntime) -> Void) {
    catalog.answer { _ in
    } done: { [weak self] result in
      guard case .success = result, let self else { return }
      inBackground { [self] in body(self) }
    }
  }

  func inBackground(_ job: @escaping @Sendable () -> Void) { worker.submit(job) }

  /// Ends coordination; everybody who waits is told to look for a coordinator again.
  package func stop() {
    for shard in shards { shard.stop() }
  }

  var shards: [ShareStateRuntimeShard] { coordinated.withLock { $0.shards } }

  func shard(for key: ShareStateKey) -> ShareStateRuntimeShard? {
    coordinated.withLock { coordinated in
      guard !coordinated.shards.isEmpty else { return nil }
      return coordinated.shards[Int(Self.partition(of: key, count: coordinated.shards.count))]
    }
  }

  static func partition(of key: ShareStateKey, count: Int) -> Int32 {
    GroupPartitioning.partition(of: key.coordinatorKey, count: Int32(count))
  }

  /// Whether clients that ask about the share-partition may be sent here.
  package func canCoordinate(_ key: ShareStateKey) -> Bool {
    shard(for: key)?.state.withLock { $0.phase.isReachable } ?? false
  }

  // MARK: Housekeeping

  /// Every `share.coordinator.state.topic.prune.interval.ms` and
  /// `share.coordinator.cold.partition.snapshot.interval.ms`.
  func keepHouse() {
    regularly(every: configuration.shareState.coldSnapshotIntervalMs) { $0.snapshotCold() }
    regularly(every: configuration.shareStatePruneIntervalMs) { $0.prune() }
  }

  private func regularly(every intervalMs: Int64, _ job: @escaping @Sendable (ShareStateRuntimeShard) -> Void) {
    timers.schedule(after: .milliseconds(intervalMs)) { [weak self] in
      self?.inBackground { [weak self] in
        for shard in self?.shards ?? [] { job(shard) }
        self?.regularly(every: intervalMs, job)
      }
    }
  }
}
