// Drives a `ShareAssignment`: does what it says has to be done, each request in a task of its own, and hands records to
// the application.

import Logging
import MillraceProtocol
import NIOCore
import ServiceLifecycle
import Synchronization

final class ShareFetcher: Sendable {
  private struct State {
    var assignment: ShareAssignment
    /// Calls of `next` that have nothing to return yet.
    var waiters: [Deferred<Void>] = []
    /// Calls that wait until nothing is under way, or until all acknowledgements are answered.
    var settling: [Deferred<Void>] = []
    /// What `next` throws before it returns anything else.
    var errors: [KafkaError] = []
    /// What became of acknowledgements since the last commit.
    var outcomes: [TopicPartition: Result<Void, KafkaError>] = [:]
    /// Since when the application has had a record; nil while it waits for one.
    var busySince: NIODeadline?
    var holdIsWanted = false
    /// Nothing more is handed out.
    var isEnding = false
    var isClosed = false
    var ticker: Task<Void, Never>?

    /// An error stays until somebody has seen it.
    mutating func note(_ report: AcknowledgementReport) {
      if let error = report.error {
        outcomes[report.topicPartition] = .failure(error)
      } else if outcomes[report.topicPartition] == nil {
        outcomes[report.topicPartition] = .success(())
      }
    }
  }

  /// A lock is looked at so many times while it lasts.
  private static let ticksPerLock = 6
  /// Renewals, and the request for them, came with this version (KIP-1222).
  private static let firstVersionWithRenewals: Int16 = 2

  let configuration: ShareConsumerConfiguration
  let memberId = Uuid.random().description
  private let cluster: Cluster
  private let metrics: ShareConsumerMetrics?
  private let state: Mutex<State>
  let idle: Signal
  /// There when the application has come back and got nothing more.
  private let hasReturned = Deferred<Void>()

  init(_ configuration: ShareConsumerConfiguration, _ cluster: Cluster) {
    self.configuration = configuration
    self.cluster = cluster
    metrics = ShareConsumerMetrics(configuration.client)
    state = Mutex(
      State(
        assignment: ShareAssignment(
          ShareAssignment.Settings(
            acknowledgementMode: configuration.acknowledgementMode, acquireMode: configuration.acquireMode,
            maxRecords: configuration.maxRecords, renewsLocks: configuration.renewsLocks))))
    idle = Signal(on: configuration.client.eventLoopGroup.next())
  }

  private var logger: Logger { configuration.client.logger }

  var partitions: [TopicPartition] { state.withLock { $0.assignment.partitions } }

  var lockTimeout: Duration? {
    state.withLock { $0.assignment.lockTimeout }.map { .nanoseconds($0.nanoseconds) }
  }

  func assign(_ partitions: [TopicPartition]) {
    state.withLock { $0.assignment.assign(partitions) }
    pump()
  }

  /// Begins to look after locks and acknowledgements from time to time.
  func start() {
    state.withLock { state in
      guard state.ticker == nil else { return }
      state.ticker = Task { [weak self] in
        while let self {
          let interval = self.tickInterval
          do throws(KafkaError) { try await pause(interval) } catch { return }
          self.tick()
        }
      }
    }
  }

  private var tickInterval: Duration {
    min(configuration.acknowledgementInterval, lockTimeout.map { $0 / Self.ticksPerLock } ?? .seconds(1))
  }

  private func tick() {
    state.withLock { $0.assignment.tick(now: .now()) }
    pump(flushes: true)
    wakeWaiters()
  }

  /// Makes `next` throw.
  func fail(_ error: KafkaError) {
    state.withLock { $0.errors.append(error) }
    wakeWaiters()
  }

  /// Ends everything without a word to anybody.
  func abandon() {
    let (ticker, waiters) = state.withLock { state in
      state.isClosed = true
      defer { state.waiters = [] }
      return (state.ticker, state.waiters)
    }
    ticker?.cancel()
    for waiter in waiters { waiter.fulfil(.success(())) }
    hasReturned.fulfil(.success(()))
  }

  /// Hands out nothing more, and waits until the application has come back from what it has.
  func endReading(within limit: Duration) async throws(KafkaError) {
    state.withLock { $0.isEnding = true }
    wakeWaiters()
    guard busySince != nil else { return }
    try await hasReturned.value(within: TimeAmount(limit), on: configuration.client.eventLoopGroup)
  }

  // MARK: Handing out

  private enum Step {
    case end
    case fail(KafkaError)
    case record(ShareRecord)
    case wait(Deferred<Void>)
  }

