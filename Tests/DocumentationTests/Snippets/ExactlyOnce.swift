// The code of ExactlyOnce.md.
import MillraceClient
import MillraceTesting
import Synchronization
import Testing

private struct PrinterOnFire: Error {}

@Suite struct ExactlyOnce {
  private func invoice(for order: ConsumerRecord) -> ProducerRecord {
    ProducerRecord(topic: "invoices", key: order.key, value: order.value)
  }

  private static func orders(_ count: Int) -> [ProducerRecord] {
    (0..<count).map { ProducerRecord(topic: "orders", key: "o-\($0)", value: "12.50") }
  }

  @Test func `what was read and what was written are one`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.createTopic("invoices")
      try await broker.send(Self.orders(20))
      let client = broker.clientConfiguration
      let (producer, consumer) = try await start(client)
      try await run({ try await pass(producer, consumer) }, until: { try await committed(client) == 20 })
      await producer.close()
      await consumer.close()
      let invoices = try await broker.records(in: "invoices", count: 20, isolation: .readCommitted)
      #expect(Set(try invoices.map { try $0.key(.string) }).count == 20)
    }
  }

  private func committed(_ client: ClientConfiguration) async throws -> Int64? {
    let admin = try await Admin(client)
    let offsets = try await admin.groupOffsets("billing")
    await admin.close()
    return offsets[TopicPartition("orders", 0)]?.offset
  }

  private func start(_ client: ClientConfiguration) async throws -> (TransactionalProducer, Consumer) {
    let producer = try await TransactionalProducer(ProducerConfiguration(client), transactionalId: "billing-1")

    var configuration = ConsumerConfiguration(client, groupId: "billing")
    configuration.isolation = .readCommitted
    configuration.autoOffsetReset = .earliest
    configuration.autoCommitInterval = nil
    let consumer = try await Consumer(configuration)
    try await consumer.subscribe(to: ["orders"])

    return (producer, consumer)
  }

  private func pass(_ producer: TransactionalProducer, _ consumer: Consumer) async throws {
    for try await batch in consumer.batches {
      try await producer.withTransaction { transaction in
        for order in batch { try await transaction.enqueue(invoice(for: order)) }
        try await transaction.commit(of: consumer)
      }
    }
  }

  @Test func `a transaction takes many batches`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders", partitions: 1)
      try await broker.createTopic("invoices")
      try await broker.send(Self.orders(20))
      let client = broker.clientConfiguration
      let (producer, consumer) = try await start(client)
      try await run({ try await passMany(producer, consumer) }, until: { try await committed(client) == 20 })
      await producer.close()
      await consumer.close()
      #expect(try await broker.records(in: "invoices", count: 20, isolation: .readCommitted).count == 20)
    }
  }

  private func passMany(_ producer: TransactionalProducer, _ consumer: Consumer) async throws {
    while case let batches = try await consumer.nextBatches(upTo: 5_000, linger: .milliseconds(10)), !batches.isEmpty {
      try await producer.withTransaction { transaction in
        for order in batches.joined() { try await transaction.enqueue(invoice(for: order)) }
        try await transaction.commit(of: consumer)
      }
    }
  }

  @Test func `a transaction that was aborted is done again`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.createTopic("invoices")
      try await broker.send(Self.orders(20))
      let client = broker.clientConfiguration
      let (producer, consumer) = try await start(client)
      let failuresLeft = Mutex(3)
      @Sendable func write(_ batch: RecordBatch, in transaction: Transaction) async throws {
        for order in batch { try await transaction.enqueue(invoice(for: order)) }
        try failuresLeft.withLock { left in
          guard left == 0 else {
            left -= 1
            throw PrinterOnFire()
          }
        }
        try await transaction.commit(of: consumer)
      }
      try await run({ try await retry(producer, consumer, write) }, until: { try await committed(client) == 20 })
      await producer.close()
      await consumer.close()
      let invoices = try await broker.records(in: "invoices", count: 20, isolation: .readCommitted)
      #expect(Set(try invoices.map { try $0.key(.string) }).count == 20)
    }
  }

  private func retry(
    _ producer: TransactionalProducer, _ consumer: Consumer,
    _ write: @escaping @Sendable (RecordBatch, Transaction) async throws -> Void
  ) async throws {
    for try await batch in consumer.batches {
      do {
        try await producer.withTransaction { transaction in
          try await write(batch, transaction)
        }
      } catch let error as KafkaError {
        throw error
      } catch {
        try await consumer.seek(batch.topicPartition, to: .offset(batch.baseOffset))
      }
    }
  }

  @Test func `readers of committed records see what is committed`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("ledger")
      let client = broker.clientConfiguration
      let producer = try await TransactionalProducer(ProducerConfiguration(client), transactionalId: "ledger-1")

      try await producer.withTransaction { transaction in
        try await transaction.send(ProducerRecord(topic: "ledger", key: "a", value: "-10"))
        try await transaction.send(ProducerRecord(topic: "ledger", key: "b", value: "+10"))
      }

      await #expect(throws: PrinterOnFire.self) {
        try await producer.withTransaction { transaction in
          try await transaction.send(ProducerRecord(topic: "ledger", key: "a", value: "-10"))
          throw PrinterOnFire()
        }
      }
      await producer.close()
      var configuration = ConsumerConfiguration(client)
      configuration.stopAtEnd = true
      configuration.isolation = .readCommitted
      let consumer = try await Consumer(configuration)
      try await consumer.assign(topics: ["ledger"], from: .earliest)
      var found: [String] = []
      for try await record in consumer.records { found.append(try record.value(.string)) }
      await consumer.close()
      #expect(found == ["-10", "+10"])
    }
  }
}
