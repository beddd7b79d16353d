// Puts the pipeline together and runs it: topics, services, whoever watches and disturbs them, and the audit at the end.

import Logging
import MillraceClient
import MillraceTesting
import ServiceLifecycle
import UnixSignals

struct Pipeline: Sendable {
  let settings: Settings
  let topics: Topics
  let client: ClientConfiguration
  /// What goes wrong between clients and the broker, for the chaos monkey; nil if that cannot be arranged.
  let network: NetworkFaults?
  let view: LiveView.Style

  private let progress = Progress()
  private let warehouse = Warehouse()
  private let cache: StockCache

  init(_ settings: Settings, client: ClientConfiguration, network: NetworkFaults?, view: LiveView.Style) {
    var client = client
    client.retryBackoff = .milliseconds(20)
    client.retryBackoffMax = .milliseconds(200)
    self.settings = settings
    self.client = client
    self.network = network
    self.view = view
    topics = Topics(prefix: settings.prefix)
    cache = StockCache { [warehouse] product in warehouse.level(of: product) }
  }

  /// A signal came before the orders had come to their end, so there is nothing to audit.
  struct Interrupted: Error {}

  struct Outcome: Sendable {
    var audit: AuditReport
    /// From the first order to the last one's end.
    var elapsed: Duration
    var latency: Latencies
  }

  /// Runs until all orders have come to their end, and audits that.
  ///
  /// - Parameter signals: what ends the run early.
  func run(endingOn signals: [UnixSignal] = []) async throws -> Outcome {
    try await createTopics()
    let ledger = try await ProviderLedger(client, topic: topics.ledger)
    let provider = PaymentProvider(settings) { try await ledger.book($0) }
    try await services(provider, endingOn: signals).run()
    let elapsed = progress.elapsed
    await ledger.close()
    guard progress.isOver else { throw Interrupted() }
    return Outcome(audit: try await audit(), elapsed: elapsed, latency: progress.snapshot.latency)
  }

  private func createTopics() async throws {
    let admin = try await Admin(client)
    let wanted = topics.all.map { NewTopic($0, partitions: settings.partitions) }
    // First to see whether it can be done: all of them, or none.
    for validateOnly in [true, false] {
      let created = try await admin.createTopics(wanted, validateOnly: validateOnly)
      for topic in topics.all { _ = try created[topic]?.get() }
    }
    await admin.close()
  }

  private func audit() async throws -> AuditReport {
    let placed = settings.duration == nil ? settings.orders : try await intake(StageTally("intake")).placedCount()
    var report = try await AuditReader(client: client, topics: topics).read()
      .report(orders: (0..<placed).map(OrderBook.id))
    report.staleProducts = staleProducts
    return report
  }

  /// How many products the cache has wrong.
  private var staleProducts: Int {
    cache.contents.count { product, level in warehouse.level(of: product) != level }
  }

  // MARK: Services

  private func services(_ provider: PaymentProvider, endingOn signals: [UnixSignal]) -> ServiceGroup {
    let payment = Part("payment", topics, inputs: [topics.orderPlaced])
    let inventory = Part("inventory", topics, inputs: [topics.paymentProcessed])
    let notification = Part("notification", topics, inputs: [topics.inventoryUpdated, topics.paymentFailed])
    let fulfilment = Part("fulfilment", topics, inputs: [topics.inventoryUpdated])
    let intake = StageTally("intake")
    let invalidation = StageTally("cache")

    let payments = PaymentService(
      provider: provider, topics: topics, partitions: settings.partitions, group: payment.group, tally: payment.tally)
    let reservations = InventoryService(warehouse: warehouse, topics: topics)
    let messages = NotificationService(cache: cache, topics: topics)
    let parcels = FulfilmentService(topics: topics)

    var supervisors = [
      Supervisor(intake, self.intake(intake).run),
      Supervisor(invalidation, self.invalidation.run),
      inventory.supervisor(client) { try reservations.handle($0) },
      notification.supervisor(client) { try await messages.handle($0) },
      fulfilment.supervisor(client) { try parcels.handle($0) },
    ]
    for instance in 1...settings.paymentInstances {
      supervisors.append(payment.supervisor(client, instance) { try await payments.handle($0) })
    }

    let monkey = settings.chaos.map {
      ChaosMonkey($0, seed: settings.seed, victims: supervisors, network: network)
    }
    let parts = [payment, inventory, notification, fulfilment]
    let lag = LagReader(client: client, partitions: settings.partitions, subjects: parts.map(\.lagSubject))
    let observer = Observer(client: client, topics: topics, progress: progress)
    let view = LiveView(view, progress, [intake] + parts.map(\.tally), cache, monkey)
    let conductor = Conductor(
      client: client, settings: settings, topics: topics, progress: progress, provider: provider,
      isCacheTrue: { staleProducts == 0 })

    // The first is stopped last.
    var services: [any Service] = [
      view, Supervisor(StageTally("observer"), observer.run), Supervisor(StageTally("lag"), lag.run),
    ]
    services += supervisors
    if let monkey { services.append(monkey) }
    var configurations = services.map {
      ServiceGroupConfiguration.ServiceConfiguration(service: $0, successTerminationBehavior: .ignore)
    }
    configurations.append(.init(service: conductor, successTerminationBehavior: .gracefullyShutdownGroup))
    return ServiceGroup(
      configuration: ServiceGroupConfiguration(
        services: configurations, gracefulShutdownSignals: signals, logger: client.logger))
  }

  private func intake(_ tally: StageTally) -> IntakeService {
    IntakeService(
      client: client, settings: settings, topics: topics, book: OrderBook(settings), progress: progress, tally: tally)
  }

  private var invalidation: StockCacheInvalidation {
    StockCacheInvalidation(client: client, topics: topics, partitions: settings.partitions, cache: cache)
  }
}

/// A service between topics: what it is called, and what it reads.
private struct Part: Sendable {
  let tally: StageTally
  let group: String
  let inputs: [String]

  init(_ name: String, _ topics: Topics, inputs: [String]) {
    tally = StageTally(name)
    group = topics.prefix + name
    self.inputs = inputs
  }

  func supervisor(
    _ client: ClientConfiguration, _ instance: Int = 1, _ transform: @escaping Stage.Transform
  ) -> Supervisor {
    let stage = Stage(
      client: client, group: group, instance: instance, inputs: inputs, tally: tally, transform: transform)
    return Supervisor(tally, stage.run)
  }

  var lagSubject: LagReader.Subject { LagReader.Subject(tally: tally, group: group, inputs: inputs) }
}
