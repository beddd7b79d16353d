// Drives an `Accumulator`: sends what it says, tells it what became of it, fetches the metadata and producer ids that it
// lacks, and keeps its timers. All of that happens on one event loop, where the connections live too, so requests leave
// in the order in which the accumulator gave them out. Appending happens on any thread.

import Logging
import MillraceProtocol
import MillraceRecords
import NIOCore
import Synchronization

final class ProduceSender: Sendable {
  /// What only the event loop touches.
  private struct LoopState {
    var connections: [Int32: Connection] = [:]
    /// Brokers that a connection is being made to, or that could not be reached a moment ago.
    var unavailable: Set<Int32> = []
    var isFetchingMetadata = false
    var isFetchingIdentity = false
    var isAnnouncing = false
    var metadataFetchedAt = NIODeadline.now()
    var backoff: Backoff
    var timer: Scheduled<Void>?
    var timerDeadline: NIODeadline?
    var tasks: [UInt64: Task<Void, Never>] = [:]
    var nextTask: UInt64 = 0
    var isClosed = false
  }

  private struct FlushWaiter {
    var batches: Set<UInt64>
    var done: Deferred<Void>
  }

  private struct Waiters {
    var room: [Deferred<Void>] = []
    var flushes: [FlushWaiter] = []
  }

  let configuration: ProducerConfiguration
  private let cluster: Cluster
  private let loop: any EventLoop
  let accumulator: Mutex<Accumulator>
  private let waiters = Mutex(Waiters())
  private let hasWaiters = Atomic<Bool>(false)
  private let isWoken = Atomic<Bool>(false)
  private let state: NIOLoopBoundBox<LoopState>
  private let onDelivery: (@Sendable (DeliveryReport) -> Void)?
  private let transactions: TransactionSession?
  let metrics: ProducerMetrics?
  /// Nil when nobody traces, or when records are to keep the context that they have.
  let tracing: RecordTracing?

  init(
    _ configuration: ProducerConfiguration, _ cluster: Cluster, on loop: any EventLoop,
    onDelivery: (@Sendable (DeliveryReport) -> Void)?, transactions: TransactionSession? = nil
  ) {
    self.transactions = transactions
    self.configuration = configuration
    self.cluster = cluster
    self.loop = loop
    self.onDelivery = onDelivery
    metrics = ProducerMetrics(configuration.client)
    tracing = configuration.keepsTraceContext ? nil : RecordTracing(configuration.client)
    let backoff = Backoff(configuration.client)
    let limits = Accumulator.Limits(
      batchBytes: configuration.batchBytes, bufferBytes: configuration.bufferBytes,
      maxRequestBytes: configuration.maxRequestBytes, maxInFlight: configuration.maxInFlight,
      linger: TimeAmount(configuration.linger ?? ProducerConfiguration.defaultLinger),
      sendsAwaitedAtOnce: configuration.linger == nil, deliveryTimeout: TimeAmount(configuration.deliveryTimeout),
      isIdempotent: configuration.usesIdempotence, keepsTokens: onDelivery != nil, backoff: backoff,
      isTransactional: transactions != nil)
    accumulator = Mutex(Accumulator(limits, seed: .random(in: 0 ... .max)))
    state = .makeBoxSendingValue(LoopState(backoff: backoff), eventLoop: loop)
  }

  // MARK: Appending, on any thread

  /// Appends a record if that is possible now.
  func append(
    topic: String, partition: Int32?, key: UnsafeRawBufferPointer?, value: UnsafeRawBufferPointer?,
    headers: [MillraceRecords.RecordHeader], timestamp: Int64, token: UInt64, caller: Deferred<BatchPosition>?
  ) -> Accumulator.Appended {
    let choice = partition.map { Accumulator.Choice.partition($0) } ?? .automatic
    let appended = accumulator.withLock { accumulator in
      accumulator.append(
        topic: topic, choice, key: key, value: value, headers: headers, timestamp: timestamp, token: token,
        caller: caller, now: { .now() })
    }
    if case .appended(_, wakes: true) = appended { wake() }
    return appended
  }

  /// Where the application's partitioner puts a record; nil without one, or as long as the topic is not known.
  func choosePartition(for record: ProducerRecord) -> Int32? {
    guard let partitioner = configuration.partitioner,
      let count = accumulator.withLock({ $0.partitionCount(of: record.topic) })
    else { return nil }
    return partitioner(record, Int32(clamping: count))
  }

