// A whole broker in this process: its data directories, its APIs and its sockets, started and stopped together.
//
//     let node = try await BrokerNode.start(configuration, logger: logger)
//     print(node.addresses)
//     await node.stop()

import Logging
import MillraceBroker
import MillraceLog
import MillraceServer

package final class BrokerNode: Sendable {
  /// How long a stop waits for the requests that were taken to be answered.
  package static let stopTimeout = Duration.seconds(10)

  package let broker: Broker
  private let server: Server

  /// What is listened on, with the ports that were bound.
  package var addresses: [BoundAddress] { server.addresses }

  private init(broker: Broker, server: Server) {
    self.broker = broker
    self.server = server
  }

  /// Opens the data directories, recovers what a crash left, and serves. Throws what is in the way.
  package static func start(_ configuration: BrokerConfiguration, logger: Logger) async throws -> BrokerNode {
    let store = try LogStore.open(
      StoreOptions(configuration, logger: logger), nowMs: SystemClock().nowMs())
    let broker = Broker(configuration: configuration, store: store, logger: logger)
    do {
      try broker.start()
      let server = Server(ServerConfiguration(configuration), handler: broker, logger: logger)
      _ = try await server.start { broker.advertise($0) }
      return BrokerNode(broker: broker, server: server)
    } catch {
      broker.stop()
      throw error
    }
  }

  /// Answers what was taken, closes the logs, and lets the data directories go.
  package func stop() async {
    // Members that wait for others to join would wait in vain, and the stop for them.
    broker.groups.stop()
    await server.stop(within: Self.stopTimeout)
    broker.stop()
  }
}

extension StoreOptions {
  fileprivate init(_ configuration: BrokerConfiguration, logger: Logger) {
    self.init(
      directories: configuration.logDirectories, clusterId: configuration.clusterId, brokerId: configuration.nodeId,
      checkpointIntervalMs: configuration.checkpointIntervalMs, flushPolicy: configuration.flushPolicy,
      onRecovery: { logger.notice("\($0)") },
      onError: { logger.error("\($0)") },
      onCondition: { condition in
        if case .hasRoomAgain = condition { logger.notice("\(condition)") } else { logger.error("\(condition)") }
      })
  }
}
