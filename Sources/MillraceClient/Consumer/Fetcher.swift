// Drives an `Assignment`: does what it says has to be done, each in a task of its own, and hands batches to the
// application. A fetch costs a task, a record costs nothing here.

import Logging
import MillraceProtocol
import MillraceRecords
import NIOCore
import ServiceLifecycle
import Synchronization

final class Fetcher: Sendable {
  private struct State {
    var assignment: Assignment
    /// Calls of `next` that have nothing to return yet.
    var waiters: [Deferred<Void>] = []
    /// What `next` throws before it returns anything else.
    var errors: [KafkaError] = []
    var tasks: [UInt64: Task<Void, Never>] = [:]
    var nextTask: UInt64 = 0
    /// Whether there was an assignment at all, so that its end can be told from its lack.
    var hasAssignment = false
    /// Since when the application has had a batch; nil while it waits for one.
    var busySince: NIODeadline?
    /// While the group rebalances nothing is handed out.
    var isHeld = false
    var holdIsWanted = false
    /// Nothing more is handed out.
    var isEnding = false
    var isClosed = false
  }

  /// Newer versions of Fetch name topics by id (KIP-516).
  private static let lastVersionByName: Int16 = 12

  let configuration: ConsumerConfiguration
  let cluster: Cluster
  private let identity: CurrentIdentity?
  let metrics: ConsumerMetrics?
  private let state: Mutex<State>
  /// Set when the application comes for more while a hold is wanted.
  let idle: Signal
  /// There when the application has come back and got nothing more.
  private let hasReturned = Deferred<Void>()

  /// - Parameter identity: as whom committed offsets are looked up; nil without a group.
  init(
    _ configuration: ConsumerConfiguration, _ cluster: Cluster, _ identity: CurrentIdentity?,
    _ metrics: ConsumerMetrics?
  ) {
    self.metrics = metrics
    self.configuration = configuration
    self.cluster = cluster
    self.identity = identity
    let limits = Assignment.Limits(
      prefetchBytes: configuration.prefetchBytes, fetchMaxBytes: configuration.fetchMaxBytes,
      maxPartitionFetchBytes: configuration.maxPartitionFetchBytes, stopAtEnd: configuration.stopAtEnd,
      isolation: configuration.isolation, reset: configuration.autoOffsetReset,
      replicaLease: TimeAmount(configuration.client.metadataMaxAge))
    state = Mutex(State(assignment: Assignment(limits)))
    idle = Signal(on: configuration.client.eventLoopGroup.next())
  }

  private var logger: Logger { configuration.client.logger }

  // MARK: The assignment

  /// Looks at the assignment without changing it.
  func read<T: Sendable>(_ body: (Assignment) -> T) -> T {
    state.withLock { body($0.assignment) }
  }

  /// Changes the assignment and does what follows from that.
  @discardableResult
  func change<T: Sendable>(_ body: (inout Assignment) -> T) -> T {
    let result = state.withLock { body(&$0.assignment) }
    pump()
    return result
  }

  func assign(_ starts: [TopicPartition: StartPosition]) {
    state.withLock {
      $0.assignment.assign(starts)
      $0.hasAssignment = true
    }
    pump()
  }

  /// Ends everything; `next` returns nil from then on, and positions stay as they are.
  func close() {
    let (tasks, waiters) = state.withLock { state in
      state.isClosed = true
      state.assignment.endCursors()
      defer { state.waiters = [] }
      return (Array(state.tasks.values), state.waiters)
    }
    for task in tasks { task.cancel() }
    for waiter in waiters { waiter.fulfil(.success(())) }
    hasReturned.fulfil(.success(()))
  }

  /// Hands out nothing more, and waits until the application has come back from what it has.
  func endReading(within limit: Duration) async throws(KafkaError) {
    state.withLock { state in
      state.isEnding = true
      state.assignment.endCursors()
    }
    wakeWaiters()
    guard busySince != nil else { return }
    try await hasReturned.value(within: TimeAmount(limit), on: configuration.client.eventLoopGroup)
  }

  /// Makes `next` throw.
  func fail(_ error: KafkaError) {
    state.withLock { $0.errors.append(error) }
    wakeWaiters()
  }

  // MARK: Handing out

  private enum Step {
    case end
    case fail(KafkaError)
    case decode(FetchedChunk)
    case wait(Deferred<Void>)
  }