  /// Learns a topic's partitions. Concurrent calls for the same topic ask the broker once.
  func learn(_ topic: String) async throws(KafkaError) {
    let metadata = try await cluster.topic(topic, create: true)
    accumulator.withLock { $0.update(metadata) }
  }

  func forget(_ topic: String) {
    cluster.expireMetadata(of: [topic])
  }

  /// Waits until bytes have left the buffer.
  func waitForRoom(atMost timeout: Duration) async throws(KafkaError) {
    let start = NIODeadline.now()
    defer { metrics?.bufferWait.record(since: start) }
    let room = Deferred<Void>()
    waiters.withLock {
      $0.room.append(room)
      hasWaiters.store(true, ordering: .sequentiallyConsistent)
    }
    let timer = loop.scheduleTask(in: TimeAmount(timeout)) {
      room.fulfil(
        .failure(
          KafkaError(
            .timedOut,
            "the producer's buffer of \(self.configuration.bufferBytes) bytes was full for too long; "
              + "records come faster than the brokers take them")))
    }
    defer { timer.cancel() }
    accumulator.withLock { $0.isUrgent = true }
    wake()
    // What left just before we registered did not wake us.
    let isEmpty = accumulator.withLock { $0.bufferedBytes == 0 }
    if isEmpty { room.fulfil(.success(())) }
    try await room.value()
  }

  /// Sends everything now and waits until it is delivered or has failed.
  func flush(closing: Bool = false) async throws(KafkaError) {
    let done = Deferred<Void>()
    accumulator.withLock { accumulator in
      if closing {
        accumulator.isClosed = true
        accumulator.isUrgent = true
      }
      let batches = accumulator.flush()
      if batches.isEmpty {
        done.fulfil(.success(()))
      } else {
        waiters.withLock { $0.flushes.append(FlushWaiter(batches: batches, done: done)) }
        hasWaiters.store(true, ordering: .sequentiallyConsistent)
      }
    }
    wake()
    try await done.value()
  }

  /// Stops at once; what is not delivered fails.
  func close() {
    let deliveries = accumulator.withLock { accumulator in
      accumulator.isClosed = true
      return accumulator.failAll(.closed("the producer"))
    }
    report(deliveries)
    loop.execute {
      self.state.value.isClosed = true
      self.state.value.timer?.cancel()
      for task in self.state.value.tasks.values { task.cancel() }
    }
    cluster.close()
  }

  // MARK: Sending, on the event loop

  /// Has the loop look at the accumulator soon.
  private func wake() {
    guard !isWoken.exchange(true, ordering: .sequentiallyConsistent) else { return }
    loop.execute { self.drain() }
  }

  private func drain() {
    isWoken.store(false, ordering: .sequentiallyConsistent)
    let now = NIODeadline.now()
    let (expired, brokers) = accumulator.withLock { accumulator in
      (accumulator.expire(now: now), accumulator.brokersWithWork(now: now))
    }
    report(expired)
    guard !state.value.isClosed else {
      let stranded = accumulator.withLock { $0.failAll(.closed("the producer")) }
      return report(stranded)
    }
    if let failure = transactions?.failure {
      // The transaction will be aborted, so nothing more of it is sent.
      report(accumulator.withLock { $0.failAll(failure) })
    }
    for broker in brokers where !state.value.unavailable.contains(broker) {
      guard let connection = state.value.connections[broker], connection.isOpen else {
        connect(to: broker)
        continue
      }
      while let request = accumulator.withLock({ $0.nextRequest(for: broker, now: now) }) {
        transmit(request, to: broker, connection)
      }
    }
    fetchWhatIsMissing(now)
    setTimer(now)
  }

  private func setTimer(_ now: NIODeadline) {
    guard let wakeUp = accumulator.withLock({ $0.nextWakeUp(after: now) }) else { return }
    // A timer that is early costs one look.
    if let deadline = state.value.timerDeadline, deadline <= wakeUp { return }
    state.value.timer?.cancel()
    state.value.timerDeadline = wakeUp
    state.value.timer = loop.scheduleTask(deadline: wakeUp) {
      self.state.value.timerDeadline = nil
      self.drain()
    }
  }

