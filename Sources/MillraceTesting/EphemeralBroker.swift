// A broker for one test: in memory, without a socket unless one is wanted, gone at the end.

import Logging
import Millrace
import MillraceBroker
import MillraceClient
import MillraceServer

/// A broker for one test, with everything that can be done to it.
///
/// ``withBroker(listener:storage:settings:clock:isolation:_:)`` makes one.
public struct EphemeralBroker: Sendable {
  /// The broker itself, which is running.
  public let broker: Millrace.Broker
  /// What goes wrong between clients and the broker.
  public let network: NetworkFaults
  /// What goes wrong between the broker and its logs.
  public let disk: DiskFaults

  /// For clients of this test; they connect without a socket. They try again soon.
  public var clientConfiguration: ClientConfiguration {
    var client = broker.clientConfiguration
    client.retryBackoff = .milliseconds(10)
    client.retryBackoffMax = .milliseconds(100)
    return client
  }

  /// Where it listens, if it does.
  public var addresses: [BrokerAddress] { broker.addresses }
}

/// Runs `body` with a broker of its own, and stops it afterwards.
///
/// ```swift
/// @Test func `the time of a record is known`() async throws {
///   let clock = ManualClock(nowMs: 1_800_000_000_000)
///   try await withBroker(clock: clock) { broker in
///     try await broker.createTopic("orders", configs: ["message.timestamp.type": "LogAppendTime"])
///     try await broker.send([ProducerRecord(topic: "orders", value: "12.50")])
///     clock.advance(by: .seconds(60))
///     try await broker.send([ProducerRecord(topic: "orders", value: "12.50")])
///     let records = try await broker.records(in: "orders", count: 2)
///     #expect(records.map(\.timestamp) == [1_800_000_000_000, 1_800_000_060_000])
///   }
/// }
/// ```
///
/// It takes milliseconds and no port, so every test can have one and all can run at the same time. It works with
/// Swift Testing and XCTest alike.
///
/// - Parameters:
///   - listener: an address for programs outside this process, mostly with port 0; nil opens no socket.
///   - storage: where records are kept; a directory stays when the broker goes.
///   - settings: Kafka's settings by their names.
///   - clock: the broker's clock; nil is the machine's.
///   - isolation: the actor that `body` runs on, which is the caller's.
///   - body: the test. The broker is stopped when it has returned or thrown.
/// - Returns: what `body` returns.
/// - Throws: what `body` throws, and `BrokerError` when the broker does not start.
public func withBroker<Result>(
  listener: BrokerAddress? = nil, storage: Millrace.Broker.Storage = .memory(), settings: [String: String] = [:],
  clock: ManualClock? = nil, isolation: isolated (any Actor)? = #isolation,
  _ body: (EphemeralBroker) async throws -> Result
) async throws -> Result {
  var configuration = Millrace.Broker.Configuration(storage: storage, listener: listener, settings: settings)
  // What goes wrong in a test, the test says.
  configuration.logger = Logger(label: "broker") { _ in SwiftLogNoOpLogHandler() }
  var surroundings = BrokerNode.Surroundings(configuration)
  let network = NetworkFaults()
  let disk = DiskFaults()
  surroundings.fileSystem = FaultyFileSystem(surroundings.fileSystem, disk)
  surroundings.intercept = { FaultyHandler(next: $0, faults: network) }
  if let clock { surroundings.clock = clock }
  let broker = Millrace.Broker(configuration, in: surroundings)
  try await broker.start()
  do {
    let result = try await body(EphemeralBroker(broker: broker, network: network, disk: disk))
    // What is still faulty must not hold up the stop.
    network.heal()
    disk.heal()
    await broker.stop()
    return result
  } catch {
    network.heal()
    disk.heal()
    await broker.stop()
    throw error
  }
}