  /// The next batch; nil when the consumer is closed, or at the end if it stops there. What was returned before counts
  /// as completed.
  ///
  /// - Parameters:
  ///   - endsOnGracefulShutdown: whether the shutdown of the service that asks is an end, too.
  ///   - cursor: makes one that says how far the application is in the batch, if it goes record by record.
  func next(
    endsOnGracefulShutdown: Bool = false, following cursor: (RecordBatch) -> Assignment.RecordCursor? = { _ in nil }
  ) async throws(KafkaError) -> RecordBatch? {
    let holdIsWanted = state.withLock { state in
      state.assignment.complete()
      state.busySince = nil
      // At once: whoever wants the hold must not have to race for the moment between two batches.
      if state.holdIsWanted { state.isHeld = true }
      return state.holdIsWanted
    }
    if holdIsWanted { idle.set() }
    while true {
      if endsOnGracefulShutdown, Task.isShuttingDownGracefully {
        // The consumer may have been told of the shutdown first, and wait for the reader.
        if state.withLock({ $0.isEnding }) { hasReturned.fulfil(.success(())) }
        return nil
      }
      switch state.withLock({ step(&$0) }) {
      case .end:
        hasReturned.fulfil(.success(()))
        return nil
      case .fail(let error): throw error
      case .wait(let waiter):
        do throws(KafkaError) {
          try await waiter.value(orGracefulShutdown: endsOnGracefulShutdown)
        } catch {
          state.withLock { state in state.waiters.removeAll { $0 === waiter } }
          throw error
        }
      case .decode(let chunk):
        if let batch = try decode(chunk, cursor) { return batch }
      }
      if Task.isCancelled { throw .cancelled }
    }
  }

  private func step(_ state: inout State) -> Step {
    if state.isClosed || state.isEnding { return .end }
    if !state.errors.isEmpty { return .fail(state.errors.removeFirst()) }
    if !state.isHeld {
      if let chunk = state.assignment.takeChunk() {
        // From here on the application counts as busy, so that no rebalance slips in between.
        state.busySince = .now()
        return .decode(chunk)
      }
      if configuration.stopAtEnd, state.hasAssignment, state.assignment.isAtEnd { return .end }
    }
    let waiter = Deferred<Void>()
    state.waiters.append(waiter)
    return .wait(waiter)
  }

  /// A further batch beside those that the application has, which stay in its hands; nil when none comes before the
  /// deadline, or something else has to come first, which the next call tells; such as the graceful shutdown of the
  /// service that asks.
  func more(until deadline: ContinuousClock.Instant) async throws(KafkaError) -> RecordBatch? {
    while !Task.isShuttingDownGracefully {
      switch state.withLock({ furtherStep(&$0, mayWait: deadline > .now) }) {
      case .end, .fail: return nil
      case .wait(let waiter):
        defer { state.withLock { state in state.waiters.removeAll { $0 === waiter } } }
        try await waiter.value(
          within: TimeAmount(deadline - .now), orGracefulShutdown: true, on: configuration.client.eventLoopGroup)
      case .decode(let chunk):
        do throws(KafkaError) {
          if let batch = try decode(chunk, keepsBusy: true) { return batch }
        } catch {
          state.withLock { $0.errors.insert(error, at: 0) }
          return nil
        }
      }
    }
    return nil
  }

  private func furtherStep(_ state: inout State, mayWait: Bool) -> Step {
    guard !state.isClosed, !state.isEnding, !state.isHeld, !state.holdIsWanted, state.errors.isEmpty else {
      return .end
    }
    if let chunk = state.assignment.takeChunk() { return .decode(chunk) }
    guard mayWait, !(configuration.stopAtEnd && state.assignment.isAtEnd) else { return .end }
    let waiter = Deferred<Void>()
    state.waiters.append(waiter)
    return .wait(waiter)
  }

  /// - Parameter keepsBusy: the application has other batches in its hands.
  private func decode(
    _ chunk: consuming FetchedChunk, keepsBusy: Bool = false,
    _ cursor: (RecordBatch) -> Assignment.RecordCursor? = { _ in nil }
  ) throws(KafkaError) -> RecordBatch? {
    var chunk = chunk
    let batch: RecordBatch?
    do throws(BatchError) {
      batch = try chunk.next(configuration.isolation, checksCRCs: configuration.checksCRCs)
    } catch {
      let failure = KafkaError.corrupt(chunk.partition, at: chunk.position, error)
      state.withLock { state in
        state.assignment.drop(chunk)
        if !keepsBusy { state.busySince = nil }
      }
      throw failure
    }
    let (isCurrent, lag) = state.withLock { state in
      guard !state.isClosed else { return (false, Int64?.none) }
      let isCurrent = state.assignment.putBack(chunk, isExhausted: batch == nil)
      if isCurrent, let batch, let cursor = cursor(batch) { state.assignment.follow(cursor, in: batch.topicPartition) }
      if !keepsBusy, batch == nil || !isCurrent { state.busySince = nil }
      return (isCurrent, metrics == nil ? nil : state.assignment.lag(of: chunk.partition))
    }
    if let batch, isCurrent { metrics?.consumed(batch, lag: lag) }
    // Room for more, perhaps.
    if batch == nil { pump() }
    return isCurrent ? batch : nil
  }

  private func wakeWaiters() {
    let waiters = state.withLock { state in
      defer { state.waiters = [] }
      return state.waiters
    }
    for waiter in waiters { waiter.fulfil(.success(())) }
  }

  /// Where the application stands, everything that it has handed back or given away included; nil while it has a batch
  /// in its hands.
  func idlePositions() -> [TopicPartition: OffsetAndMetadata]? {
    state.withLock { $0.busySince == nil ? $0.assignment.positions(includingHandedOut: true) : nil }
  }

  // MARK: Rebalances

