// Runs a handler for every record that a member of a share group is given. The broker counts deliveries, waits between
// them and writes dead letters; so here is only what a handler's end says of its record, and how many run at a time.

import Synchronization

/// How a ``ShareWorker`` takes and handles records.
///
/// With a metrics system of swift-metrics bootstrapped before it runs, a share worker counts and measures what it does,
/// beside what ``ShareConsumerConfiguration`` lists. Each metric has the dimensions `client_id` and `topic`.
///
/// | metric | kind | |
/// |---|---|---|
/// | `kafka_share_worker_records_processed_total` | counter | records that were accepted |
/// | `kafka_share_worker_attempts_failed_total` | counter | handlers that threw; the record was released or rejected |
/// | `kafka_share_worker_records_rejected_total` | counter | records that were rejected |
/// | `kafka_share_worker_handler_time` | timer | how long a handler ran, whatever came of it |
public struct ShareWorkerConfiguration: Sendable {
  /// Whatever it says, acknowledgements are explicit, locks are renewed, and no more records come than are handled soon.
  public var consumer: ShareConsumerConfiguration
  /// How many handlers run at a time. While all of them do, about as many records more are fetched already.
  public var concurrency = 1
  /// How long handlers may go on when the work ends; then they are cancelled.
  public var grace: Duration = .seconds(10)
  /// Told what becomes of records. Called from several tasks at once, and not waited for long: be quick.
  public var onEvent: (@Sendable (WorkerEvent) -> Void)?

  /// The defaults, for a share group.
  public init(_ consumer: ShareConsumerConfiguration) {
    self.consumer = consumer
  }

  func check() throws(KafkaError) {
    guard concurrency > 0 else { throw KafkaError(.configuration, "concurrency must be greater than zero") }
    guard grace >= .zero else { throw KafkaError(.configuration, "grace must not be negative") }
  }
}

/// Processes the records of topics as a member of a share group, each with a handler that may fail.
///
/// ```swift
/// let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
/// var configuration = ShareWorkerConfiguration(ShareConsumerConfiguration(client, groupId: "mailers"))
/// configuration.concurrency = 8
/// try await ShareWorker(configuration).run(["mails"]) { delivery in
///   try await send(delivery.value)
/// }
/// ```
///
/// A record is accepted when its handler returns, rejected when that throws a ``HandlerFailure`` with verdict `.reject`,
/// and released for another attempt, here or at another member, when it throws anything else. How often, after which
/// pauses and what then is for the broker to say: `share.delivery.count.limit`, `millrace.share.retry.backoff.ms` and
/// `errors.deadletterqueue.topic.name` are configs of the group. While a handler runs, the lock of its record is renewed.
public struct ShareWorker: Sendable {
  /// How it works.
  public let configuration: ShareWorkerConfiguration

  /// A worker. Nothing is connected before it runs.
  public init(_ configuration: ShareWorkerConfiguration) {
    self.configuration = configuration
  }

  /// Works until its task is cancelled or its service is shut down gracefully: then handlers that run may come to an end for ``ShareWorkerConfiguration/grace``,
  /// everything else is given back as if it had not been delivered, and the group is left.
  ///
  /// - Throws: a ``HandlerFailure`` with verdict `.stop` of the handler, whose record is given back; or a `KafkaError`
  ///   when the topics cannot be read.
  @discardableResult
  public func run(_ topics: [String], _ handler: @escaping RecordHandler) async throws -> WorkerSummary {
    try configuration.check()
    let metrics = WorkerMetrics.ofShareWorker(configuration.consumer.client)
    let counter = WorkerCounter(metrics, configuration.onEvent)
    let handler = metrics?.timing(handler) ?? handler
    let ending = WorkerEnding()
    let consumer = try await consumer { counter.count($0) }
    let handlings = ShareHandlings(
      consumer, Slots(configuration.concurrency), consumer.tracing?.tracing(handler) ?? handler,
      tell: { counter.count($0) }, stop: { ending.stop($0) })
    await ending.reading {
      try await consumer.subscribe(to: topics)
      // All that comes is taken in hand at once, since only what is in hand has its lock renewed. No more comes while
      // there is enough.
      for try await record in consumer.records.cancelOnGracefulShutdown() { handlings.take(record) }
    }
    // Beside the task, which may be cancelled: this has to be done all the same.
    await Task { [grace = configuration.grace] in
      await handlings.end(within: grace)
      await consumer.close()
    }.value
    if let failure = ending.failure { throw failure }
    return counter.summary
  }

