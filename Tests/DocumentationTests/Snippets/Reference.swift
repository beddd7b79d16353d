// The code of the documentation of types. It is compiled, and not run: what is longer than a few lines, and what needs no
// cluster, runs as the code of an article.
import Logging
import Millrace
import MillraceClient
import MillraceJSON
import MillraceTesting
import NIOCore
import ServiceLifecycle
import Testing

private struct Order: Codable, Sendable {
  var id: String
  var total: Double

  init?(_ bytes: ByteBuffer?) {
    guard let total = bytes.flatMap({ Double(String(buffer: $0)) }) else { return nil }
    (id, self.total) = ("", total)
  }

  init(serializedBytes: [UInt8]) throws { (id, total) = (String(decoding: serializedBytes, as: UTF8.self), 0) }
  func serializedBytes() throws -> [UInt8] { Array(id.utf8) }
}

private struct Profile: Codable, Sendable {
  var name: String
}

private struct TokenIssuer: Sendable {
  func currentToken() async throws -> String { "" }
}

@Sendable private func bill(_ record: ConsumerRecord) async throws {}
@Sendable private func bill(_ order: Order) async throws {}
@Sendable private func bill(_ value: ByteBuffer?) async throws {}
@Sendable private func send(_ value: ByteBuffer?) async throws {}
private func isSent(_ value: ByteBuffer?) async -> Bool { true }
private func invoice(for order: ConsumerRecord) -> ProducerRecord {
  ProducerRecord(topic: "invoices", value: order.value)
}

extension RecordCoder where Value == Order {
  static var protobuf: RecordCoder {
    RecordCoder { order in
      ByteBuffer(bytes: try order.serializedBytes() as [UInt8])
    } decode: { bytes in
      try Order(serializedBytes: Array(bytes.readableBytesView))
    }
  }
}

private enum Configuring {
  static func tls(_ configuration: inout ClientConfiguration) {
    configuration.tls = TLSSettings(
      trustRoots: [.file("ca.pem")],
      identity: .init(certificates: .file("orders.pem"), privateKey: .file("orders.key")))
  }

  static func sasl(password: String) throws {
    var configuration = try ClientConfiguration(bootstrapServers: "broker.example:9093")
    configuration.tls = TLSSettings()
    configuration.sasl = .scramSHA512(username: "orders", password: password)
  }

  static func oauth(_ configuration: inout ClientConfiguration, issuer: TokenIssuer) {
    configuration.sasl = .oauthBearer { OAuthBearerToken(try await issuer.currentToken()) }
  }

  static func partitioner(_ client: ClientConfiguration) {
    var configuration = ProducerConfiguration(client)
    // Customers of one region stay together.
    configuration.partitioner = { record, partitionCount in
      guard let region = record.headers.last(where: { $0.key == "region" })?.value else { return nil }
      return Int32(region.readableBytesView.reduce(0) { ($0 &* 31 &+ Int($1)) & 0xFFFF } % Int(partitionCount))
    }
  }

  static func policy() -> RetryPolicy {
    let policy = RetryPolicy(maxAttempts: 5, backoff: .exponential(from: .milliseconds(200), to: .seconds(30)))
    return policy
  }

  static func administer() async throws {
    let admin = try await Admin(ClientConfiguration(bootstrapServers: "localhost:9092"))
    let results = try await admin.createTopics([NewTopic("orders", partitions: 3)])
    _ = try results["orders"]?.get()
    await admin.close()
  }
}

private enum Producing {
  static func send() async throws {
    let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
    let producer = try await Producer(ProducerConfiguration(client))
    let written = try await producer.send(ProducerRecord(topic: "orders", key: "42", value: "{}"))
    print(written.partition, written.offset)
    await producer.close()
  }

  static func retry(_ producer: Producer) async throws {
    do {
      try await producer.send(ProducerRecord(topic: "orders", value: "…"))
    } catch  where error.isRetriable {
      // The same call may succeed later.
    }
  }

  static func typed(_ producer: Producer, _ order: Order) async throws {
    let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
    try await producer.send(orders, key: order.id, value: order)
  }

  static func null(_ producer: Producer) async throws {
    let profiles = TypedTopic("profiles", key: .string, value: .nullable(.json(Profile.self)))
    try await producer.send(profiles, key: "u-17", value: nil)
  }

  static func json(_ producer: Producer) async throws {
    struct Order: Codable, Sendable {
      var id: String
      var total: Double
    }
    let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
    try await producer.send(orders, key: "o-1", value: Order(id: "o-1", total: 12.5))
  }

  static func transactions(_ client: ClientConfiguration, _ consumer: Consumer) async throws {
    let producer = try await TransactionalProducer(ProducerConfiguration(client), transactionalId: "billing-1")
    for try await batch in consumer.batches {
      try await producer.withTransaction { transaction in
        for order in batch { try await transaction.enqueue(invoice(for: order)) }
        try await transaction.commit(of: consumer)
      }
    }
    await producer.close()
  }

  static func service(_ producer: Producer, _ intake: any Service, _ logger: Logger) async throws {
    let group = ServiceGroup(services: [producer, intake], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
  }
}

private enum Consuming {
  static func byHand() async throws {
    let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
    let consumer = try await Consumer(ConsumerConfiguration(client))
    try await consumer.assign(topics: ["orders"], from: .earliest)
    for try await record in consumer.records { print(record.offset) }
  }

