// A broker inside this process, as an embedding program sees it.

import Foundation
import Logging
import Millrace
import MillraceClient
import NIOCore
import Testing

/// A broker's configuration that logs nothing.
func quiet(_ configuration: Broker.Configuration = Broker.Configuration()) -> Broker.Configuration {
  var configuration = configuration
  configuration.logger = Logger(label: "broker") { _ in SwiftLogNoOpLogHandler() }
  return configuration
}

/// Writes values to partition 0.
func write(_ texts: [String], to topic: String = "orders", _ client: ClientConfiguration) async throws {
  let producer = try await Producer(ProducerConfiguration(client))
  for text in texts {
    _ = try await producer.send(ProducerRecord(topic: topic, partition: 0, value: ByteBuffer(string: text)))
  }
  await producer.close()
}

/// All values that are in a topic.
func contents(of topic: String = "orders", _ client: ClientConfiguration) async throws -> [String] {
  var configuration = ConsumerConfiguration(client)
  configuration.stopAtEnd = true
  let consumer = try await Consumer(configuration)
  try await consumer.assign(topics: [topic], from: .earliest)
  var texts: [String] = []
  for try await record in consumer.records { texts.append(record.value.map { String(buffer: $0) } ?? "") }
  await consumer.close()
  return texts
}

@Suite struct BrokerTests {
  @Test func `a record goes through a broker without a socket and without a disk`() async throws {
    // What runs for the first time is slower.
    for round in 1...3 {
      let began = ContinuousClock.now
      let broker = Broker(quiet())
      try await broker.start()
      let started = ContinuousClock.now
      try await write(["o-1"], broker.clientConfiguration)
      let written = ContinuousClock.now
      #expect(try await contents(broker.clientConfiguration) == ["o-1"])
      let read = ContinuousClock.now
      #expect(broker.addresses.isEmpty)
      await broker.stop()
      let stopped = ContinuousClock.now
      print(
        "round \(round): start \(started - began), write \(written - started), read \(read - written), "
          + "stop \(stopped - read), together \(stopped - began)")
    }
  }

  @Test func `brokers in one process do not disturb each other`() async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
      for number in 0..<20 {
        group.addTask {
          let broker = Broker(quiet())
          try await broker.start()
          try await write(["only \(number)"], broker.clientConfiguration)
          #expect(try await contents(broker.clientConfiguration) == ["only \(number)"])
          await broker.stop()
        }
      }
      try await group.waitForAll()
    }
  }

  @Test func `a group reads in process, commits, and goes on from there`() async throws {
    let broker = Broker(quiet())
    try await broker.start()
    try await write(["1", "2", "3"], broker.clientConfiguration)
    for expected in [["1", "2"], ["3"]] {
      var configuration = ConsumerConfiguration(broker.clientConfiguration, groupId: "billing")
      configuration.autoOffsetReset = .earliest
      let consumer = try await Consumer(configuration)
      try await consumer.subscribe(to: ["orders"])
      var texts: [String] = []
      for try await record in consumer.records {
        texts.append(record.value.map { String(buffer: $0) } ?? "")
        if texts.count == expected.count { break }
      }
      #expect(texts == expected)
      let next = OffsetAndMetadata(offset: texts.count == 2 ? 2 : 3)
      try await consumer.commit([TopicPartition("orders", 0): next])
      await consumer.close()
    }
    await broker.stop()
  }

  @Test func `large records pass in process, however slow the reader is`() async throws {
    let broker = Broker(quiet())
    try await broker.start()
    let texts = (0..<12).map { String(repeating: "\($0 % 10)", count: 700_000) }
    try await write(texts, broker.clientConfiguration)
    var configuration = ConsumerConfiguration(broker.clientConfiguration)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: ["orders"], from: .earliest)
    var count = 0
    for try await record in consumer.records {
      #expect(record.value.map { String(buffer: $0) } == texts[count])
      count += 1
      await Task.yield()
    }
    #expect(count == texts.count)
    await consumer.close()
    await broker.stop()
  }

  @Test func `clients of other processes come by a free port, those of this one need none`() async throws {
    let broker = Broker(quiet(.init(listener: BrokerAddress(host: "127.0.0.1", port: 0))))
    try await broker.start()
    let address = try #require(broker.addresses.first)
    #expect(broker.addresses.count == 1)
    #expect(address.port > 0)
    let outside = ClientConfiguration(bootstrapServers: [address])
    try await write(["from outside"], outside)
    try await write(["from inside"], broker.clientConfiguration)
    #expect(try await contents(outside) == ["from outside", "from inside"])
    #expect(try await contents(broker.clientConfiguration) == ["from outside", "from inside"])
    await broker.stop()
  }

  @Test func `what is in a data directory is there the next time`() async throws {
    let directory = NSTemporaryDirectory() + "/millrace-embedded-\(UUID().uuidString)"
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let configuration = quiet(.init(storage: .directory(directory)))
    let first = Broker(configuration)
    try await first.start()
    try await write(["kept"], first.clientConfiguration)

    let second = Broker(configuration)
    let refusal = await #expect(throws: BrokerError.self) { try await second.start() }
    #expect(refusal?.code == .storage)
    #expect(refusal?.message.contains("in use by another broker") == true)

    await first.stop()
    let third = Broker(configuration)
    try await third.start()
    #expect(try await contents(third.clientConfiguration) == ["kept"])
    await third.stop()
  }

  @Test func `memory is bounded, and a broker whose memory is full says so and still reads`() async throws {
    let broker = Broker(quiet(.init(storage: .memory(capacityBytes: 4 << 20))))
    try await broker.start()
    let admin = try await Admin(broker.clientConfiguration)
    _ = try await admin.createTopics([NewTopic("orders", partitions: 1)])
    await admin.close()
    var configuration = ProducerConfiguration(broker.clientConfiguration)
    configuration.deliveryTimeout = .seconds(3)
    let producer = try await Producer(configuration)
    var written = 0
    let value = ByteBuffer(repeating: 120, count: 500_000)
    // Refused writes are tried again in vain until the delivery times out.
    await #expect(throws: KafkaError.self) {
      while written < 20 {
        _ = try await producer.send(ProducerRecord(topic: "orders", partition: 0, value: value))
        written += 1
      }
    }
    #expect(written < 9)
    await producer.close()
    #expect((written..<9).contains(try await contents(broker.clientConfiguration).count))
    await broker.stop()
  }
}