  /// The next record; nil when the consumer is closed.
  ///
  /// - Parameter endsOnGracefulShutdown: whether the shutdown of the service that asks is an end, too.
  func next(endsOnGracefulShutdown: Bool = false) async throws(KafkaError) -> ShareRecord? {
    let holdIsWanted = state.withLock { state in
      state.assignment.complete(now: .now())
      state.busySince = nil
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
      case .record(let record): return record
      case .wait(let waiter):
        pump()
        do throws(KafkaError) {
          try await waiter.value(orGracefulShutdown: endsOnGracefulShutdown)
        } catch {
          state.withLock { state in state.waiters.removeAll { $0 === waiter } }
          throw error
        }
      }
      if Task.isCancelled { throw .cancelled }
    }
  }

  private func step(_ state: inout State) -> Step {
    if state.isClosed || state.isEnding { return .end }
    if !state.errors.isEmpty { return .fail(state.errors.removeFirst()) }
    let now = NIODeadline.now()
    if let record = state.assignment.take(now: now) {
      state.busySince = now
      return .record(record)
    }
    let waiter = Deferred<Void>()
    state.waiters.append(waiter)
    return .wait(waiter)
  }

  private func wakeWaiters() {
    let waiters = state.withLock { state in
      defer { (state.waiters, state.settling) = ([], []) }
      return state.waiters + state.settling
    }
    for waiter in waiters { waiter.fulfil(.success(())) }
  }

  // MARK: Acknowledging

  func acknowledge(_ record: ShareRecord, _ type: Acknowledgement) throws(KafkaError) {
    let (error, isWaiting) = state.withLock { state -> (KafkaError?, Bool) in
      do throws(KafkaError) {
        try state.assignment.acknowledge(record, type, now: .now())
        return (nil, !state.waiters.isEmpty)
      } catch {
        return (error, false)
      }
    }
    if let error { throw error }
    // Somebody may wait because too much was in hand; a renewal does not wait for a fetch.
    if isWaiting || type == .renew { pump() }
  }

  /// Sends all acknowledgements, and waits for the answers.
  func flush() async throws(KafkaError) -> [TopicPartition: Result<Void, KafkaError>] {
    let isClosed = state.withLock { state in
      state.assignment.complete(now: .now())
      return state.isClosed
    }
    guard !isClosed else { throw .closed("the share consumer") }
    try await settle { $0.hasAcknowledgements }
    return state.withLock { state in
      defer { state.outcomes = [:] }
      return state.outcomes
    }
  }

  private func settle(while isUnsettled: (ShareAssignment) -> Bool) async throws(KafkaError) {
    while true {
      let waiter = state.withLock { state -> Deferred<Void>? in
        guard isUnsettled(state.assignment) else { return nil }
        let waiter = Deferred<Void>()
        state.settling.append(waiter)
        return waiter
      }
      pump(flushes: true)
      guard let waiter else { return }
      if state.withLock({ isUnsettled($0.assignment) }) { try await waiter.value() }
    }
  }

  // MARK: Work

  private func pump(flushes: Bool = false) {
    let reports = state.withLock { state in
      let work =
        state.isClosed
        ? []
        : state.assignment.work(wantsRecords: !state.waiters.isEmpty, flushes: flushes, now: .now())
      for work in work { Task { await self.perform(work) } }
      let reports = state.assignment.takeReports()
      for report in reports { state.note(report) }
      return reports
    }
    for report in reports {
      metrics?.acknowledged(report)
      configuration.onAcknowledged?(report)
    }
  }

  private func perform(_ work: ShareAssignment.Work) async {
    switch work {
    case .send(let request): await send(request)
    case .locate(let topics, let again): await locate(topics, again: again)
    }
    pump()
    wakeWaiters()
  }

  private func send(_ request: ShareAssignment.Request) async {
    do throws(KafkaError) {
      switch request.kind {
      case .fetch: try await fetch(request)
      case .acknowledge(let epoch): try await acknowledge(request, epoch)
      }
    } catch {
      logger.debug("a share request failed", metadata: ["broker": "\(request.broker)", "error": "\(error)"])
      if error.brokerCode?.isAboutShareSession != true { try? await pause(configuration.client.retryBackoff) }
      state.withLock { $0.assignment.failed(request, error) }
      let isExpected = error.brokerCode?.isAboutShareSession == true || error.isRetriable
      if !isExpected, error.code != .cancelled, error.code != .closed { fail(error) }
    }
  }

  private func fetch(_ request: ShareAssignment.Request) async throws(KafkaError) {
    let connection = try await cluster.connection(to: .broker(request.broker), .fetch)
    let version = try connection.shareVersion(of: ShareFetchRequest.self)
    let start = NIODeadline.now()
    let response = try await connection.send(
      ShareFetchRequest(request, configuration, memberId: memberId), version: version,
      timeout: configuration.client.requestTimeout + configuration.fetchMaxWait)
    if let error = KafkaError.broker(
      response.errorCode, about: "a share fetch from broker \(request.broker)", detail: response.errorMessage)
    {
      throw error
    }
    let errors = state.withLock { state in
      state.assignment.fetched(
        request, response.partitions, lockTimeout: .milliseconds(Int64(response.acquisitionLockTimeoutMs)),
        checksCRCs: configuration.checksCRCs, now: .now())
    }
    for error in errors { fail(error) }
    if let metrics { measure(response.partitions, since: start, metrics) }
  }

  private func measure(
    _ answers: [ShareAssignment.FetchedPartition], since start: NIODeadline, _ metrics: ShareConsumerMetrics
  ) {
    metrics.fetchLatency.record(since: start)
    let names = cluster.topicNames(of: Set(answers.map(\.partition.topicId)))
    for answer in answers where !answer.acquired.isEmpty {
      let id = answer.partition.topicId
      metrics.acquired(answer.acquired.map(\.offsets), of: names[id] ?? "\(id)")
    }
  }

  private func acknowledge(_ request: ShareAssignment.Request, _ epoch: Int32) async throws(KafkaError) {
    let connection = try await cluster.connection(to: .broker(request.broker), .fetch)
    let version = try connection.shareVersion(of: ShareAcknowledgeRequest.self)
    var request = request
    if version < Self.firstVersionWithRenewals, request.acknowledgements.values.contains(where: { $0.hasRenewals }) {
      guard let rest = state.withLock({ $0.assignment.withoutRenewals(request) }) else { return }
      request = rest
    }
    let response = try await connection.send(
      ShareAcknowledgeRequest(request, epoch: epoch, groupId: configuration.groupId, memberId: memberId),
      version: version)
    if let error = KafkaError.broker(
      response.errorCode, about: "acknowledgements at broker \(request.broker)", detail: response.errorMessage)
    {
      throw error
    }
    state.withLock { [request] state in
      state.assignment.acknowledged(
        request, response.partitions, lockTimeout: .milliseconds(Int64(response.acquisitionLockTimeoutMs)),
        now: .now())
    }
  }

  private func locate(_ topics: Set<String>, again: Bool) async {
    if again { try? await pause(configuration.client.retryBackoff) }
    do throws(KafkaError) {
      try await cluster.refreshMetadata(.topics(topics, create: false))
    } catch {
      logger.debug("no metadata", metadata: ["error": "\(error)"])
    }
    let metadata = cluster.metadata
    let found = topics.compactMap { metadata.topics[$0] }.filter { $0.error == .none }
    let isComplete = partitions.filter { topics.contains($0.topic) }.allSatisfy { metadata.leader(of: $0) != nil }
    if !isComplete { try? await pause(configuration.client.retryBackoffMax) }
    state.withLock { $0.assignment.located(found) }
  }
}