  static func inGroup(_ client: ClientConfiguration) async throws {
    let consumer = try await Consumer(ConsumerConfiguration(client, groupId: "billing"))
    try await consumer.subscribe(to: ["orders"])
    for try await batch in consumer.batches {
      for record in batch { try await bill(record) }
      try await consumer.commit()
    }
    await consumer.close()
  }

  static func committing(_ consumer: Consumer) async throws {
    for try await record in consumer.records {
      try await bill(record)
      try await consumer.commit(record)
    }
  }

  static func traced(_ consumer: Consumer) async throws {
    for try await record in consumer.records {
      try await consumer.withSpan(processing: record) { try await bill(record) }
    }
  }

  static func batch(_ batch: RecordBatch) {
    for record in batch { print(record.offset, record.value ?? ByteBuffer()) }
  }

  static func letters(_ consumer: Consumer) async throws {
    for try await record in consumer.records {
      guard let letter = DeadLetter(record.headers) else { continue }
      print(letter.topic ?? "?", letter.offset ?? -1, letter.exceptionMessage ?? letter.message ?? "no reason given")
    }
  }

  static func service(_ consumer: Consumer, _ logger: Logger) async throws {
    struct Billing: Service {
      let consumer: Consumer

      func run() async throws {
        try await consumer.subscribe(to: ["orders"])
        for try await record in consumer.records.cancelOnGracefulShutdown() { try await bill(record) }
      }
    }

    let group = ServiceGroup(
      services: [consumer, Billing(consumer: consumer)], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
  }

  static func sharing() async throws {
    let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
    let consumer = try await ShareConsumer(ShareConsumerConfiguration(client, groupId: "mailers"))
    try await consumer.subscribe(to: ["mails"])
    for try await record in consumer.records {
      if await !isSent(record.value) { try consumer.acknowledge(record, .release) }
    }
    await consumer.close()
  }
}

private enum Processing {
  static func worker() async throws {
    let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
    var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
    configuration.policy = RetryPolicy(maxAttempts: 5, retryTopicDelays: [.seconds(60), .seconds(600)])
    configuration.concurrency = 8
    try await RecordWorker(configuration).run(["orders"]) { delivery in
      try await bill(delivery.value)
    }
  }

  static func shareWorker() async throws {
    let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
    var configuration = ShareWorkerConfiguration(ShareConsumerConfiguration(client, groupId: "mailers"))
    configuration.concurrency = 8
    try await ShareWorker(configuration).run(["mails"]) { delivery in
      try await send(delivery.value)
    }
  }

  static func process(_ client: ClientConfiguration) async throws {
    var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
    configuration.concurrency = 8
    try await Consumer.process(["orders"], with: configuration) { delivery in
      try await bill(delivery.value)
    }
  }

  static func failure(_ record: ConsumerRecord) async throws {
    guard let order = Order(record.value) else {
      throw HandlerFailure(.reject, exceptionClass: "NoOrder", message: "the payload is no order")
    }
    try await bill(order)
  }

  static func letter(_ record: ConsumerRecord, _ failure: HandlerFailure, _ transaction: Transaction) async throws {
    let letter = DeadLetter(of: record, group: "billing", failure, attempts: 3)
    try await transaction.enqueue(letter.producerRecord(for: record, to: "orders-dlt"))
  }

  static func service(_ configuration: WorkerConfiguration, _ broker: Broker, _ logger: Logger) async throws {
    let billing = RecordWorker(configuration).service(["orders"]) { delivery in try await bill(delivery.value) }
    let group = ServiceGroup(services: [broker, billing], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
  }

  static func typed(
    _ producer: Producer, _ consumer: Consumer, _ configuration: WorkerConfiguration, _ order: Order
  ) async throws {
    let orders = TypedTopic("orders", key: .string, value: .json(Order.self))

    // To write, also in a transaction:
    try await producer.send(orders, key: order.id, value: order)

    // To read:
    for try await record in consumer.records {
      try await bill(try orders.decode(record).value)
    }

    // To process. What is no order goes to the dead letters without being tried again.
    try await RecordWorker(configuration).run(
      [orders.name], orders.handler { order, _ in try await bill(order.value) })
  }

  static func redrive(_ client: ClientConfiguration) async throws {
    var configuration = RedriveConfiguration(client, topic: "orders-dlt")
    configuration.filter.exceptionClass = "timeout"
    configuration.rate = 100
    let summary = try await Redrive(configuration).run()
    print(summary[.redriven], "records are back")
  }
}

private enum Brokers {
  static func inMemory() async throws {
    let broker = Broker.inMemory()
    try await broker.start()
    let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
    try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "…"))
    await producer.close()
    await broker.stop()
  }

  static func service(_ broker: Broker, _ logger: Logger) async throws {
    try await broker.start()
    let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
    try await ServiceGroup(services: [broker, producer], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }

  static func clock() async throws {
    let clock = ManualClock()
    try await withBroker(clock: clock) { broker in
      clock.advance(by: .seconds(60))
    }
  }

  static func faults(_ broker: EphemeralBroker) {
    // Written, but the producer does not learn it.
    broker.network.inject(.lostAnswer, into: .produce)
    broker.network.inject(.refusal(.notLeaderOrFollower), into: .fetch, times: 3)
    broker.network.inject(.delay(.milliseconds(200)), times: .max)
  }
}
