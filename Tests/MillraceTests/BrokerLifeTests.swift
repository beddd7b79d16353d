// How a broker begins and ends, and what those who come too early or too late are told.

import Logging
import Millrace
import MillraceClient
import NIOCore
import ServiceLifecycle
import ServiceLifecycleTestKit
import Testing

@Suite struct BrokerLifeTests {
  @Test func `a client that comes first waits for the broker`() async throws {
    let broker = Broker(quiet())
    async let written: Void = write(["early"], broker.clientConfiguration)
    try await broker.start()
    try await written
    #expect(try await contents(broker.clientConfiguration) == ["early"])
    await broker.stop()
  }

  @Test func `a client is told that the broker was not started, or is stopped`() async throws {
    let broker = Broker(quiet())
    var client = broker.clientConfiguration
    client.connectTimeout = .milliseconds(10)
    let early = await #expect(throws: KafkaError.self) { try await Admin(client) }
    #expect(early?.message.contains("it is not started") == true, "\(early?.message ?? "")")
    try await broker.start()
    await broker.stop()
    let late = await #expect(throws: KafkaError.self) { try await Admin(client) }
    #expect(late?.message.contains("it is stopped") == true, "\(late?.message ?? "")")
    #expect(late?.code == .connectionFailed)
  }

  @Test func `a broker runs once`() async throws {
    let broker = Broker(quiet())
    try await broker.start()
    let error = await #expect(throws: BrokerError.self) { try await broker.start() }
    #expect(error?.code == .lifecycle)
    await broker.stop()
    await broker.stop()
    await #expect(throws: BrokerError.self) { try await broker.start() }
  }

  @Test func `a broker that was stopped before its start does not start`() async throws {
    let broker = Broker(quiet())
    await broker.stop()
    let error = await #expect(throws: BrokerError.self) { try await broker.start() }
    #expect(error?.code == .lifecycle)
  }

  @Test func `starting and stopping at once ends with a broker that is stopped`() async throws {
    for _ in 0..<20 {
      let broker = Broker(quiet())
      async let started: Void = broker.start()
      async let stopped: Void = broker.stop()
      await stopped
      do { try await started } catch { #expect(error is BrokerError) }
      await broker.stop()
      #expect(broker.addresses.isEmpty)
    }
  }

  @Test func `a broker stops although a client still waits for records`() async throws {
    let broker = Broker(quiet())
    try await broker.start()
    try await write(["1"], broker.clientConfiguration)
    let consumer = try await Consumer(ConsumerConfiguration(broker.clientConfiguration))
    try await consumer.assign(topics: ["orders"], from: .earliest)
    var records = consumer.records.makeAsyncIterator()
    _ = try await records.next()
    let began = ContinuousClock.now
    await broker.stop()
    print("stop with a fetch that waits: \(ContinuousClock.now - began)")
    await consumer.close()
  }

  @Test func `what is wrong with the settings is said all at once`() async throws {
    let broker = Broker(quiet(.init(settings: ["num.partition": "3", "log.retention.hours": "soon"])))
    let error = await #expect(throws: BrokerError.self) { try await broker.start() }
    #expect(error?.code == .configuration)
    #expect(error?.message.contains("Did you mean 'num.partitions'?") == true)
    #expect(error?.message.contains("log.retention.hours") == true)
  }

  @Test func `what has a property is not a setting too`() async throws {
    for key in ["log.dirs", "listeners"] {
      let configuration = Broker.Configuration(
        listener: BrokerAddress(host: "127.0.0.1", port: 0), settings: [key: "PLAINTEXT://127.0.0.1:0"])
      let error = await #expect(throws: BrokerError.self) { try await Broker(quiet(configuration)).start() }
      #expect(error?.code == .configuration)
      #expect(error?.message.contains(key) == true)
    }
  }

  @Test func `a port that is taken is said in words`() async throws {
    let first = Broker(quiet(.init(listener: BrokerAddress(host: "127.0.0.1", port: 0))))
    try await first.start()
    let second = Broker(quiet(.init(listener: first.addresses.first)))
    let error = await #expect(throws: BrokerError.self) { try await second.start() }
    #expect(error?.code == .listening)
    #expect(error?.message.contains("is in use") == true)
    await first.stop()
  }

  @Test func `a service group stops the broker gracefully`() async throws {
    let broker = Broker(quiet(.init(listener: BrokerAddress(host: "127.0.0.1", port: 0))))
    try await testGracefulShutdown { trigger in
      try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await broker.run() }
        try await write(["1"], broker.clientConfiguration)
        #expect(broker.addresses.count == 1)
        trigger.triggerGracefulShutdown()
        try await group.waitForAll()
      }
    }
    #expect(broker.addresses.isEmpty)
    await #expect(throws: KafkaError.self) { try await Admin(broker.clientConfiguration) }
  }

  @Test func `a service group takes over a broker that was started before, for clients to be made`() async throws {
    let broker = Broker(quiet())
    try await broker.start()
    try await write(["1"], broker.clientConfiguration)
    try await testGracefulShutdown { trigger in
      let service = Task { try await broker.run() }
      try await write(["2"], broker.clientConfiguration)
      trigger.triggerGracefulShutdown()
      try await service.value
    }
    await #expect(throws: KafkaError.self) { try await Admin(broker.clientConfiguration) }
    // Once is enough.
    await #expect(throws: BrokerError.self) { try await broker.run() }
  }

  @Test func `a broker stops when its task is cancelled`() async throws {
    let broker = Broker(quiet())
    let service = Task { try await broker.run() }
    try await write(["1"], broker.clientConfiguration)
    service.cancel()
    try await service.value
    await #expect(throws: KafkaError.self) { try await Admin(broker.clientConfiguration) }
  }
}
