// The code of FirstSteps.md.
import Millrace
import MillraceClient
import MillraceJSON
import MillraceTesting
import Testing

@Suite struct FirstSteps {
  struct Order: Codable, Sendable {
    var id: String
    var total: Double
  }

  private let said = Said()

  private func print(_ text: String) { said.add(text) }

  @Test func `a cluster is named by its addresses`() throws {
    let client = try ClientConfiguration(bootstrapServers: "localhost:9092")
    #expect(client.bootstrapServers == [BrokerAddress(host: "localhost", port: 9092)])
  }

  @Test func `a broker in the process will do`() async throws {
    let broker = Broker.inMemory()
    try await broker.start()
    let client = broker.clientConfiguration

    let admin = try await Admin(client)
    #expect(try await admin.describeCluster().brokers.count == 1)
    await admin.close()
    await broker.stop()
  }

  @Test func `records are written and read`() async throws {
    try await withBroker { broker in
      let client = broker.clientConfiguration
      try await makeTopic(client)
      try await write(client)
      #expect(said.count == 1)
      try await run({ try await read(client) }, until: { Set(said.all).count == 1001 })
      #expect(Set(said.all.filter { $0.hasSuffix(": 12.50") }).count == 1000)
      #expect(try await sum(client) == 5 * 1000)
    }
  }

  private func makeTopic(_ client: ClientConfiguration) async throws {
    let admin = try await Admin(client)
    _ = try await admin.createTopics([NewTopic("orders", partitions: 3)])["orders"]?.get()
    await admin.close()
  }

  private func write(_ client: ClientConfiguration) async throws {
    let producer = try await Producer(ProducerConfiguration(client))
    let written = try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "12.50"))
    print("o-1 is at offset \(written.offset) of partition \(written.partition)")

    for number in 2...1000 {
      try await producer.enqueue(ProducerRecord(topic: "orders", key: "o-\(number)", value: "12.50"))
    }
    try await producer.flush()
    await producer.close()
  }

  private func read(_ client: ClientConfiguration) async throws {
    var configuration = ConsumerConfiguration(client, groupId: "billing")
    configuration.autoOffsetReset = .earliest
    let consumer = try await Consumer(configuration)
    try await consumer.subscribe(to: ["orders"])
    for try await record in consumer.records {
      print("\(record.topicPartition) at \(record.offset): \(try record.value(.string))")
    }
    await consumer.close()
  }

  private func sum(_ client: ClientConfiguration) async throws -> Int {
    var configuration = ConsumerConfiguration(client)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: ["orders"], from: .earliest)
    var byteCount = 0
    for try await batch in consumer.batches {
      for record in batch { byteCount += record.valueByteCount }
    }
    await consumer.close()

    return byteCount
  }

  @Test func `batches that were not written are told`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      broker.network.inject(.refusal(.topicAuthorizationFailed), into: .produce)
      let client = broker.clientConfiguration

      let producer = try await Producer(ProducerConfiguration(client)) { report in
        guard let error = report.error else { return }
        print("\(report.recordCount) records were not written: \(error)")
      }

      try await producer.enqueue(ProducerRecord(topic: "orders", value: "12.50"))
      try await producer.flush()
      await producer.close()
      #expect(said.all.map { $0.hasPrefix("1 records were not written: ") } == [true])
    }
  }

  @Test func `a group's offsets are committed by hand`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send([ProducerRecord(topic: "orders", key: "o-1", value: "12.50")])
      let client = broker.clientConfiguration
      var configuration = ConsumerConfiguration(client, groupId: "billing")
      configuration.autoOffsetReset = .earliest

      configuration.autoCommitInterval = nil
      let consumer = try await Consumer(configuration)
      try await consumer.subscribe(to: ["orders"])

      @Sendable func bill(_ record: ConsumerRecord) async throws { print("o-\(record.offset)") }
      try await run(
        {
          for try await batch in consumer.batches {
            for record in batch { try await bill(record) }
            try await consumer.commit()
          }
        }, until: { try await consumer.committed([TopicPartition("orders", 0)]).values.map(\.offset) == [1] })
      await consumer.close()
    }
  }

  @Test func `topics have types`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      let client = broker.clientConfiguration
      let producer = try await Producer(ProducerConfiguration(client))

      let orders = TypedTopic("orders", key: .string, value: .json(Order.self))

      let order = Order(id: "o-1", total: 12.5)
      try await producer.send(orders, key: order.id, value: order)

      await producer.close()
      var configuration = ConsumerConfiguration(client)
      configuration.stopAtEnd = true
      let consumer = try await Consumer(configuration)
      try await consumer.assign(topics: ["orders"], from: .earliest)

      for try await record in consumer.records {
        let order = try orders.decode(record).value
        print("\(order.id) costs \(order.total)")
      }

      await consumer.close()
      #expect(said.all == ["o-1 costs 12.5"])
    }
  }

  @Test func `errors say whether to try again`() async throws {
    try await withBroker { broker in
      let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
      await send(by: producer, topic: "no such name!")
      await producer.close()
      #expect(said.all.map { $0.hasPrefix("order o-1 cannot be written: ") } == [true])
    }
  }

  private func send(by producer: Producer, topic: String) async {
    do {
      try await producer.send(ProducerRecord(topic: topic, key: "o-1", value: "12.50"))
    } catch  where error.isRetriable {
      print("order o-1 can be sent again: \(error)")
    } catch {
      print("order o-1 cannot be written: \(error)")
    }
  }
}
