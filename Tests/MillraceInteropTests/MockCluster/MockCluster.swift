// librdkafka's mock cluster in this process: brokers that speak Kafka's protocol over TCP as of Kafka 2.1, written by
// others, and that can be told to lose leaders, connections and answers.
//
// What it is not, and tests must not lean on: it takes batches of an idempotent producer in any order and twice (of a
// transactional one it checks the sequences, one answer lost at a time), it knows no markers of transactions, and offsets
// that are committed in one go nowhere.

import CLibrdkafka
import Logging
import MillraceClient
import MillraceProtocol
import NIOCore

final class MockCluster: Sendable {
  /// What librdkafka gave us. Its functions may be called from any thread.
  private struct Handles: @unchecked Sendable {
    let client: Librdkafka
    let cluster: OpaquePointer
  }

  /// What a broker does with the next request of a kind instead of answering it.
  enum Fault: Sendable {
    case error(ErrorCode)
    case disconnect
    /// It does what it is asked, and answers so late that nobody waits for it.
    case silence

    fileprivate var code: rd_kafka_resp_err_t {
      switch self {
      case .error(let code): rd_kafka_resp_err_t(rawValue: Int32(code.rawValue))
      case .disconnect: RD_KAFKA_RESP_ERR__TRANSPORT
      case .silence: RD_KAFKA_RESP_ERR_NO_ERROR
      }
    }

    fileprivate var delayMs: Int32 {
      if case .silence = self { 600_000 } else { 0 }
    }
  }

  enum Coordinated {
    case group(String)
    case transaction(String)
  }

  static let brokerIds: [Int32] = [1, 2, 3]

  private let handles: Handles
  let bootstrapServers: [BrokerAddress]

  private init() async throws {
    handles = try await Librdkafka.onThread {
      let client = try Librdkafka(RD_KAFKA_PRODUCER)
      guard let cluster = rd_kafka_mock_cluster_new(client.handle, Int32(Self.brokerIds.count)) else {
        client.close()
        throw LibrdkafkaError("rd_kafka_mock_cluster_new", "there is none")
      }
      return Handles(client: client, cluster: cluster)
    }
    bootstrapServers = try BrokerAddress.list(String(cString: rd_kafka_mock_cluster_bootstraps(handles.cluster)))
  }

  /// As many clusters as run at once, to leave the machine to other tests.
  private static let places = Places(6)

  /// Runs `body` against three brokers of its own.
  static func run(_ body: (MockCluster) async throws -> Void) async throws {
    await places.take()
    let result: Result<Void, any Error>
    do {
      let cluster = try await MockCluster()
      do {
        result = .success(try await body(cluster))
      } catch {
        result = .failure(error)
      }
      await cluster.stop()
    } catch {
      result = .failure(error)
    }
    await places.giveBack()
    try result.get()
  }

  private func stop() async {
    try? await Librdkafka.onThread { [handles] in
      rd_kafka_mock_cluster_destroy(handles.cluster)
      handles.client.close()
    }
  }

  private func call(
    _ name: String = #function, _ body: @escaping @Sendable (OpaquePointer) -> rd_kafka_resp_err_t
  ) async throws {
    let code = try await Librdkafka.onThread { [handles] in body(handles.cluster) }
    guard code == RD_KAFKA_RESP_ERR_NO_ERROR else {
      throw LibrdkafkaError(name, code)
    }
  }

  // MARK: Topics

  /// Makes a topic; partition `i` is led by broker `leaders[i]`.
  func create(_ topic: String, leaders: [Int32]) async throws {
    try await call { rd_kafka_mock_topic_create($0, topic, Int32(leaders.count), Int32(Self.brokerIds.count)) }
    for (partition, leader) in leaders.enumerated() { try await lead(topic, Int32(partition), by: leader) }
  }

  /// Moves a partition to another leader; -1 for nobody.
  func lead(_ topic: String, _ partition: Int32 = 0, by broker: Int32) async throws {
    try await call { rd_kafka_mock_partition_set_leader($0, topic, partition, broker) }
  }

  /// The leader sends readers of the partition to this broker (KIP-392); -1 for to nobody.
  func follow(_ topic: String, _ partition: Int32 = 0, by broker: Int32) async throws {
    try await call { rd_kafka_mock_partition_set_follower($0, topic, partition, broker) }
  }

