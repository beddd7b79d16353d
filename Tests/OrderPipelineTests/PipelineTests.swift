import MillraceClient
import MillraceTesting
import Testing

@testable import OrderPipeline

@Suite("The pipeline")
struct PipelineTests {
  private func settings(orders: Int, seed: UInt64) -> Settings {
    var settings = Settings()
    (settings.orders, settings.seed) = (orders, seed)
    settings.partitions = 2
    settings.paymentInstances = 2
    (settings.malformed, settings.flaky, settings.declined) = (0.1, 0.3, 0.1)
    // A slow machine that runs other tests as well may stand still for long.
    settings.patience = .seconds(180)
    return settings
  }

  @Test func `every order comes to its one end, and what is charged is fulfilled`() async throws {
    let outcome = try await withBroker { broker in
      try await Pipeline(
        settings(orders: 200, seed: 1), client: broker.clientConfiguration, network: nil, view: .silent
      ).run()
    }
    let audit = outcome.audit
    #expect(audit.holds, "\(audit.text)")
    // By the seed, which is always the same.
    #expect(audit.orders == 200)
    #expect(audit.fulfilled > 100 && audit.failed > 5 && audit.deadLettered > 5)
    #expect(audit.charges == audit.fulfilled)
    #expect(audit.fulfilled + audit.failed + audit.deadLettered == 200)
    #expect(audit.redriven > 0)
  }

  @Test(arguments: [11, 12] as [UInt64])
  func `services and connections that die at random lose nothing and charge nobody twice`(_ seed: UInt64) async throws {
    var settings = settings(orders: 300, seed: seed)
    // Few enough to leave a slow machine time to get on with its work.
    settings.chaos = Chaos(interval: .milliseconds(100), strikes: 25)
    let outcome = try await withBroker { [settings] broker in
      try await Pipeline(
        settings, client: broker.clientConfiguration, network: broker.network, view: .silent
      ).run()
    }
    #expect(outcome.audit.holds, "seed \(seed): \(outcome.audit.text)")
    #expect(outcome.audit.orders == 300)
  }

  @Test func `topics that are there already are left alone`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("order-placed")
      let error = await #expect(throws: KafkaError.self) {
        try await Pipeline(
          settings(orders: 1, seed: 1), client: broker.clientConfiguration, network: nil, view: .silent
        ).run()
      }
      #expect(error?.brokerCode == .topicAlreadyExists)
    }
  }
}
