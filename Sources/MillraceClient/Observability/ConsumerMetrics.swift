// What a consumer counts and measures: see `ConsumerConfiguration` and `ShareConsumerConfiguration` for the lists.

import Metrics
import NIOCore
import Synchronization

final class ConsumerMetrics: Sendable {
  private struct Topic {
    let records: Counter
    let bytes: Counter

    init(_ topic: String, _ client: ClientMetrics) {
      records = client.counter("records_consumed_total", topic: topic)
      bytes = client.counter("bytes_consumed_total", topic: topic)
    }
  }

  private struct State {
    var topics: [String: Topic] = [:]
    var lags: [TopicPartition: Gauge] = [:]
    var assigned = 0
  }

  private let client: ClientMetrics
  private let fetchLatency: Timer
  let commitLatency: Timer
  private let fetchSize: Recorder
  private let rebalances: Counter
  private let assigned: Gauge
  private let state = Mutex(State())

  init?(_ configuration: ClientConfiguration) {
    guard let client = ClientMetrics("kafka_consumer", configuration) else { return nil }
    self.client = client
    fetchLatency = client.timer("fetch_latency")
    commitLatency = client.timer("commit_latency")
    fetchSize = client.recorder("fetch_size")
    rebalances = client.counter("rebalance_total")
    assigned = client.gauge("assigned_partitions")
  }

  /// A fetch was answered.
  func fetched(
    _ answers: [Assignment.FetchedPartition], since start: NIODeadline, lag: (TopicPartition) -> Int64?
  ) {
    fetchLatency.record(since: start)
    fetchSize.record(answers.reduce(0) { $0 + $1.records.readableBytes })
    for answer in answers {
      if let lag = lag(answer.partition) { self.lag(lag, of: answer.partition) }
    }
  }

  /// A batch was handed out.
  func consumed(_ batch: RecordBatch, lag: Int64?) {
    let topic = state.withLock { $0.topics.value(of: batch.topic) { Topic($0, client) } }
    topic.records.increment(by: batch.recordCount)
    topic.bytes.increment(by: batch.sizeInBytes)
    if let lag { self.lag(lag, of: batch.topicPartition) }
  }

  /// How many records of a partition the application did not get yet.
  private func lag(_ lag: Int64, of partition: TopicPartition) {
    let gauge = state.withLock { $0.lags.value(of: partition) { client.gauge("records_lag", $0) } }
    gauge.record(max(0, lag))
  }

  /// A group has given partitions or taken some.
  func rebalanced(_ event: RebalanceEvent) {
    switch event {
    case .assigned(let partitions):
      rebalances.increment()
      assigned.record(
        state.withLock { state in
          state.assigned += partitions.count
          return state.assigned
        })
    case .revoked(let partitions), .lost(let partitions):
      // Their lag is for others to tell.
      let (count, lags) = state.withLock { state in
        state.assigned = max(0, state.assigned - partitions.count)
        return (state.assigned, partitions.compactMap { state.lags.removeValue(forKey: $0) })
      }
      assigned.record(count)
      for lag in lags { lag.destroy() }
    }
  }
}

/// What a share consumer counts and measures.
final class ShareConsumerMetrics: Sendable {
  private let client: ClientMetrics
  let fetchLatency: Timer
  private let acknowledgements: Counter
  private let errors: Counter
  private let topics = Mutex<[String: Counter]>([:])

  init?(_ configuration: ClientConfiguration) {
    guard let client = ClientMetrics("kafka_share_consumer", configuration) else { return nil }
    self.client = client
    fetchLatency = client.timer("fetch_latency")
    acknowledgements = client.counter("acknowledgements_send_total")
    errors = client.counter("acknowledgements_error_total")
  }

  /// A fetch brought these records of a topic.
  func acquired(_ offsets: [ClosedRange<Int64>], of topic: String) {
    let counter = topics.withLock { topics in
      topics.value(of: topic) { client.counter("records_acquired_total", topic: $0) }
    }
    for range in offsets { counter.increment(by: max(0, range.upperBound &- range.lowerBound &+ 1)) }
  }

  func acknowledged(_ report: AcknowledgementReport) {
    let count = report.acknowledgements.count
    acknowledgements.increment(by: count)
    if report.error != nil { errors.increment(by: count) }
  }
}
