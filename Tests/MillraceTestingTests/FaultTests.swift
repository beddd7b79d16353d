// What goes wrong on demand, and what a client makes of it.

import MillraceClient
import MillraceProtocol
import MillraceTesting
import NIOCore
import Testing

@Suite struct FaultTests {
  private func producer(
    _ broker: EphemeralBroker, _ change: (inout ProducerConfiguration) -> Void = { _ in }
  ) async throws -> Producer {
    var configuration = ProducerConfiguration(broker.clientConfiguration)
    configuration.linger = .zero
    change(&configuration)
    return try await Producer(configuration)
  }

  private let order = ProducerRecord(topic: "orders", partition: 0, value: "o-1")

  @Test(arguments: [
    NetworkFaults.Fault.disconnect, .lostAnswer, .refusal(.notLeaderOrFollower), .delay(.milliseconds(20)),
  ])
  func `a record is written once whatever becomes of the first tries`(fault: NetworkFaults.Fault) async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      let producer = try await producer(broker)
      broker.network.inject(fault, into: .produce, times: 2)
      _ = try await producer.send(order)
      _ = try await producer.send(order)
      #expect(broker.network.struckCount == 2)
      await producer.close()
      let admin = try await Admin(broker.clientConfiguration)
      let end = try await admin.listOffsets([TopicPartition("orders", 0): .latest])
      #expect(try end[TopicPartition("orders", 0)]?.get().offset == 2)
      await admin.close()
    }
  }

  @Test func `a refusal that is final reaches the caller`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      let producer = try await producer(broker)
      broker.network.inject(.refusal(.topicAuthorizationFailed), into: .produce)
      let error = await #expect(throws: KafkaError.self) { try await producer.send(order) }
      #expect(error?.brokerCode == .topicAuthorizationFailed)
      await producer.close()
    }
  }

  @Test func `a consumer reads on behind fetches that fail`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send([order, order])
      broker.network.inject(.refusal(.fetchSessionIdNotFound), into: .fetch)
      broker.network.inject(.disconnect, into: .fetch)
      broker.network.inject(.lostAnswer, into: .fetch)
      #expect(try await broker.records(in: "orders", count: 2).count == 2)
      #expect(broker.network.struckCount == 3)
    }
  }

  @Test func `a request without a place for an error loses its connection instead`() async throws {
    try await withBroker { broker in
      let admin = try await Admin(broker.clientConfiguration)
      broker.network.inject(.refusal(.unknownServerError), into: .describeCluster)
      #expect(try await admin.describeCluster().brokers.count == 1)
      #expect(broker.network.struckCount == 1)
      await admin.close()
    }
  }

  @Test func `a full disk refuses records until there is room`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      let producer = try await producer(broker)
      #expect(try await producer.send(order).offset == 0)
      broker.disk.fill()
      async let written = producer.send(order)
      try await Task.sleep(for: .milliseconds(20))
      broker.disk.heal()
      #expect(try await written.offset == 1)
      await producer.close()
    }
  }

  @Test func `a broken disk ends the writing, and what was written is read`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send([order])
      broker.disk.failWrites()
      let producer = try await producer(broker) {
        $0.deliveryTimeout = .milliseconds(300)
      }
      await #expect(throws: KafkaError.self) { try await producer.send(order) }
      await producer.close()
      #expect(try await broker.records(in: "orders", count: 1).count == 1)
    }
  }

  @Test func `a slow disk holds up what waits for it`() async throws {
    try await withBroker(settings: ["log.durability": "commit"]) { broker in
      try await broker.createTopic("orders")
      broker.disk.delayFlushes(by: .milliseconds(30))
      #expect(try await broker.send([order]).map(\.offset) == [0])
    }
  }

  @Test func `a session expires when the clock is moved past it`() async throws {
    let clock = ManualClock()
    try await withBroker(clock: clock) { broker in
      try await broker.createTopic("orders")
      try await broker.send([order])
      var configuration = ConsumerConfiguration(broker.clientConfiguration, groupId: "billing")
      configuration.autoOffsetReset = .earliest
      // It will not be heard of in between.
      configuration.maxPollInterval = .seconds(1800)
      configuration.sessionTimeout = .seconds(1800)
      configuration.heartbeatInterval = .seconds(600)
      let consumer = try await Consumer(configuration)
      try await consumer.subscribe(to: ["orders"])
      var records = consumer.records.makeAsyncIterator()
      _ = try await records.next()
      let admin = try await Admin(broker.clientConfiguration)
      func members() async throws -> Int? {
        let described = try await admin.describeGroups(["billing"])["billing"]
        // A group without members and offsets is gone.
        if case .failure(let error) = described, error.brokerCode == .groupIdNotFound { return 0 }
        return try described?.get().members.count
      }
      #expect(try await members() == 1)
      clock.advance(by: .seconds(1700))
      #expect(try await members() == 1)
      clock.advance(by: .seconds(200))
      #expect(try await eventually { try await members() == 0 })
      await admin.close()
      await consumer.close()
    }
  }

  @Test func `the broker's time stands still until it is moved`() async throws {
    let clock = ManualClock(nowMs: 1_800_000_000_000)
    try await withBroker(clock: clock) { broker in
      try await broker.createTopic("orders", configs: ["message.timestamp.type": "LogAppendTime"])
      try await broker.send([order])
      clock.advance(by: .milliseconds(1500))
      try await broker.send([order])
      let records = try await broker.records(in: "orders", count: 2)
      #expect(records.map(\.timestamp) == [1_800_000_000_000, 1_800_000_001_500])
    }
  }
}