extension Connection {
  fileprivate func shareVersion<R: Request>(of request: R.Type) throws(KafkaError) -> Int16 {
    do throws(KafkaError) {
      return try version(of: request)
    } catch {
      throw error.adding("share groups are KIP-932, which brokers have from Kafka 4.1 on")
    }
  }
}

// MARK: As a member of the group

extension ShareFetcher: GroupReader {
  var busySince: NIODeadline? { state.withLock { $0.busySince } }

  func tryHold() -> Bool {
    state.withLock { state in
      state.holdIsWanted = state.busySince != nil && !state.isClosed
      return !state.holdIsWanted
    }
  }

  func letGo() { state.withLock { $0.holdIsWanted = false } }

  /// Requests name the member, not its epoch.
  func become(memberId: String, epoch: Int32) {}

  func release(_ partitions: [TopicPartition], remaining: [TopicPartition], isLost: Bool) async { assign(remaining) }

  func adopt(_ partitions: [TopicPartition], all: [TopicPartition]) async { assign(all) }

  /// Gives back what it has and closes the sessions.
  func finish(_ partitions: [TopicPartition]) async {
    abandon()
    // Requests that wait for records have to come back first: a session's requests go one after the other.
    try? await settle { $0.isBusy }
    let farewells = state.withLock { $0.assignment.farewells() }
    await withTaskGroup(of: Void.self) { group in
      for request in farewells { group.addTask { await self.send(request) } }
    }
    state.withLock { $0.assignment.failPending(.closed("the share consumer")) }
    pump()
    wakeWaiters()
  }

  func send(
    _ heartbeat: HeartbeatMembership.Heartbeat
  ) async throws(KafkaError) -> HeartbeatMembership.Answer {
    let group = configuration.groupId
    let response: ShareGroupHeartbeatResponse
    do throws(KafkaError) {
      response = try await cluster.attempt(to: .coordinator(.group(group)), on: .group) { _ in
        ShareGroupHeartbeatRequest(heartbeat, group: group)
      }
    } catch {
      guard error.code == .unsupportedVersion else { throw error }
      throw error.adding("share groups are KIP-932, which brokers have from Kafka 4.1 on")
    }
    return HeartbeatMembership.Answer(response)
  }
}

extension ShareGroupHeartbeatRequest {
  init(_ heartbeat: HeartbeatMembership.Heartbeat, group: String) {
    self.init(groupId: group, memberId: heartbeat.memberId, memberEpoch: heartbeat.epoch, rackId: heartbeat.rack)
    if case .topics(let names)? = heartbeat.subscription { subscribedTopicNames = names.sorted() }
  }
}

extension HeartbeatMembership.Answer {
  fileprivate init(_ response: ShareGroupHeartbeatResponse) {
    self.init(
      error: ErrorCode(rawValue: response.errorCode), message: response.errorMessage, memberId: response.memberId,
      epoch: response.memberEpoch, interval: .milliseconds(Int64(response.heartbeatIntervalMs)),
      assignment: response.assignment.map { assignment in
        Dictionary(assignment.topicPartitions.map { ($0.topicId, $0.partitions) }, uniquingKeysWith: +)
      })
  }
}
