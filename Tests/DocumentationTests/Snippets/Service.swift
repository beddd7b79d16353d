// The code of Service.md. It waits for a signal, so it runs in a process of its own.
import Foundation
import Logging
import Millrace
import MillraceClient
import MillraceJSON
import MillraceTesting
import ServiceLifecycle
import Testing

@Suite struct ServiceSnippets {
  struct Order: Codable, Sendable {
    var id: String
    var total: Double
  }

  /// Passes orders on as invoices.
  struct Invoicing: Service {
    let consumer: Consumer
    let producer: Producer

    func run() async throws {
      try await consumer.subscribe(to: ["orders"])
      for try await record in consumer.records.cancelOnGracefulShutdown() {
        try await producer.send(ProducerRecord(topic: "invoices", key: record.key, value: record.value))
        try await consumer.commit(record)
      }
    }
  }

  private static let order = ProducerRecord(topic: "orders", key: "o-1", value: #"{"id":"o-1","total":12.5}"#)

  /// What an operating system does to end a program.
  private static func end() { kill(getpid(), SIGTERM) }

  @Test func `a worker is a service`() async {
    await #expect(processExitsWith: .success) {
      try await withBroker { broker in
        try await broker.createTopic("orders")
        try await broker.send([ServiceSnippets.order, ProducerRecord(topic: "orders", value: "no order")])
        let said = Said()
        async let run: Void = ServiceSnippets.runWorker(broker.clientConfiguration, said)
        let wasDone = try await eventually(within: .seconds(240)) { said.count >= 2 }
        ServiceSnippets.end()
        try await run
        #expect(wasDone)
        #expect(said.all.contains("o-1 is billed"))
        #expect(said.all.contains { $0.hasPrefix("offset 1 went to orders-dlt: ") })
      }
    }
  }

  private static func runWorker(_ client: ClientConfiguration, _ said: Said) async throws {
    let logger = quiet
    @Sendable func bill(_ order: Order) async throws { said.add("\(order.id) is billed") }
    @Sendable func warn(_ text: String) { said.add(text) }

    let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
    var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
    configuration.consumer.autoOffsetReset = .earliest
    configuration.concurrency = 8

    configuration.onEvent = { event in
      guard case .deadLettered(let delivery, let failure, let topic) = event else { return }
      warn("offset \(delivery.record.offset) went to \(topic): \(failure)")
    }

    let billing = RecordWorker(configuration).service(
      [orders.name], orders.handler { order, _ in try await bill(order.value) })
    let group = ServiceGroup(services: [billing], gracefulShutdownSignals: [.sigterm, .sigint], logger: logger)
    try await group.run()
  }

  @Test func `clients are services`() async {
    await #expect(processExitsWith: .success) {
      try await withBroker { broker in
        try await broker.createTopic("orders")
        try await broker.createTopic("invoices")
        try await broker.send([ServiceSnippets.order])
        async let run: Void = ServiceSnippets.runClients(broker.clientConfiguration)
        try await broker.waitForCommit(of: "invoicing", TopicPartition("orders", 0), atLeast: 1, within: .seconds(240))
        ServiceSnippets.end()
        try await run
        #expect(try await broker.records(in: "invoices", count: 1).map { try $0.key(.string) } == ["o-1"])
      }
    }
  }

  private static func runClients(_ client: ClientConfiguration) async throws {
    let logger = quiet

    let producer = try await Producer(ProducerConfiguration(client))
    var configuration = ConsumerConfiguration(client, groupId: "invoicing")
    configuration.autoOffsetReset = .earliest
    configuration.autoCommitInterval = nil
    let consumer = try await Consumer(configuration)

    let invoicing = Invoicing(consumer: consumer, producer: producer)
    let group = ServiceGroup(
      services: [producer, consumer, invoicing], gracefulShutdownSignals: [.sigterm], logger: logger)
    try await group.run()
  }
}