  /// Since when the application has had a batch; nil while it waits for one.
  var busySince: NIODeadline? { state.withLock { $0.busySince } }

  /// Stops handing out, if the application has nothing in its hands. If it has, `idle` is set when it comes back.
  func tryHold() -> Bool {
    let isHeld = state.withLock { state in
      state.holdIsWanted = state.busySince != nil && !state.isClosed
      if !state.holdIsWanted { state.isHeld = true }
      return state.isHeld
    }
    // It may wait for more to what it has.
    if !isHeld { wakeWaiters() }
    return isHeld
  }

  /// Hands out again.
  func letGo() {
    state.withLock {
      $0.isHeld = false
      $0.holdIsWanted = false
    }
    wakeWaiters()
  }

  // MARK: Work

  private func pump() {
    state.withLock { state in
      guard !state.isClosed else { return }
      for work in state.assignment.work(now: .now()) {
        state.nextTask += 1
        let id = state.nextTask
        state.tasks[id] = Task {
          await self.perform(work)
          self.state.withLock { $0.tasks[id] = nil }
          self.pump()
        }
      }
    }
    wakeWaiters()
  }

  private func perform(_ work: Assignment.Work) async {
    switch work {
    case .fetch(let plan): await fetch(plan)
    case .locate(let topics, let again): await locate(topics, again: again)
    case .resolve(let starts, let tokens): await resolve(starts, tokens)
    }
  }

  private func fetch(_ plan: Assignment.FetchPlan) async {
    do throws(KafkaError) {
      let connection = try await cluster.connection(to: .broker(plan.broker), .fetch)
      let limit = plan.canUseTopicIds ? Int16.max : Self.lastVersionByName
      let version = try connection.version(of: FetchRequest.self, upTo: limit)
      let request = FetchRequest(plan, version: version, configuration)
      let start = NIODeadline.now()
      let response = try await connection.send(
        request, version: version, timeout: configuration.client.requestTimeout + configuration.fetchMaxWait)
      if let error = KafkaError.broker(response.errorCode, about: "a fetch from broker \(plan.broker)") { throw error }
      let (answers, failures) = plan.read(response)
      let errors = state.withLock { $0.assignment.fetched(plan, sessionId: response.sessionId, answers) }
      metrics?.fetched(answers, since: start) { partition in read { $0.lag(of: partition) } }
      for (partition, error) in failures {
        change { $0.giveUp(partition, token: plan.tokens[partition] ?? 0) }
        fail(error)
      }
      for error in errors { fail(error) }
    } catch {
      logger.debug("a fetch failed", metadata: ["broker": "\(plan.broker)", "error": "\(error)"])
      // The plan stays open over the pause, so that nothing asks this broker meanwhile.
      if !error.isAboutFetchSession { try? await pause(configuration.client.retryBackoff) }
      state.withLock { $0.assignment.fetchFailed(plan, error) }
      if error.isForApplication { fail(error) }
    }
  }

  private func locate(_ topics: Set<String>, again: Bool) async {
    if again { try? await pause(configuration.client.retryBackoff) }
    var found: [TopicMetadata] = []
    do throws(KafkaError) {
      try await cluster.refreshMetadata(.topics(topics, create: false))
      let metadata = cluster.metadata
      found = topics.compactMap { metadata.topics[$0] }.filter { $0.error == .none }
    } catch {
      logger.debug("no metadata", metadata: ["error": "\(error)"])
    }
    let wanted = read { $0.partitions.keys.filter { topics.contains($0.topic) } }
    let isComplete = wanted.allSatisfy { partition in
      found.contains { $0.name == partition.topic && $0[partition: partition.partition]?.leader != nil }
    }
    if !isComplete { try? await pause(configuration.client.retryBackoffMax) }
    state.withLock { [found] in $0.assignment.located(found) }
  }

  private func resolve(_ starts: [TopicPartition: StartPosition], _ tokens: [TopicPartition: UInt64]) async {
    var offsets: [TopicPartition: Int64] = [:]
    do throws(KafkaError) {
      for (partition, result) in try await StartOffsets(cluster, configuration, identity).resolve(starts) {
        switch result {
        case .success(let offset): offsets[partition] = offset
        // An argument is wrong when the group has given us a partition that our broker does not know of yet.
        case .failure(let error) where error.isRetriable || error.code == .invalidArgument:
          logger.debug("no start offset", metadata: ["partition": "\(partition)", "error": "\(error)"])
        case .failure(let error):
          state.withLock { $0.assignment.giveUp(partition, token: tokens[partition] ?? 0) }
          if error.code != .cancelled, error.code != .closed { fail(error) }
        }
      }
    } catch {
      logger.debug("no start offsets", metadata: ["error": "\(error)"])
      if !error.isRetriable, error.code != .cancelled, error.code != .closed {
        for (partition, token) in tokens { state.withLock { $0.assignment.giveUp(partition, token: token) } }
        fail(error)
      }
    }
    if offsets.count < starts.count { try? await pause(configuration.client.retryBackoff) }
    state.withLock { [offsets] in $0.assignment.resolved(offsets, tokens: tokens) }
  }
}
