// What clients count and measure, on a real broker.

import Metrics
import MetricsTestKit
import NIOCore
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct MetricsBrokerTests {
  private let client = ("client_id", "billing-1")
  private let topic = ("topic", "t")

  private func configuration(_ cluster: TestCluster) -> ClientConfiguration {
    var configuration = cluster.client
    configuration.clientId = "billing-1"
    return configuration
  }

  @Test func `a producer counts records, bytes and requests`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", configs: ["max.message.bytes": "1000"])
      let metrics = TestMetrics()
      let producer = try await withMetricsFactory(metrics) {
        try await Producer(ProducerConfiguration(configuration(cluster)))
      }
      for _ in 0..<10 { try await producer.send(ProducerRecord(topic: "t", key: "k", value: "value")) }
      await #expect(throws: KafkaError.self) {
        try await producer.send(ProducerRecord(topic: "t", value: String(repeating: "x", count: 2000)))
      }
      await producer.close()
      #expect(try metrics.expectCounter("kafka_producer_record_send_total", [client, topic]).totalValue == 10)
      #expect(try metrics.expectCounter("kafka_producer_record_error_total", [client, topic]).totalValue == 1)
      #expect(try metrics.expectCounter("kafka_producer_record_retry_total", [client, topic]).totalValue == 0)
      let sizes = try metrics.expectRecorder("kafka_producer_batch_size", [client]).values
      let bytes = try metrics.expectCounter("kafka_producer_byte_total", [client, topic]).totalValue
      #expect(sizes.count == 11)
      #expect(bytes == Int64(sizes.reduce(0, +)))
      let latencies = try metrics.expectTimer("kafka_producer_request_latency", [client]).values
      #expect(latencies.count == 11 && latencies.allSatisfy { $0 > 0 })
      let available = try metrics.expectRecorder("kafka_producer_buffer_available_bytes", [client])
      #expect(available.lastValue == Double(ProducerConfiguration(cluster.client).bufferBytes))
    }
  }

  @Test func `a producer counts what it sends again, and the ends of transactions`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let metrics = TestMetrics()
      let (producer, transactional) = try await withMetricsFactory(metrics) {
        (
          try await Producer(ProducerConfiguration(configuration(cluster))),
          try await TransactionalProducer(ProducerConfiguration(configuration(cluster)), transactionalId: "tx")
        )
      }
      try await producer.send(ProducerRecord(topic: "t", value: "1"))
      try await cluster.line.stall(true)
      async let sent = producer.send(ProducerRecord(topic: "t", value: "2"))
      let latency = try metrics.expectRecorder("kafka_producer_batch_size", [client])
      #expect(try await eventually(within: .seconds(60)) { latency.values.count == 2 })
      cluster.line.cut()
      _ = try await sent
      await producer.close()
      #expect(try metrics.expectCounter("kafka_producer_record_send_total", [client, topic]).totalValue == 2)
      #expect(try metrics.expectCounter("kafka_producer_record_retry_total", [client, topic]).totalValue >= 1)

      _ = try await transactional.withTransaction { try await $0.send(ProducerRecord(topic: "t", value: "3")) }
      struct Refused: Error {}
      await #expect(throws: Refused.self) {
        try await transactional.withTransaction { transaction in
          try await transaction.send(ProducerRecord(topic: "t", value: "4"))
          throw Refused()
        }
      }
      await transactional.close()
      #expect(try metrics.expectTimer("kafka_producer_txn_commit_time", [client]).values.count == 1)
      #expect(try metrics.expectTimer("kafka_producer_txn_abort_time", [client]).values.count == 1)
    }
  }

  @Test func `a consumer counts records, and tells its lag and its group's doings`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20, batches: 2)
      let metrics = TestMetrics()
      var configuration = ConsumerConfiguration(configuration(cluster), groupId: "g")
      configuration.autoOffsetReset = .earliest
      configuration.autoCommitInterval = nil
      let consumer = try await withMetricsFactory(metrics) { [configuration] in try await Consumer(configuration) }
      try await consumer.subscribe(to: ["t"])
      let partition = ("partition", "0")
      var lags: [Double?] = []
      var bytes = 0
      var batches = consumer.batches.makeAsyncIterator()
      for _ in 0..<2 {
        let batch = try #require(try await batches.next())
        bytes += batch.sizeInBytes
        lags.append(try metrics.expectRecorder("kafka_consumer_records_lag", [client, topic, partition]).lastValue)
      }
      try await consumer.commit()
      #expect(lags == [10, 0])
      #expect(try metrics.expectCounter("kafka_consumer_records_consumed_total", [client, topic]).totalValue == 20)
      #expect(
        try metrics.expectCounter("kafka_consumer_bytes_consumed_total", [client, topic]).totalValue == Int64(bytes))
      #expect(try metrics.expectTimer("kafka_consumer_commit_latency", [client]).values.count == 1)
      #expect(try !metrics.expectTimer("kafka_consumer_fetch_latency", [client]).values.isEmpty)
      let fetched = try metrics.expectRecorder("kafka_consumer_fetch_size", [client]).values
      #expect(fetched.reduce(0, +) >= Double(bytes))
      #expect(try metrics.expectCounter("kafka_consumer_rebalance_total", [client]).totalValue >= 1)
      #expect(try metrics.expectRecorder("kafka_consumer_assigned_partitions", [client]).lastValue == 1)
      await consumer.close()
      #expect(try metrics.expectRecorder("kafka_consumer_assigned_partitions", [client]).lastValue == 0)
      #expect(
        metrics.recorders(label: "kafka_consumer_records_lag").isEmpty, "another member tells that partition's lag now")
    }
  }

  @Test func `a share consumer counts what it takes and says of it`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 5)
      let admin = try await Admin(cluster.client)
      let results = try await admin.alterConfigs([.group("s"): [.set("share.auto.offset.reset", "earliest")]])
      try #require(results[.group("s")]).get()
      await admin.close()
      let metrics = TestMetrics()
      let consumer = try await withMetricsFactory(metrics) {
        try await ShareConsumer(ShareConsumerConfiguration(configuration(cluster), groupId: "s"))
      }
      try await consumer.subscribe(to: ["t"])
      var count = 0
      for try await _ in consumer.records {
        count += 1
        if count == 5 { break }
      }
      try await consumer.commit()
      await consumer.close()
      #expect(
        try metrics.expectCounter("kafka_share_consumer_records_acquired_total", [client, topic]).totalValue == 5)
      #expect(
        try metrics.expectCounter("kafka_share_consumer_acknowledgements_send_total", [client]).totalValue == 5)
      #expect(
        try metrics.expectCounter("kafka_share_consumer_acknowledgements_error_total", [client]).totalValue == 0)
      #expect(try !metrics.expectTimer("kafka_share_consumer_fetch_latency", [client]).values.isEmpty)
    }
  }

  // MARK: Workers

  private struct Failed: Error {}

  /// Runs a worker until so much was done, and stops it.
  private func work(
    _ metrics: TestMetrics, until expected: WorkerSummary,
    _ run: @escaping @Sendable (_ tell: @escaping @Sendable (WorkerEvent) -> Void) async throws -> WorkerSummary
  ) async throws {
    let told = WorkerCounter(nil, nil)
    let worker = withMetricsFactory(metrics) {
      Task { @Sendable in try await run { told.count($0) } }
    }
    let wasDone = try await eventually(within: .seconds(240)) { told.summary == expected }
    worker.cancel()
    #expect(try await worker.value == expected)
    #expect(wasDone)
  }

  @Test func `a record worker counts what becomes of records, and takes the time of its handler`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 3)
      var consumer = ConsumerConfiguration(configuration(cluster), groupId: "g")
      consumer.autoOffsetReset = .earliest
      var configuration = WorkerConfiguration(consumer)
      configuration.policy = RetryPolicy(
        maxAttempts: 2, backoff: .constant(.milliseconds(1)), retryTopicDelays: [.milliseconds(1)])
      let metrics = TestMetrics()
      let expected = WorkerSummary(done: 2, failedAttempts: 3, postponed: 1, deadLettered: 1)
      try await work(metrics, until: expected) { [configuration] tell in
        var configuration = configuration
        configuration.onEvent = tell
        return try await RecordWorker(configuration).run(["t"]) { delivery in
          // The second one fails until it comes from the retry topic, the third is no good.
          if delivery.record.text == "1", delivery.attempt < 3 { throw Failed() }
          if delivery.record.text == "2" { throw HandlerFailure(.reject, exceptionClass: "NoGood", message: "no good") }
        }
      }
      let counts = [
        "records_processed_total": 2, "attempts_failed_total": 3, "retries_total": 1, "records_postponed_total": 1,
        "dead_letters_total": 1, "write_errors_total": 0,
      ]
      for (name, count) in counts {
        let counter = try metrics.expectCounter("kafka_worker_\(name)", [client, topic])
        #expect(counter.totalValue == Int64(count), "\(name)")
      }
      let times = try metrics.expectTimer("kafka_worker_handler_time", [client, topic]).values
      #expect(times.count == 5 && times.allSatisfy { $0 > 0 })
    }
  }

  @Test func `a share worker counts what becomes of records, and takes the time of its handler`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 3)
      let admin = try await Admin(cluster.client)
      let results = try await admin.alterConfigs([.group("s"): [.set("share.auto.offset.reset", "earliest")]])
      try #require(results[.group("s")]).get()
      await admin.close()
      let configuration = ShareWorkerConfiguration(
        ShareConsumerConfiguration(configuration(cluster), groupId: "s"))
      let metrics = TestMetrics()
      let expected = WorkerSummary(done: 2, failedAttempts: 2, rejected: 1)
      try await work(metrics, until: expected) { tell in
        var configuration = configuration
        configuration.onEvent = tell
        return try await ShareWorker(configuration).run(["t"]) { delivery in
          if delivery.record.text == "1", delivery.attempt == 1 { throw Failed() }
          if delivery.record.text == "2" { throw HandlerFailure(.reject, exceptionClass: "NoGood", message: "no good") }
        }
      }
      for (name, count) in ["records_processed_total": 2, "attempts_failed_total": 2, "records_rejected_total": 1] {
        let counter = try metrics.expectCounter("kafka_share_worker_\(name)", [client, topic])
        #expect(counter.totalValue == Int64(count), "\(name)")
      }
      let times = try metrics.expectTimer("kafka_share_worker_handler_time", [client, topic]).values
      #expect(times.count == 4 && times.allSatisfy { $0 > 0 })
    }
  }

  @Test func `without a metrics system there are no metrics`() async throws {
    try await TestCluster.run { cluster in
      let (producer, consumer) = try await withMetricsFactory(NOOPMetricsHandler.instance) {
        (
          try await Producer(ProducerConfiguration(cluster.client)),
          try await Consumer(ConsumerConfiguration(cluster.client))
        )
      }
      #expect(producer.sender.metrics == nil && producer.sender.tracing == nil)
      #expect(consumer.fetcher.metrics == nil && consumer.tracing == nil)
      withMetricsFactory(NOOPMetricsHandler.instance) {
        #expect(WorkerMetrics.ofRecordWorker(cluster.client) == nil)
        #expect(WorkerMetrics.ofShareWorker(cluster.client) == nil)
      }
      await producer.close()
      await consumer.close()
    }
  }
}