  private func consumer(_ tell: @escaping @Sendable (WorkerEvent) -> Void) async throws(KafkaError) -> ShareConsumer {
    var consumer = configuration.consumer
    consumer.acknowledgementMode = .explicit
    consumer.renewsLocks = true
    consumer.acquireMode = .recordLimit
    // Enough to fetch when every handler has a record and none waits for one, and not before.
    consumer.maxRecords = configuration.concurrency + 1
    let next = consumer.onAcknowledged
    consumer.onAcknowledged = { report in
      if let error = report.error { tell(.notAcknowledged(error)) }
      next?(report)
    }
    return try await ShareConsumer(consumer)
  }
}

/// The records that a share worker has in hand, each in a task of its own.
private final class ShareHandlings: Sendable {
  private struct State {
    var tasks: [Int: Task<Void, Never>] = [:]
    var count = 0
    var isStopped = false
  }

  private let consumer: ShareConsumer
  private let slots: Slots
  private let handler: RecordHandler
  private let tell: @Sendable (WorkerEvent) -> Void
  private let stop: @Sendable (HandlerFailure) -> Void
  private let state = Mutex(State())

  init(
    _ consumer: ShareConsumer, _ slots: Slots, _ handler: @escaping RecordHandler,
    tell: @escaping @Sendable (WorkerEvent) -> Void, stop: @escaping @Sendable (HandlerFailure) -> Void
  ) {
    self.consumer = consumer
    self.slots = slots
    self.handler = handler
    self.tell = tell
    self.stop = stop
  }

  private var isStopped: Bool { state.withLock { $0.isStopped } }

  func take(_ record: ShareRecord) {
    state.withLock { state in
      guard !state.isStopped else { return }
      state.count += 1
      state.tasks[state.count] = Task { [number = state.count] in
        await self.handle(record)
        self.state.withLock { $0.tasks[number] = nil }
      }
    }
  }

  /// What is not acknowledged here, the end of the session gives back.
  private func handle(_ record: ShareRecord) async {
    guard (try? await slots.acquire()) != nil else { return }
    defer { slots.release() }
    guard !isStopped else { return }
    let delivery = RecordDelivery(record.record, attempt: record.deliveryCount)
    switch await HandlerOutcome.of(handler, delivery) {
    case .done: acknowledge(record, .accept, .done(delivery))
    case .givenBack: break
    case .failed(let failure):
      switch failure.verdict {
      case .stop:
        state.withLock { $0.isStopped = true }
        stop(failure)
      case .retry: acknowledge(record, .release, .failed(delivery, failure, retriedAfter: nil))
      case .reject: acknowledge(record, .reject, .failed(delivery, failure, retriedAfter: nil), .rejected(delivery))
      }
    }
  }

  private func acknowledge(_ record: ShareRecord, _ type: Acknowledgement, _ events: WorkerEvent...) {
    do throws(KafkaError) {
      try consumer.acknowledge(record, type)
      for event in events { tell(event) }
    } catch {
      tell(.notAcknowledged(error))
    }
  }

  /// Takes nothing new, and waits for the handlers that run.
  func end(within grace: Duration) async {
    let tasks = state.withLock { state in
      state.isStopped = true
      return Array(state.tasks.values)
    }
    await Task.finish(tasks, within: grace)
  }
}
