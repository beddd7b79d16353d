// What workers count and measure: see `WorkerConfiguration` and `ShareWorkerConfiguration` for the lists.

import Metrics
import NIOCore
import Synchronization

final class WorkerMetrics: Sendable {
  enum Count: String {
    case processed = "records_processed_total"
    case failed = "attempts_failed_total"
    case retried = "retries_total"
    case postponed = "records_postponed_total"
    case deadLettered = "dead_letters_total"
    case notWritten = "write_errors_total"
    case rejected = "records_rejected_total"
  }

  private struct Topic {
    let counters: [Count: Counter]
    let handlerTime: Timer
  }

  private let client: ClientMetrics
  private let counts: [Count]
  private let topics = Mutex<[String: Topic]>([:])

  private init?(_ prefix: String, _ configuration: ClientConfiguration, _ counts: [Count]) {
    guard let client = ClientMetrics(prefix, configuration) else { return nil }
    self.client = client
    self.counts = counts
  }

  static func ofRecordWorker(_ configuration: ClientConfiguration) -> WorkerMetrics? {
    WorkerMetrics(
      "kafka_worker", configuration, [.processed, .failed, .retried, .postponed, .deadLettered, .notWritten])
  }

  static func ofShareWorker(_ configuration: ClientConfiguration) -> WorkerMetrics? {
    WorkerMetrics("kafka_share_worker", configuration, [.processed, .failed, .rejected])
  }

  func count(_ event: WorkerEvent) {
    switch event {
    case .done(let delivery): count(.processed, delivery)
    case .failed(let delivery, _, let pause):
      count(.failed, delivery)
      if pause != nil { count(.retried, delivery) }
    case .postponed(let delivery, _): count(.postponed, delivery)
    case .deadLettered(let delivery, _, _): count(.deadLettered, delivery)
    case .notWritten(let delivery, _, _): count(.notWritten, delivery)
    case .rejected(let delivery): count(.rejected, delivery)
    // The consumer's own metrics have these.
    case .notCommitted, .notAcknowledged: break
    }
  }

  /// A handler whose time is taken, whatever comes of it.
  func timing(_ handler: @escaping RecordHandler) -> RecordHandler {
    { [self] delivery in
      let start = NIODeadline.now()
      defer { topic(of: delivery).handlerTime.record(since: start) }
      try await handler(delivery)
    }
  }

  private func count(_ count: Count, _ delivery: RecordDelivery) {
    topic(of: delivery).counters[count]?.increment()
  }

  /// All counters of a topic are there, at zero, once it has a record.
  private func topic(of delivery: RecordDelivery) -> Topic {
    topics.withLock { topics in
      topics.value(of: delivery.origin.topic) { name in
        Topic(
          counters: Dictionary(
            uniqueKeysWithValues: counts.map { ($0, client.counter($0.rawValue, topic: name)) }),
          handlerTime: client.timer("handler_time", topic: name))
      }
    }
  }
}
