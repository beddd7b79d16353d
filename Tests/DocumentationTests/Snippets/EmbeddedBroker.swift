// The code of the articles about the broker in a program.
import Foundation
import Logging
import Millrace
import MillraceClient
import ServiceLifecycle
import Testing

/// A service that writes one order and waits for the end.
private struct Intake: Service {
  static let written = Said()
  let client: ClientConfiguration

  func run() async throws {
    let producer = try await Producer(ProducerConfiguration(client))
    try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "12.50"))
    Self.written.add("o-1")
    try? await gracefulShutdown()
    await producer.close()
  }
}

@Suite struct EmbeddedBroker {
  @Test func `records go through a broker in memory`() async throws {
    let said = Said()
    func print(_ text: String) { said.add(text) }

    let broker = Broker.inMemory()
    try await broker.start()

    let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
    try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "12.50"))
    await producer.close()

    var configuration = ConsumerConfiguration(broker.clientConfiguration)
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: ["orders"], from: .earliest)
    for try await record in consumer.records { print("\(try record.key(.string)): \(try record.value(.string))") }
    await consumer.close()

    await broker.stop()

    #expect(said.all == ["o-1: 12.50"])
  }

  @Test func `a broker keeps its records in a directory, and listens`() async throws {
    let directory = FileManager.default.temporaryDirectory.appending(path: "millrace-\(UUID())").path
    defer { try? FileManager.default.removeItem(atPath: directory) }
    let said = Said()
    func print(_ text: String) { said.add(text) }

    let broker = Broker(
      Broker.Configuration(
        storage: .directory(directory), listener: BrokerAddress(host: "127.0.0.1", port: 0),
        settings: ["num.partitions": "3", "log.retention.hours": "24"]))
    try await broker.start()
    print("it listens on \(broker.addresses)")

    #expect(said.all.first?.hasPrefix("it listens on [127.0.0.1:") == true)
    let admin = try await Admin(ClientConfiguration(bootstrapServers: broker.addresses))
    _ = try await admin.createTopics([NewTopic("orders")])["orders"]?.get()
    #expect(try await admin.describeTopics(["orders"])["orders"]?.get().partitions.count == 3)
    await admin.close()
    await broker.stop()
  }

  @Test func `a broker that cannot start says why`() async {
    let said = Said()
    func print(_ text: String) { said.add(text) }
    let broker = Broker.inMemory(settings: ["num.partitions": "many"])

    do {
      try await broker.start()
    } catch {
      print("\(error.code): \(error)")
    }

    #expect(said.all.map { $0.hasPrefix("configuration: ") } == [true])
  }

  /// It waits for a signal, so it runs in a process of its own.
  @Test func `a broker is a service`() async {
    await #expect(processExitsWith: .success) {
      async let run: Void = EmbeddedBroker.serve()
      while Intake.written.count == 0 { try await Task.sleep(for: .milliseconds(10)) }
      kill(getpid(), SIGTERM)
      try await run
    }
  }

  private static func serve() async throws {
    let logger = quiet

    let broker = Broker.inMemory()
    let intake = Intake(client: broker.clientConfiguration)
    let group = ServiceGroup(services: [broker, intake], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
  }
}
