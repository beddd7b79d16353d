// A real broker in this process, and a line to it that can be cut: over TCP with its data in a directory, or within the
// process with its data in memory, as the test that runs is told (`Transport`).

import Foundation
import Logging
import Millrace
import MillraceLog
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

final class TestCluster: Sendable {
  let line: any Line
  private let directory: String
  private let configuration: Broker.Configuration
  private let surroundings: BrokerNode.Surroundings
  private let broker = Mutex<Broker?>(nil)

  private init(_ settings: [String: String], _ transport: Transport) async throws {
    directory = NSTemporaryDirectory() + "/millrace-client-\(UUID().uuidString)"
    var all = [
      "log.durability": "buffered", "group.initial.rebalance.delay.ms": "0",
      "group.min.session.timeout.ms": "100", "offsets.topic.num.partitions": "1",
      "group.consumer.session.timeout.ms": "60000", "group.consumer.min.session.timeout.ms": "100",
      "group.consumer.heartbeat.interval.ms": "50", "group.consumer.min.heartbeat.interval.ms": "50",
    ]
    all.merge(settings) { _, given in given }
    var configuration: Broker.Configuration
    switch transport {
    case .tcp:
      let proxy = try await Proxy()
      line = proxy
      all["advertised.listeners"] = "PLAINTEXT://\(proxy.address)"
      configuration = Broker.Configuration(
        storage: .directory(directory), listener: BrokerAddress(host: "127.0.0.1", port: 0), settings: all)
    case .inProcess:
      line = InProcessLine()
      configuration = Broker.Configuration(settings: all)
    }
    configuration.logger = Logger(label: "broker", factory: { _ in SwiftLogNoOpLogHandler() })
    self.configuration = configuration
    // One for all that run, so that what is in memory is there after a restart.
    surroundings = BrokerNode.Surroundings(configuration)
  }

  /// Runs `body` against a broker of its own.
  static func run(
    _ settings: [String: String] = [:], _ body: (TestCluster) async throws -> Void
  ) async throws {
    let cluster = try await TestCluster(settings, .current)
    do {
      try await cluster.start()
      try await body(cluster)
    } catch {
      await cluster.remove()
      throw error
    }
    await cluster.remove()
  }

  private func remove() async {
    await stop()
    await line.stop()
    try? FileManager.default.removeItem(atPath: directory)
  }

  // MARK: The broker

  func start() async throws {
    let started = Broker(configuration, in: surroundings)
    try await started.start()
    line.lead(to: started)
    broker.withLock { $0 = started }
  }

  func stop() async {
    line.lead(to: nil)
    line.cut()
    let running = broker.withLock { broker in
      defer { broker = nil }
      return broker
    }
    await running?.stop()
  }

  func restart() async throws {
    await stop()
    try await start()
  }

  /// How many connections the broker has.
  var connectionCount: Int { broker.withLock { $0?.connectionCount ?? 0 } }

  // MARK: Clients

  var client: ClientConfiguration {
    var configuration = ClientConfiguration(bootstrapServers: [line.address])
    configuration.connector = line.connector
    configuration.retryBackoff = .milliseconds(10)
    configuration.retryBackoffMax = .milliseconds(50)
    configuration.bootstrapTimeout = .seconds(60)
    configuration.requestTimeout = .seconds(60)
    configuration.logger = Logger(label: "client", factory: { _ in SwiftLogNoOpLogHandler() })
    return configuration
  }

  func create(_ topic: String, partitions: Int32 = 1, configs: [String: String] = [:]) async throws {
    let admin = try await Admin(client)
    let created = try await admin.createTopics([NewTopic(topic, partitions: partitions, configs: configs)])
    await admin.close()
    _ = try #require(created[topic]).get()
  }

  /// Writes `count` values `0`, `1`, … to partition 0, in as many batches as `batches`.
  func fill(_ topic: String, _ count: Int, batches: Int = 1) async throws {
    var configuration = ProducerConfiguration(client)
    configuration.linger = .seconds(3600)
    let producer = try await Producer(configuration)
    for number in 0..<count {
      try await producer.enqueue(ProducerRecord(topic: topic, partition: 0, value: ByteBuffer(string: "\(number)")))
      if (number + 1) % max(1, count / batches) == 0 { try await producer.flush() }
    }
    await producer.close()
  }

  /// All that is in a topic, by partition.
  func contents(of topic: String) async throws -> [Int32: [ConsumerRecord]] {
    var configuration = ConsumerConfiguration(client)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: [topic], from: .earliest)
    var records: [Int32: [ConsumerRecord]] = [:]
    for try await record in consumer.records { records[record.partition, default: []].append(record) }
    await consumer.close()
    return records
  }

  func values(of topic: String, partition: Int32 = 0) async throws -> [String] {
    try await contents(of: topic)[partition, default: []].map(\.text)
  }
}

extension ConsumerRecord {
  var text: String { value.map { String(buffer: $0) } ?? "nil" }
}

/// What deliveries came, whoever asks.
final class Reports: Sendable {
  private let reports = Mutex<[DeliveryReport]>([])

  var take: @Sendable (DeliveryReport) -> Void { { report in self.reports.withLock { $0.append(report) } } }
  var all: [DeliveryReport] { reports.withLock { $0 } }
  var tokens: [UInt64] { all.flatMap(\.tokens) }
  var failures: [KafkaError] { all.compactMap(\.error) }
}

/// Waits until something is so, and says whether it came to be.
func eventually(within limit: Duration = .seconds(120), _ condition: () async throws -> Bool) async throws -> Bool {
  let deadline = ContinuousClock.now + limit
  while ContinuousClock.now < deadline {
    if try await condition() { return true }
    try await Task.sleep(for: .milliseconds(10))
  }
  return try await condition()
}

/// Reads until the consumer is closed.
func readAll(_ consumer: Consumer) async throws {
  for try await _ in consumer.batches {}
}
