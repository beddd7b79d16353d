// What a producer counts and measures: see `ProducerConfiguration` for the list.

import Metrics
import NIOCore
import Synchronization

final class ProducerMetrics: Sendable {
  private struct Topic {
    let sends: Counter
    let errors: Counter
    let retries: Counter
    let bytes: Counter

    init(_ topic: String, _ client: ClientMetrics) {
      sends = client.counter("record_send_total", topic: topic)
      errors = client.counter("record_error_total", topic: topic)
      retries = client.counter("record_retry_total", topic: topic)
      bytes = client.counter("byte_total", topic: topic)
    }
  }

  private let client: ClientMetrics
  let requestLatency: Timer
  let bufferWait: Timer
  let commitTime: Timer
  let abortTime: Timer
  private let batchSize: Recorder
  private let bufferAvailable: Gauge
  private let topics = Mutex<[String: Topic]>([:])

  init?(_ configuration: ClientConfiguration) {
    guard let client = ClientMetrics("kafka_producer", configuration) else { return nil }
    self.client = client
    requestLatency = client.timer("request_latency")
    bufferWait = client.timer("bufferpool_wait_time")
    commitTime = client.timer("txn_commit_time")
    abortTime = client.timer("txn_abort_time")
    batchSize = client.recorder("batch_size")
    bufferAvailable = client.gauge("buffer_available_bytes")
  }

  /// A request leaves.
  func sends(_ parts: [ProduceExchange.Part]) {
    for part in parts {
      let topic = topic(part.topic)
      let bytes = part.sealed.bytes.readableBytes
      batchSize.record(bytes)
      topic.bytes.increment(by: bytes)
      if part.isRetry { topic.retries.increment(by: part.recordCount) }
    }
  }

  func delivered(_ deliveries: [Delivery], availableBytes: Int) {
    for delivery in deliveries {
      let topic = topic(delivery.topic)
      switch delivery.result {
      case .success: topic.sends.increment(by: delivery.recordCount)
      case .failure: topic.errors.increment(by: delivery.recordCount)
      }
    }
    bufferAvailable.record(availableBytes)
  }

  private func topic(_ name: String) -> Topic {
    topics.withLock { $0.value(of: name) { Topic($0, client) } }
  }
}