  private func transmit(_ request: consuming [OutgoingBatch], to broker: Int32, _ connection: Connection) {
    var exchange = ProduceExchange()
    var refused: [BatchOutcome] = []
    let level = configuration.compressionLevel.map { Int32(clamping: $0) }
    if let transactions {
      transactions.sends()
      exchange.transactionalId = transactions.transactionalId
      if transactions.version == .one { exchange.versionLimit = TransactionState.Version.lastProduceOfOne }
    }
    for index in request.indices {
      do throws(KafkaError) {
        let sealed = try request[index].seal(
          configuration.compression.codec, level: level, isTransactional: transactions != nil)
        exchange.parts.append(ProduceExchange.Part(request[index], sealed))
      } catch {
        refused.append(
          BatchOutcome(queue: request[index].queue, id: request[index].id, sealed: nil, result: .failure(error)))
      }
    }
    metrics?.sends(exchange.parts)
    let start = NIODeadline.now()
    let complete: @Sendable (Result<ProduceResponse?, KafkaError>) -> Void = { [exchange, refused] result in
      if case .success(_?) = result { self.metrics?.requestLatency.record(since: start) }
      self.loop.execute { self.answered(exchange.outcomes(result) + refused, from: broker) }
    }
    guard !exchange.parts.isEmpty else { return complete(.success(nil)) }
    let timeout = configuration.client.requestTimeout
    do throws(KafkaError) {
      let version = try connection.version(of: ProduceRequest.self, upTo: exchange.newestVersion)
      connection.send(
        exchange.request(version: version, acks: configuration.acks, timeoutMs: timeout.clampedMilliseconds),
        version: version, timeout: configuration.acks == .none ? nil : timeout, payloads: exchange.payloads, complete)
    } catch {
      complete(.failure(error))
    }
  }

  private func answered(_ outcomes: [BatchOutcome], from broker: Int32) {
    let deliveries = accumulator.withLock { $0.resolve(outcomes, from: broker, now: .now()) }
    for case .failure(let error) in outcomes.map(\.result) {
      logger.debug("a batch was not written", metadata: ["broker": "\(broker)", "error": "\(error)"])
    }
    report(deliveries)
    drain()
  }

  // MARK: Results

  func report(_ deliveries: [Delivery]) {
    if let metrics, !deliveries.isEmpty {
      let buffered = accumulator.withLock { $0.bufferedBytes }
      metrics.delivered(deliveries, availableBytes: configuration.bufferBytes - buffered)
    }
    if let transactions {
      for case .failure(let error) in deliveries.map(\.result) { transactions.recordsFailed(error) }
    }
    for delivery in deliveries {
      for (position, caller) in delivery.callers.waiting {
        caller.fulfil(
          delivery.result.map { batch in
            BatchPosition(
              offset: batch.offset < 0 ? -1 : batch.offset &+ Int64(position), appendTime: batch.appendTime)
          })
      }
      guard let onDelivery else { continue }
      let (offset, error): (Int64, KafkaError?) =
        switch delivery.result {
        case .success(let position): (position.offset, nil)
        case .failure(let error): (-1, error)
        }
      onDelivery(
        DeliveryReport(
          topic: delivery.topic, partition: delivery.partition, recordCount: delivery.recordCount, baseOffset: offset,
          tokens: delivery.callers.tokens, error: error))
    }
    if !deliveries.isEmpty, hasWaiters.load(ordering: .sequentiallyConsistent) { wakeWaiters() }
  }

  private func wakeWaiters() {
    // Both locks at once: a flush that registers in between would be judged by what was live before its batches were.
    let done = accumulator.withLock { accumulator in
      accumulator.isUrgent = accumulator.isClosed
      return waiters.withLock { waiters in
        var done = waiters.room
        waiters.room = []
        waiters.flushes.removeAll { waiter in
          guard waiter.batches.isDisjoint(with: accumulator.liveBatches) else { return false }
          done.append(waiter.done)
          return true
        }
        hasWaiters.store(!waiters.flushes.isEmpty, ordering: .sequentiallyConsistent)
        return done
      }
    }
    for waiter in done { waiter.fulfil(.success(())) }
  }

  // MARK: What has to be there first

  var logger: Logger { configuration.client.logger }

