// Runs a handler for every record of some topics, as a member of a group. `PartitionLanes` has the partitions,
// `RecordAttempts` takes a record to its end; here is what holds them together.

import NIOCore
import Synchronization

/// Processes the records of topics, each with a handler that may fail.
///
/// ```swift
/// let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
/// var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
/// configuration.policy = RetryPolicy(maxAttempts: 5, retryTopicDelays: [.seconds(60), .seconds(600)])
/// configuration.concurrency = 8
/// try await RecordWorker(configuration).run(["orders"]) { delivery in
///   try await bill(delivery.value)
/// }
/// ```
///
/// A record whose handler throws is tried again after a pause, as the ``RetryPolicy`` says; then it goes to the retry
/// topics, if there are any, and in the end to the dead-letter topic, with headers that say why (see ``DeadLetter``). A
/// record never overtakes another of its partition, but for those that went to a retry topic; and while one waits for
/// its next attempt or for its dead letter to be written, all other partitions go on.
///
/// An offset is committed when the record is processed, or when the topic that it went to instead has acknowledged it. So
/// no record is lost, and after a failure of this process, of the group or of a broker some are processed again.
public struct RecordWorker: Sendable {
  private static let defaultCommitInterval = Duration.seconds(1)

  /// How it works.
  public let configuration: WorkerConfiguration

  /// A worker. Nothing is connected before it runs.
  public init(_ configuration: WorkerConfiguration) {
    self.configuration = configuration
  }

  /// Works until its task is cancelled or its service is shut down gracefully: then handlers that run may come to an end for ``WorkerConfiguration/grace``, what
  /// is done is committed, and the group is left.
  ///
  /// - Throws: a ``HandlerFailure`` with verdict `.stop` of the handler, or of a record that failed every time without
  ///   ``WorkerConfiguration/writesDeadLetters``; or a `KafkaError` when the topics cannot be read. What was done until
  ///   then is committed, and nothing else.
  @discardableResult
  public func run(_ topics: [String], _ handler: @escaping RecordHandler) async throws -> WorkerSummary {
    try configuration.check()
    let topics = WorkerTopics(topics, configuration.policy)
    let metrics = WorkerMetrics.ofRecordWorker(configuration.consumer.client)
    let counter = WorkerCounter(metrics, configuration.onEvent)
    let handler = metrics?.timing(handler) ?? handler
    let writer = try await LetterWriter(configuration.producer, createsTopics: configuration.createsTopics)
    let ending = WorkerEnding()
    do {
      for (topic, source) in topics.retryTopics {
        try await writer.partitionCount(of: topic, from: source, keepsForEver: false)
      }
      let rebalances = Rebalances(configuration.consumer.onRebalance)
      let consumer = try await consumer(rebalances)
      let attempts = RecordAttempts(
        configuration: configuration, topics: topics, slots: Slots(configuration.concurrency), writer: writer,
        handler: consumer.tracing?.tracing(handler) ?? handler, tell: { counter.count($0) })
      let lanes = PartitionLanes(consumer, attempts) { ending.stop($0) }
      rebalances.lanes.withLock { $0 = lanes }
      await work(on: topics, consumer, lanes, ending)
      rebalances.lanes.withLock { $0 = nil }
    } catch {
      await writer.close()
      throw error
    }
    await writer.close()
    if let failure = ending.failure { throw failure }
    return counter.summary
  }

  private func consumer(_ rebalances: Rebalances) async throws(KafkaError) -> Consumer {
    var configuration = configuration.consumer
    configuration.autoCommitInterval = nil
    configuration.onRebalance = { await rebalances.tell($0) }
    return try await Consumer(configuration)
  }

  /// Beside the task, which may be cancelled: what follows has to be done all the same.
  private func work(
    on topics: WorkerTopics, _ consumer: Consumer, _ lanes: PartitionLanes, _ ending: WorkerEnding
  ) async {
    let interval = configuration.consumer.autoCommitInterval ?? Self.defaultCommitInterval
    let committing = Task {
      while (try? await Task.sleep(for: interval)) != nil { await lanes.commit() }
    }
    await ending.reading {
      try await consumer.subscribe(to: topics.all)
      for try await batch in consumer.batches.cancelOnGracefulShutdown() { lanes.take(batch) }
    }
    committing.cancel()
    await committing.value
    await Task {
      await lanes.end()
      await lanes.commit()
      await consumer.close()
    }.value
  }
}

extension RecordWorker {
  /// Passes rebalances on to the lanes, which there are none of before there is a consumer.
  private final class Rebalances: Sendable {
    let lanes = Mutex<PartitionLanes?>(nil)
    private let next: (@Sendable (RebalanceEvent) async -> Void)?

    init(_ next: (@Sendable (RebalanceEvent) async -> Void)?) {
      self.next = next
    }

    func tell(_ event: RebalanceEvent) async {
      let lanes = lanes.withLock { $0 }
      switch event {
      case .assigned(let partitions): lanes?.assigned(partitions)
      case .revoked(let partitions): await lanes?.revoked(partitions)
      case .lost(let partitions): await lanes?.lost(partitions)
      }
      await next?(event)
    }
  }
}
