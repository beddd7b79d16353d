// The broker without a transport: frames in, responses out. It owns the data directory, the topics, the coordinators
// and the timers; the server (or a client in the same process) brings the connections.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import NIOCore

package final class Broker: Sendable {
  package let configuration: BrokerConfiguration
  package let logger: Logger
  package let clock: any BrokerClock
  package let timers: Timers
  package let store: LogStore
  package let topics = TopicTable()
  package let catalog: CatalogRuntime
  package let groups: GroupRuntime
  package let shareState: ShareStateRuntime
  package let transactions: TransactionRuntime
  let transactionalWrites = TransactionalWrites()
  package let advertised = AdvertisedListeners()
  package let housekeeping: Housekeeping
  package let fetchSessions: FetchSessionCache
  package let sharePartitions: SharePartitions
  package let deadLetters: DeadLetterWriter
  private let dispatcher = Dispatcher(routes: Dispatcher.all)

  /// Opens the data directories. Nothing is served before `start`.
  package init(
    configuration: BrokerConfiguration, store: LogStore, logger: Logger, clock: any BrokerClock = SystemClock()
  ) {
    self.configuration = configuration
    self.store = store
    self.logger = logger
    self.clock = clock
    timers = Timers(clock: clock)
    catalog = CatalogRuntime(
      configuration: configuration, store: store, topics: topics, clock: clock, logger: logger)
    shareState = ShareStateRuntime(
      configuration: configuration, catalog: catalog, topics: topics, timers: timers, clock: clock, logger: logger)
    groups = GroupRuntime(
      config: GroupConfig(configuration), expiryIntervalMs: configuration.offsetsRetentionCheckIntervalMs,
      topics: topics, shareState: shareState, timers: timers, clock: clock, logger: logger)
    housekeeping = Housekeeping(
      store: store, catalog: catalog, configuration: configuration, clock: clock, logger: logger)
    transactions = TransactionRuntime(
      configuration: configuration, catalog: catalog, groups: groups, shareState: shareState, topics: topics,
      timers: timers, clock: clock, logger: logger)
    fetchSessions = FetchSessionCache(capacity: configuration.fetchSessionSlots)
    deadLetters = DeadLetterWriter(
      catalog: catalog, topics: topics, groups: groups, shareState: shareState, transactions: transactions,
      timers: timers, clock: clock, logger: logger)
    sharePartitions = SharePartitions(
      state: shareState, config: { [groups] in groups.shareConfig(ofGroup: $0) },
      sessionLimit: configuration.maxShareSessions, deadLetters: deadLetters, timers: timers, clock: clock,
      logger: logger)
    groups.follow(catalog)
    shareState.follow(catalog)
    transactions.follow(catalog)
    sharePartitions.follow(catalog, groups)
  }

  /// Replays the metadata and opens the topics; returns when they can be served.
  package func start() throws(CatalogError) {
    timers.start()
    try catalog.start()
    if let topic = topics.topic(named: ShareStateRuntime.topicName) { shareState.adopt(topic, isNew: false) }
    shareState.keepHouse()
    groups.configureGroups(by: catalog)
    if let topic = topics.topic(named: GroupRuntime.topicName) { groups.adopt(topic, isNew: false) }
    groups.expireOffsetsRegularly()
    housekeeping.start()
    transactions.begin()
    if let topic = topics.topic(named: TransactionRuntime.topicName) { transactions.adopt(topic, isNew: false) }
    deadLetters.abortUnfinished()
    sharePartitions.beginLetters()
  }

  /// Ends the timers and closes the logs: everything that was acknowledged is on disk, and the next start need not
  /// look for damage. Requests must have ended before.
  package func stop() {
    housekeeping.stop()
    sharePartitions.stop()
    deadLetters.stop()
    transactions.stop()
    groups.stop()
    shareState.stop()
    timers.stop()
    catalog.stop()
    store.close(nowMs: clock.nowMs())
  }

  /// Takes one request frame (without its size prefix). Never throws and never blocks; `slot` is filled exactly once.
  package func handle(_ frame: ByteBuffer, from connection: ConnectionInfo, _ slot: any ResponseSlot) {
    dispatcher.dispatch(frame, from: connection, to: self, slot)
  }

  /// What ApiVersions announces.
  package var announcedVersions: [ApiVersionsResponse.ApiVersion] { dispatcher.announced }
}