  /// Runs `body` beside the loop, lets it change the loop's state when it is done, and looks what can be sent then.
  private func inBackground(_ body: @escaping @Sendable () async -> @Sendable (inout LoopState) -> Void) {
    state.value.nextTask += 1
    let id = state.value.nextTask
    state.value.tasks[id] = Task {
      let change = await body()
      self.loop.execute {
        self.state.value.tasks[id] = nil
        change(&self.state.value)
        self.drain()
      }
    }
  }

  private func connect(to broker: Int32) {
    state.value.connections[broker] = nil
    state.value.unavailable.insert(broker)
    inBackground {
      var connection: Connection?
      do throws(KafkaError) {
        connection = try await self.cluster.connection(to: .broker(broker))
      } catch {
        self.logger.debug("no connection", metadata: ["broker": "\(broker)", "error": "\(error)"])
        self.accumulator.withLock { $0.lost(broker) }
        try? await pause(self.configuration.client.retryBackoff)
      }
      return { [connection] state in
        state.unavailable.remove(broker)
        state.connections[broker] = connection
      }
    }
  }

  private func fetchWhatIsMissing(_ now: NIODeadline) {
    let (topics, all, needsIdentity) = accumulator.withLock { accumulator in
      (accumulator.topicsWithoutLeader, accumulator.topics.keys, accumulator.needsIdentity)
    }
    if !state.value.isFetchingMetadata {
      if !topics.isEmpty {
        fetchMetadata(topics)
      } else if state.value.metadataFetchedAt + TimeAmount(configuration.client.metadataMaxAge) < now {
        fetchMetadata(Set(all))
      }
    }
    announcePartitions()
    if needsIdentity, !state.value.isFetchingIdentity { fetchIdentity() }
  }

  /// Tells the coordinator which partitions the transaction has got, where it wants to know before they are written.
  private func announcePartitions() {
    guard let transactions, !state.value.isAnnouncing else { return }
    let partitions = accumulator.withLock { $0.partitionsToAnnounce }
    let done = Deferred<Void>()
    guard !partitions.isEmpty, transactions.startAnnouncing(done) else { return }
    state.value.isAnnouncing = true
    inBackground {
      do throws(KafkaError) {
        try await transactions.announce(partitions)
        self.accumulator.withLock { $0.announced(partitions) }
      } catch {
        self.logger.debug("partitions are not in the transaction", metadata: ["error": "\(error)"])
      }
      // After the accumulator knows, so that this is not taken for an announcement in the transaction that comes next.
      done.fulfil(.success(()))
      return { $0.isAnnouncing = false }
    }
  }

  private func fetchMetadata(_ topics: Set<String>) {
    state.value.isFetchingMetadata = true
    let wait = state.value.backoff.next()
    inBackground {
      do throws(KafkaError) {
        try await self.cluster.refreshMetadata(.topics(topics, create: true))
        let metadata = self.cluster.metadata
        self.accumulator.withLock { accumulator in
          for name in topics { metadata.topics[name].map { accumulator.update($0) } }
        }
      } catch {
        self.logger.debug("no metadata", metadata: ["error": "\(error)"])
      }
      let isComplete = self.accumulator.withLock { $0.topicsWithoutLeader.isEmpty }
      if !isComplete { try? await pause(wait) }
      let fresh = Backoff(self.configuration.client)
      return { state in
        state.isFetchingMetadata = false
        state.metadataFetchedAt = .now()
        if isComplete { state.backoff = fresh }
      }
    }
  }

  private func fetchIdentity() {
    state.value.isFetchingIdentity = true
    inBackground {
      do throws(KafkaError) {
        let response = try await self.cluster.send(to: .any) { _ in
          // The time-out only matters to transactions, but has to be a time that brokers accept.
          InitProducerIdRequest(transactionalId: nil, transactionTimeoutMs: .max)
        } failure: {
          .broker($0.errorCode, about: "the producer id")
        }
        self.accumulator.withLock { accumulator in
          // What waited for it may be gone, and something else be on its way under the old one.
          guard accumulator.needsIdentity else { return }
          accumulator.adopt(producerId: response.producerId, epoch: response.producerEpoch, now: .now())
        }
      } catch {
        self.logger.debug("no producer id", metadata: ["error": "\(error)"])
        // Without one nothing can ever be sent, unless this passes.
        if !error.isRetriable { self.report(self.accumulator.withLock { $0.failAll(error) }) }
        try? await pause(self.configuration.client.retryBackoff)
      }
      return { $0.isFetchingIdentity = false }
    }
  }
}