  /// What Metadata says of a topic instead of what it is.
  func deny(_ topic: String, _ code: ErrorCode) async throws {
    try await Librdkafka.onThread { [handles] in
      rd_kafka_mock_topic_set_error(handles.cluster, topic, rd_kafka_resp_err_t(rawValue: Int32(code.rawValue)))
    }
  }

  // MARK: Brokers

  /// Cuts a broker's connections and takes none. It goes on leading what it leads.
  func takeDown(_ broker: Int32) async throws {
    try await call { rd_kafka_mock_broker_set_down($0, broker) }
  }

  func bringUp(_ broker: Int32) async throws {
    try await call { rd_kafka_mock_broker_set_up($0, broker) }
  }

  func coordinate(_ what: Coordinated, by broker: Int32) async throws {
    let (type, key) =
      switch what {
      case .group(let group): ("group", group)
      case .transaction(let id): ("transaction", id)
      }
    try await call { rd_kafka_mock_coordinator_set($0, type, key, broker) }
  }

  /// Speaks these versions of an API only.
  func limit(_ api: ApiKey, to versions: ClosedRange<Int16>) async throws {
    try await call {
      rd_kafka_mock_set_apiversion($0, api.rawValue, versions.lowerBound, versions.upperBound)
    }
  }

  // MARK: Faults

  /// What a broker does with the next requests of a kind, one after the other.
  func inject(_ faults: [Fault], into api: ApiKey, at broker: Int32) async throws {
    for fault in faults {
      try await call { millrace_mock_push_fault($0, broker, api.rawValue, fault.code, fault.delayMs) }
    }
  }

  func inject(_ codes: ErrorCode..., into api: ApiKey, at broker: Int32) async throws {
    try await inject(codes.map { .error($0) }, into: api, at: broker)
  }

  /// How many faults no request has met yet.
  func faultsLeft(in api: ApiKey, at broker: Int32) async throws -> Int {
    try await Librdkafka.onThread { [handles] in
      var count = 0
      let code = rd_kafka_mock_broker_error_stack_cnt(handles.cluster, broker, api.rawValue, &count)
      return code == RD_KAFKA_RESP_ERR_NO_ERROR ? count : -1
    }
  }

  // MARK: Clients

  var client: ClientConfiguration {
    var configuration = ClientConfiguration(bootstrapServers: bootstrapServers)
    configuration.retryBackoff = .milliseconds(10)
    configuration.retryBackoffMax = .milliseconds(50)
    configuration.bootstrapTimeout = .seconds(60)
    configuration.operationTimeout = .seconds(120)
    configuration.logger = Logger(label: "client", factory: { _ in SwiftLogNoOpLogHandler() })
    return configuration
  }

  /// Writes values `0`, `1`, … to the partitions in turn, in many small batches.
  func fill(_ topic: String, _ count: Int, partitions: Int32 = 1) async throws {
    var configuration = ProducerConfiguration(client)
    configuration.batchBytes = 200
    let producer = try await Producer(configuration)
    for number in 0..<count {
      let value = ByteBuffer(string: "\(number)")
      try await producer.enqueue(ProducerRecord(topic: topic, partition: Int32(number) % partitions, value: value))
    }
    try await producer.flush()
    await producer.close()
  }

  /// All that is in a topic, by partition.
  func contents(of topic: String) async throws -> [Int32: [String]] {
    var configuration = ConsumerConfiguration(client)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: [topic], from: .earliest)
    var values: [Int32: [String]] = [:]
    for try await record in consumer.records { values[record.partition, default: []].append(record.text) }
    await consumer.close()
    return values
  }
}

extension ConsumerRecord {
  var text: String { value.map { String(buffer: $0) } ?? "nil" }
}

/// A number of places, for whoever comes first.
private actor Places {
  private var free: Int
  private var waiting = CircularBuffer<CheckedContinuation<Void, Never>>()

  init(_ count: Int) {
    free = count
  }

  func take() async {
    if free > 0 {
      free -= 1
    } else {
      await withCheckedContinuation { waiting.append($0) }
    }
  }

  func giveBack() {
    if let next = waiting.popFirst() { next.resume() } else { free += 1 }
  }
}

/// Waits until something is so, for as long as a slow machine may need.
func wait(_ what: String, until condition: () async throws -> Bool) async throws {
  let deadline = ContinuousClock.now + .seconds(120)
  while try await !condition() {
    guard .now < deadline else { throw LibrdkafkaError(what, "it did not come to be") }
    try await Task.sleep(for: .milliseconds(10))
  }
}
