// Performs what the catalog decides.
//
// A decision is made, appended to the journal (`__cluster_metadata-0`) and applied under one lock, so facts are in
// the journal in the order in which they were decided. It is answered when the journal is durable that far and what
// it asks of the disk is done. The disk work (directories of new partitions, of deleted topics, configs of open logs)
// is done by one worker thread in the same order; a deletion waits until its fact is durable, so that no crash can
// leave a topic that is in the journal without its data.
//
// The topics that handlers see (`TopicTable`) are those whose partitions have their directories. They are put there
// under the lock too, always from the catalog's latest state.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

package final class CatalogRuntime: Sendable {
  struct State {
    var catalog: Catalog
    var journal: Journal?
    /// Behind the last fact.
    var journalEnd: Int64 = 0
    /// The partitions of each topic that have a directory, in order.
    var partitions: [Uuid: [Partition]] = [:]
    /// Who waits for a topic to have all of its partitions.
    var waiters: [Uuid: [@Sendable (Result<Topic, CatalogError>) -> Void]] = [:]
    /// Topics for which the worker has a job that did not begin yet.
    var isGrowthQueued: Set<Uuid> = []
    /// Producer ids that were journaled and not given out.
    var producerIds: Range<Int64> = 0..<0
    var onTopicRemoved: [@Sendable (CatalogTopic) -> Void] = []
    var onGroupConfigured: [@Sendable (String) -> Void] = []
    var snapshots = Snapshots()
  }

  /// The leader epoch of the journal, which never had another leader.
  static let journalLeaderEpoch: Int32 = 1

  let configuration: BrokerConfiguration
  let store: LogStore
  let topics: TopicTable
  let clock: any BrokerClock
  let logger: Logger
  let worker = SerialWorker()
  let state: Mutex<State>

  package init(
    configuration: BrokerConfiguration, store: LogStore, topics: TopicTable, clock: any BrokerClock, logger: Logger
  ) {
    self.configuration = configuration
    self.store = store
    self.topics = topics
    self.clock = clock
    self.logger = logger
    state = Mutex(State(catalog: Catalog(settings: configuration.catalogSettings)))
  }

  /// Ends the worker, after what it has to do.
  package func stop() { worker.stop() }

  /// Calls `body` after a topic was deleted, on any thread. Register before `start`.
  package func onTopicRemoved(_ body: @escaping @Sendable (CatalogTopic) -> Void) {
    state.withLock { $0.onTopicRemoved.append(body) }
  }

  /// Calls `body` with the name of a group whose configs have changed, on any thread. Register before `start`.
  func onGroupConfigured(_ body: @escaping @Sendable (String) -> Void) {
    state.withLock { $0.onGroupConfigured.append(body) }
  }

  /// Groups with configs of their own.
  var configuredGroups: [String] { state.withLock { $0.catalog.configuredGroups } }

  /// The configs of such a group in force; nil if it has none of its own.
  func configs(ofGroup groupId: String) -> (consumer: ConsumerGroupConfig.Timeouts, share: ShareGroupConfig)? {
    state.withLock { state in
      state.catalog.configs[ConfigResource(.group, groupId)].map {
        let resolver = state.catalog.resolver
        return (resolver.consumerTimeouts(overrides: $0), resolver.shareGroup(overrides: $0))
      }
    }
  }

  // MARK: Deciding

  /// What came of a decision.
  package struct Outcome<Answer: Sendable>: Sendable {
    package var answer: Answer
    /// Topics that are in the journal, but whose partitions could not be made.
    package var failures: [Uuid: CatalogError]
  }

  /// Decides, journals and applies now; calls `done` once, on any thread, when it all is durable and done.
  package func perform<Answer: Sendable>(
    _ decide: (Catalog, inout SystemRandomNumberGenerator) -> CatalogDecision<Answer>,
    done: @escaping @Sendable (Result<Outcome<Answer>, CatalogError>) -> Void
  ) {
    let outstanding = Outstanding()
    let performed: Performed<Answer>
    do throws(CatalogError) {
      performed = try state.withLock { (state) throws(CatalogError) in
        var random = SystemRandomNumberGenerator()
        let decision = decide(state.catalog, &random)
        let effects = try append(decision.records, to: &state, outstanding)
        return Performed(
          answer: decision.answer, journal: try journal(of: state), end: state.journalEnd, effects: effects)
      }
    } catch {
      return done(.failure(error))
    }
    finish(performed.effects)
    outstanding.add()
    performed.journal.log.whenDurable(through: performed.end) { result in
      if case .failure(let error) = result { outstanding.fail(CatalogError(error)) }
      outstanding.complete()
    }
    outstanding.whenDone { failure, failures in
      done(failure.map { .failure($0) } ?? .success(Outcome(answer: performed.answer, failures: failures)))
    }
  }

  /// An answer from the catalog as it is, given once what it was computed from is durable.
  package func answer<Answer: Sendable>(
    _ compute: (Catalog) -> Answer, done: @escaping @Sendable (Result<Answer, CatalogError>) -> Void
  ) {
    perform { catalog, _ in
      CatalogDecision(answer: compute(catalog))
    } done: { result in
      done(result.map(\.answer))
    }
  }

  /// What ApiVersions says of features.
  package var features: FeatureSummary { state.withLock { $0.catalog.features } }

  /// The level of the feature transaction.version.
  package var transactionVersion: Int16 { state.withLock { $0.catalog.transactionVersion } }

  /// The level of the feature share.version.
  var shareVersion: Int16 { state.withLock { $0.catalog.shareVersion } }

  /// The level of the feature group.version.
  var groupVersion: Int16 { state.withLock { $0.catalog.groupVersion } }

  /// `transaction.partition.verification.enable`
  package var verifiesTransactionPartitions: Bool { state.withLock { $0.catalog.verifiesTransactionPartitions } }

  /// What the names of dead-letter topics begin with, and whether one that is missing is made.
  var deadLetterRules: (prefix: String, createsTopics: Bool) {
    state.withLock { state in
      let resolver = state.catalog.resolver
      return (resolver.deadLetterTopicPrefix, resolver.createsMissingDeadLetterTopics)
    }
  }

  /// How far the journal is, for DescribeQuorum.
  package var journalOffsets: LogOffsets? { state.withLock { $0.journal }?.log.offsets }

  /// Whether the catalog has the topic, although its partitions may not be there yet.
  package func hasTopic(named name: String) -> Bool { state.withLock { $0.catalog.topic(named: name) != nil } }

  package func hasTopic(id: Uuid) -> Bool { state.withLock { $0.catalog.topic(id: id) != nil } }

  private struct Performed<Answer: Sendable> {
    let answer: Answer
    let journal: Journal
    let end: Int64
    let effects: Effects
  }

  func journal(of state: borrowing State) throws(CatalogError) -> Journal {
    guard let journal = state.journal else {
      throw CatalogError(.brokerNotAvailable, "The broker is not started.")
    }
    return journal
  }

  // MARK: Journaling and applying

  /// What is left to do without the lock.
  struct Effects {
    var removed: [(topic: CatalogTopic, partitions: [Partition])] = []
    var observers: [@Sendable (CatalogTopic) -> Void] = []
    var configuredGroups: [String] = []
    var groupObservers: [@Sendable (String) -> Void] = []
  }

  /// Appends the facts as one batch and applies them. Work for the disk is handed to the worker, and to `outstanding`.
  func append(
    _ records: [MetadataRecord], to state: inout State, _ outstanding: Outstanding
  ) throws(CatalogError) -> Effects {
    guard !records.isEmpty else { return Effects() }
    let journal = try journal(of: state)
    let base = state.journalEnd
    do throws(LogError) {
      let facts = try records.map(Self.fact)
      state.journalEnd = try journal.append(facts, nowMs: clock.nowMs())
      state.snapshots.bytesSince += facts.reduce(0) { $0 + $1.byteCount }
    } catch {
      logger.error("the metadata journal takes no facts", metadata: ["error": "\(error)"])
      throw CatalogError(error)
    }
    var grown: Set<Uuid> = []
    var configured: Set<Uuid> = []
    var effects = Effects()
    for (index, record) in records.enumerated() {
      switch state.catalog.apply(record, at: base + Int64(index)) {
      case .topicAdded(let id), .partitions(let id): grown.insert(id)
      case .topicConfigs(let id): configured.insert(id)
      case .brokerConfigs: configured.formUnion(state.catalog.topics.keys)
      case .topicRemoved(let topic):
        grown.remove(topic.id)
        effects.removed.append((topic, state.partitions.removeValue(forKey: topic.id) ?? []))
        state.snapshots.openDeletions += 1
        submitDeletion(of: topic, through: state.journalEnd)
      case .leaderEpochs:
        for (id, partitions) in state.partitions {
          guard let topic = state.catalog.topic(id: id) else { continue }
          for partition in partitions { partition.leaderEpoch = state.catalog.leaderEpoch(topic, Int(partition.index)) }
        }
      case .groupConfigs(let name): effects.configuredGroups.append(name)
      case .none, .features: break
      }
    }
    for id in grown {
      outstanding.add()
      let body: @Sendable (Result<Topic, CatalogError>) -> Void = { result in
        if case .failure(let error) = result { outstanding.fail(error, topic: id) }
        outstanding.complete()
      }
      state.waiters[id, default: []].append(body)
      submitGrowth(of: id, &state)
    }
    configured.subtract(grown)
    if !configured.isEmpty { configure(configured, &state, outstanding) }
    effects.observers = effects.removed.isEmpty ? [] : state.onTopicRemoved
    effects.groupObservers = effects.configuredGroups.isEmpty ? [] : state.onGroupConfigured
    submitSnapshotIfDue(&state)
    return effects
  }

  static func fact(_ record: MetadataRecord) throws(LogError) -> Journal.Fact {
    do {
      return Journal.Fact(value: try record.encoded())
    } catch {
      // A name or value too long for its field; whatever comes from a request was checked before.
      throw .invalidBatch
    }
  }

  /// Lets everybody know of topics that went away.
  func finish(_ effects: Effects) {
    for (topic, partitions) in effects.removed {
      topics.remove(id: topic.id)
      for partition in partitions { partition.wakeWaiters() }
      for observer in effects.observers { observer(topic) }
    }
    for name in effects.configuredGroups {
      for observer in effects.groupObservers { observer(name) }
    }
  }
}

extension CatalogError {
  init(_ error: LogError) {
    self.init(ErrorCode(error), "The disk did not do its part: \(error).")
  }
}

/// Counts what an answer waits for.
final class Outstanding: Sendable {
  typealias Done = @Sendable (CatalogError?, [Uuid: CatalogError]) -> Void

  private struct State {
    /// One for the caller, until it says what to do at the end.
    var count = 1
    var failure: CatalogError?
    var failures: [Uuid: CatalogError] = [:]
    var done: Done?
  }

  private let state = Mutex(State())

  func add() { state.withLock { $0.count += 1 } }

  func fail(_ error: CatalogError) { state.withLock { $0.failure = $0.failure ?? error } }

  func fail(_ error: CatalogError, topic: Uuid) { state.withLock { $0.failures[topic] = error } }

  func whenDone(_ done: @escaping Done) {
    state.withLock { $0.done = done }
    complete()
  }

  func complete() {
    let finished = state.withLock { state -> (Done, CatalogError?, [Uuid: CatalogError])? in
      state.count -= 1
      guard state.count == 0, let done = state.done else { return nil }
      return (done, state.failure, state.failures)
    }
    if let (done, failure, failures) = finished { done(failure, failures) }
  }
}
