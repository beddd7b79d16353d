// The command line: where the broker is, how many orders, how much trouble.

import ArgumentParser
import Logging
import Millrace
import MillraceClient
import MillraceTesting
import ServiceLifecycle

@main
struct OrderPipelineCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "OrderPipeline",
    abstract: "Takes orders through payment, inventory, notification and fulfilment, exactly once, and proves it.",
    discussion: """
      Runs with a broker of its own, in memory unless --data names a directory, or on any Kafka cluster with --bootstrap. \
      Ends with an audit, read back from the topics: every order is fulfilled, failed with a reason or dead-lettered, \
      none is lost, none charged twice. The exit code is 1 if that is not so.

      EXAMPLES
        OrderPipeline --chaos
        OrderPipeline --orders 20000 --rate 2000 --bootstrap localhost:9092 --prefix demo-
      """)

  @Option(help: "How many orders are placed.")
  var orders = 100_000
  @Option(help: ArgumentHelp("For how many seconds orders are placed at most.", valueName: "seconds"))
  var duration: Double?
  @Option(help: "How many orders are placed in a second; as many as are worked off if nothing is said.")
  var rate: Double?
  @Option(help: "How many orders may be under way at a time.")
  var open = 10_000
  @Option(help: "The share of orders that make no sense.")
  var malformed = Percentage(2)
  @Option(help: "The share of orders whose payment does not work at once.")
  var flaky = Percentage(5)
  @Option(help: "The share of orders whose card is declined.")
  var declined = Percentage(1)
  @Flag(help: "Kill services and connections at random.")
  var chaos = false
  @Option(help: ArgumentHelp("How long it is from one strike of chaos to the next.", valueName: "milliseconds"))
  var strikeEvery = 300
  @Option(help: "Repeats a run's orders and luck.")
  var seed: UInt64 = .random(in: 1...999_999)
  @Option(help: "How many partitions each topic has.")
  var partitions: Int32 = 4
  @Option(help: ArgumentHelp("Use this cluster.", valueName: "host:port"))
  var bootstrap: String?
  @Option(help: ArgumentHelp("Keep the data of the broker in this directory.", valueName: "directory"))
  var data: String?
  @Option(help: "Stands before the names of all topics, groups and transactional ids.")
  var prefix = ""
  @Flag(help: "Say nothing but the result.")
  var quiet = false

  func validate() throws {
    guard orders > 0, open > 0, partitions > 0, strikeEvery > 0 else {
      throw ValidationError("--orders, --open, --partitions and --strike-every must be greater than zero")
    }
    guard rate ?? 1 > 0, rate ?? 1 <= 1e9, duration ?? 1 > 0, duration ?? 1 <= 1e9 else {
      throw ValidationError("--rate and --duration must be greater than zero, and at most a thousand million")
    }
    guard bootstrap == nil || data == nil else { throw ValidationError("--data is for a broker of its own") }
  }

  func run() async throws {
    do {
      try await work()
    } catch is Pipeline.Interrupted {
      throw ExitCode(130)
    } catch let error as KafkaError {
      guard error.brokerCode == .topicAlreadyExists else { throw error }
      throw ValidationError("\(error). Each run has topics of its own: choose another --prefix")
    }
  }

  private func work() async throws {
    Terminal.write("order pipeline: \(orders.grouped) orders, seed \(seed)\(chaos ? ", chaos" : "")\n")
    let outcome = try await withCluster { client, network in
      try await Pipeline(settings, client: client, network: network, view: view).run(endingOn: [.sigint, .sigterm])
    }
    Terminal.write(outcome.text + "\n")
    guard outcome.audit.holds else { throw ExitCode.failure }
  }

  private var view: LiveView.Style { quiet ? .silent : Terminal.isWatched ? .table : .lines }

  private var settings: Settings {
    var settings = Settings()
    settings.orders = orders
    settings.duration = duration.map { .seconds($0) }
    settings.rate = rate
    settings.openOrders = open
    settings.malformed = malformed.share
    settings.flaky = flaky.share
    settings.declined = declined.share
    settings.seed = seed
    settings.partitions = partitions
    settings.paymentInstances = Int(partitions)
    settings.chaos = chaos ? Chaos(interval: .milliseconds(strikeEvery)) : nil
    settings.prefix = prefix
    return settings
  }

  private func withCluster<Result>(
    _ body: (ClientConfiguration, NetworkFaults?) async throws -> Result
  ) async throws -> Result {
    let quietly = Logger(label: "orders") { _ in SwiftLogNoOpLogHandler() }
    if let bootstrap {
      var client = ClientConfiguration(bootstrapServers: try BrokerAddress.list(bootstrap))
      client.logger = quietly
      return try await body(client, nil)
    }
    let storage = data.map { Broker.Storage.directory($0) } ?? .memory(capacityBytes: 8 << 30)
    if chaos {
      return try await withBroker(storage: storage) { try await body($0.clientConfiguration, $0.network) }
    }
    var configuration = Broker.Configuration(storage: storage)
    configuration.logger = quietly
    let broker = Broker(configuration)
    try await broker.start()
    do {
      let result = try await body(broker.clientConfiguration, nil)
      await broker.stop()
      return result
    } catch {
      await broker.stop()
      throw error
    }
  }
}

/// A share as it is said: `2%`, or `2`.
struct Percentage: ExpressibleByArgument, CustomStringConvertible {
  let percent: Double

  init(_ percent: Double) { self.percent = percent }

  init?(argument: String) {
    guard let percent = Double(argument.hasSuffix("%") ? String(argument.dropLast()) : argument), 0...100 ~= percent
    else {
      return nil
    }
    self.init(percent)
  }

  var share: Double { percent / 100 }
  var description: String { percent == percent.rounded() ? "\(Int(percent))%" : "\(percent)%" }
}

extension Pipeline.Outcome {
  var text: String {
    let perMinute = Int(Double(audit.orders) / max(elapsed / .seconds(1), 0.001) * 60)
    func latencyText(_ share: Double) -> String { latency.percentile(share).map { "\($0.grouped) ms" } ?? "-" }
    return """
      \(audit.orders.grouped) orders in \(elapsed.secondsText) s: \(perMinute.grouped) a minute; \
      end to end p50 \(latencyText(0.5)), p99 \(latencyText(0.99))
      \(audit.text)
      """
  }
}
