// The code of the README, but for its first example, which is a package of its own (Sources/Examples/EmbeddedBroker).
import Foundation
import Logging
import Millrace
import MillraceClient
import MillraceJSON
import MillraceTesting
import ServiceLifecycle
import Testing

private struct Order: Codable, Sendable {
  var id: String
  var total: Double
}

@Suite struct Readme {
  /// It waits for a signal, so it runs in a process of its own.
  @Test func `a service is shut down by a signal`() async {
    await #expect(processExitsWith: .success) {
      let broker = Broker.inMemory(settings: ["group.initial.rebalance.delay.ms": "0"])
      let said = Said()
      async let run: Void = Readme.run(broker, said)
      let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
      let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
      // The worker begins at the end of the topic, whenever it comes.
      let wasBilled = try await eventually(within: .seconds(240)) {
        try await producer.send(orders, key: "o-1", value: Order(id: "o-1", total: 12.5))
        return said.count > 0
      }
      await producer.close()
      kill(getpid(), SIGTERM)
      try await run
      #expect(wasBilled)
    }
  }

  private static func run(_ broker: Broker, _ said: Said) async throws {
    let logger = quiet
    @Sendable func bill(_ order: Order) async throws { said.add(order.id) }

    let orders = TypedTopic("orders", key: .string, value: .json(Order.self))
    var worker = WorkerConfiguration(ConsumerConfiguration(broker.clientConfiguration, groupId: "billing"))
    worker.concurrency = 8
    let billing = RecordWorker(worker).service(
      [orders.name],
      orders.handler { order, _ in
        try await bill(order.value)
      })
    try await ServiceGroup(services: [broker, billing], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  }

  @Test func `a client speaks TLS and SASL`() throws {
    let password = "of a test"

    var configuration = try ClientConfiguration(bootstrapServers: "broker.example:9093")
    configuration.tls = TLSSettings(trustRoots: [.file("ca.pem")])
    configuration.sasl = .scramSHA512(username: "orders", password: password)

    #expect(configuration.sasl?.mechanism == "SCRAM-SHA-512")
  }
}
