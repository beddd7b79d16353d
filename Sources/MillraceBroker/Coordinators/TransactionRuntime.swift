// The transaction coordinator of this broker: a shard for each partition of __transaction_state, and the way from a
// transactional id to its shard.
//
// The topic is made when the first client looks for a coordinator. Until then there are no transactions.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

package final class TransactionRuntime: Sendable {
  package static let topicName = TopicName.transactionState

  private let configuration: BrokerConfiguration
  let catalog: CatalogRuntime
  /// How long a write waits for the transaction before to be complete.
  var patience: Duration { .milliseconds(configuration.transactionWaitMaxMs) }
  let markers: TransactionMarkers
  let timers: Timers
  let time: GroupTime
  let logger: Logger
  private let start: Moment
  private let trust = Mutex<WallClockTrust?>(nil)
  private let coordinated = Mutex(Coordinated())

  private struct Coordinated {
    var topicId: Uuid?
    /// By partition; empty until the topic exists. The count never changes afterwards: it decides where an id lives.
    var shards: [TransactionRuntimeShard] = []
    var isStarted = false
  }

  init(
    configuration: BrokerConfiguration, catalog: CatalogRuntime, groups: GroupRuntime, shareState: ShareStateRuntime,
    topics: TopicTable, timers: Timers, clock: any BrokerClock, logger: Logger
  ) {
    self.configuration = configuration
    self.catalog = catalog
    self.timers = timers
    self.logger = logger
    markers = TransactionMarkers(
      topics: topics, catalog: catalog, groups: groups, shareState: shareState, clock: clock, timers: timers,
      logger: logger)
    time = GroupTime(clock)
    start = time.now()
  }

  /// Starts the thread that writes outcomes, and the looks at the clock. Call once.
  func begin() {
    coordinated.withLock { $0.isStarted = true }
    markers.worker.start(name: "txn-markers")
    lookAtTimeoutsRegularly()
    expireIdsRegularly()
  }

  /// Coordinates the ids in `topic`. Of one that existed when the broker started the journal is read in the background,
  /// and producers are answered COORDINATOR_LOAD_IN_PROGRESS meanwhile; one that was made since is empty.
  package func adopt(_ topic: Topic, isNew: Bool) {
    let made = coordinated.withLock { coordinated -> [TransactionRuntimeShard] in
      guard coordinated.topicId == nil else { return [] }
      coordinated.topicId = topic.id
      coordinated.shards = topic.partitions.map {
        TransactionRuntimeShard(
          journal: Journal(log: $0.log, leaderEpoch: $0.leaderEpoch), config: TransactionConfig(configuration),
          markers: markers, level: { [catalog] in catalog.transactionVersion }, timers: timers, time: time,
          logger: logger)
      }
      if isNew { for shard in coordinated.shards { shard.beginEmpty() } }
      return coordinated.shards
    }
    guard !isNew, !made.isEmpty else { return }
    BackgroundThread.start(name: "txn-loading") {
      for shard in made { shard.load() }
    }
  }

  /// Lets go of everything if the topic that it lives in is deleted.
  func follow(_ catalog: CatalogRuntime) {
    catalog.onTopicRemoved { [weak self] topic in
      let orphaned = self?.coordinated.withLock { coordinated -> [TransactionRuntimeShard] in
        guard coordinated.topicId == topic.id else { return [] }
        defer {
          coordinated.topicId = nil
          coordinated.shards = []
        }
        return coordinated.shards
      }
      for shard in orphaned ?? [] { shard.stop() }
    }
  }

  /// Ends coordination. Outcomes that were not written everywhere are written after the next start.
  package func stop() {
    for shard in shards { shard.stop() }
    let wasStarted = coordinated.withLock { coordinated in
      defer { coordinated.isStarted = false }
      return coordinated.isStarted
    }
    if wasStarted { markers.worker.stop() }
  }

  var shards: [TransactionRuntimeShard] { coordinated.withLock { $0.shards } }

  func shard(for transactionalId: String) -> TransactionRuntimeShard? {
    coordinated.withLock { coordinated in
      guard !coordinated.shards.isEmpty else { return nil }
      let partition = GroupPartitioning.partition(of: transactionalId, count: Int32(coordinated.shards.count))
      return coordinated.shards[Int(partition)]
    }
  }

  /// Whether producers with the id may be sent here.
  package func canCoordinate(_ transactionalId: String) -> Bool {
    guard let shard = shard(for: transactionalId) else { return false }
    return shard.state.withLock { $0.phase.isReachable }
  }

  // MARK: Time

  /// Every `transaction.abort.timed.out.transaction.cleanup.interval.ms`.
  private func lookAtTimeoutsRegularly() {
    timers.schedule(after: .milliseconds(configuration.transactionAbortIntervalMs)) { [weak self] in
      // Not on the timers' thread: it writes.
      self?.markers.worker.submit { [weak self] in
        self?.abortTimedOut()
        _ = self?.isWallClockTrusted()
      }
      self?.lookAtTimeoutsRegularly()
    }
  }

  func abortTimedOut() {
    for shard in shards {
      shard.decide { shard, level, now in
        ((), shard.abortTimedOut(level: level, now: now))
      } then: { _ in
      }
    }
  }

  /// Every `transaction.remove.expired.transaction.cleanup.interval.ms`.
  private func expireIdsRegularly() {
    timers.schedule(after: .milliseconds(configuration.transactionExpiryIntervalMs)) { [weak self] in
      self?.markers.worker.submit { [weak self] in
        guard let self, isWallClockTrusted() else { return }
        expireIds()
      }
      self?.expireIdsRegularly()
    }
  }

  func expireIds() {
    for shard in shards {
      shard.decide { shard, _, now in
        ((), shard.expireIds(now: now))
      } then: { _ in
      }
    }
  }

  private func isWallClockTrusted() -> Bool {
    let newestMs = shards.compactMap { $0.state.withLock { $0.newestLoadedMs } }.max()
    return trust.withLock { trust in
      var current = trust ?? WallClockTrust(start: start, lastWallMs: newestMs)
      defer { trust = current }
      return current.isTrusted(at: time.now())
    }
  }
}

extension TransactionConfig {
  init(_ configuration: BrokerConfiguration) {
    self.init()
    maxTimeoutMs = configuration.transactionMaxTimeoutMs
    idExpirationMs = configuration.transactionalIdExpirationMs
  }
}
