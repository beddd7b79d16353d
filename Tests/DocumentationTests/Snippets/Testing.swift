// The code of TestingAService.md.
import MillraceClient
import MillraceTesting
import Testing

@Suite struct TestingSnippets {
  struct Billing {
    let client: ClientConfiguration

    func run() async throws {
      let producer = try await Producer(ProducerConfiguration(client))
      var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
      configuration.consumer.autoOffsetReset = .earliest
      try await RecordWorker(configuration).run(["orders"]) { delivery in
        let total = try delivery.record.value(.string)
        try await producer.send(ProducerRecord(topic: "invoices", key: delivery.key, value: delivery.value))
        print("billed \(total)")
      }
      await producer.close()
    }
  }

  private let order = ProducerRecord(topic: "orders", key: "o-1", value: "12.50")

  @Test func `an order is billed`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      let billing = Task { try await Billing(client: broker.clientConfiguration).run() }

      try await broker.send([ProducerRecord(topic: "orders", key: "o-1", value: "12.50")])

      let invoices = try await broker.records(in: "invoices", count: 1)
      #expect(try invoices[0].value(.string) == "12.50")
      billing.cancel()
      try await billing.value
      try await broker.waitForCommit(of: "billing", TopicPartition("orders", 0), atLeast: 1)
    }
  }

  @Test func `an order is written once although its acknowledgement was lost`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      broker.network.inject(.lostAnswer, into: .produce)

      try await broker.send([ProducerRecord(topic: "orders", key: "o-1", value: "12.50")])

      #expect(broker.network.struckCount == 1)
      let admin = try await Admin(broker.clientConfiguration)
      let end = try await admin.listOffsets([TopicPartition("orders", 0): .latest])
      #expect(try end[TopicPartition("orders", 0)]?.get().offset == 1)
      await admin.close()
    }
  }

  @Test func `faults are of many kinds`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")

      broker.network.inject(.disconnect, into: .produce, times: 3)
      broker.network.inject(.refusal(.notLeaderOrFollower), into: .fetch)
      broker.network.inject(.delay(.milliseconds(200)), into: .metadata, times: .max)

      try await broker.send([order])
      #expect(try await broker.records(in: "orders", count: 1).count == 1)
      #expect(broker.network.struckCount >= 5)
    }
  }

  @Test func `an order waits until the disk has room`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      broker.disk.fill()
      async let written = broker.send([ProducerRecord(topic: "orders", key: "o-1", value: "12.50")])
      broker.disk.heal()
      #expect(try await written.map(\.offset) == [0])
    }
  }

  @Test func `a mail comes again when its lock has run out`() async throws {
    let clock = ManualClock()
    try await withBroker(settings: quickShareGroups, clock: clock) { broker in
      try await broker.createTopic("mails")
      let admin = try await Admin(broker.clientConfiguration)
      _ = try await admin.alterConfigs([.group("mailers"): [.set("share.auto.offset.reset", "earliest")]])
      await admin.close()
      try await broker.send([ProducerRecord(topic: "mails", value: "to whom it may concern")])
      var configuration = ShareConsumerConfiguration(broker.clientConfiguration, groupId: "mailers")
      configuration.acknowledgementMode = .explicit
      let consumer = try await ShareConsumer(configuration)
      try await consumer.subscribe(to: ["mails"])
      var mails = consumer.records.makeAsyncIterator()

      let first = try await mails.next()
      clock.advance(by: .seconds(31))
      let second = try await mails.next()

      #expect(first?.deliveryCount == 1)
      #expect(second?.deliveryCount == 2)
      await consumer.close()
    }
  }

  @Test func `the time of a record is known`() async throws {
    let clock = ManualClock(nowMs: 1_800_000_000_000)
    try await withBroker(clock: clock) { broker in
      try await broker.createTopic("orders", configs: ["message.timestamp.type": "LogAppendTime"])
      try await broker.send([ProducerRecord(topic: "orders", value: "12.50")])
      clock.advance(by: .seconds(60))
      try await broker.send([ProducerRecord(topic: "orders", value: "12.50")])
      let records = try await broker.records(in: "orders", count: 2)
      #expect(records.map(\.timestamp) == [1_800_000_000_000, 1_800_000_060_000])
    }
  }

  @Test func `another program can reach the broker`() async throws {
    try await withBroker(listener: BrokerAddress(host: "127.0.0.1", port: 0)) { broker in
      let admin = try await Admin(ClientConfiguration(bootstrapServers: broker.addresses))
      #expect(try await admin.describeCluster().brokers.count == 1)
      await admin.close()
    }
  }
}
