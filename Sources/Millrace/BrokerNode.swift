// A running broker in this process: its logs, its APIs and its sockets, started and stopped together.
//
//     let node = try await BrokerNode.start(configuration, logger: logger)
//     print(node.addresses)
//     await node.stop()

import Logging
import MillraceBroker
import MillraceClient
import MillraceLog
import MillraceServer
import NIOCore
import NIOPosix

package final class BrokerNode: Sendable {
  /// How long a stop waits for the requests that were taken to be answered.
  package static let stopTimeout = Duration.seconds(10)

  package let broker: MillraceBroker.Broker
  private let server: Server

  /// What is listened on, with the ports that were bound.
  package var addresses: [BoundAddress] { server.addresses }

  /// How many clients are connected.
  package var connectionCount: Int { server.connectionCount }

  private init(broker: MillraceBroker.Broker, server: Server) {
    self.broker = broker
    self.server = server
  }

  /// What a broker stands on; tests put something else in its place.
  package struct Surroundings: Sendable {
    package var fileSystem: any FileSystem = PosixFileSystem()
    package var clock: any BrokerClock = SystemClock()
    /// Event loops that stay the caller's; nil starts `num.network.threads` own ones.
    package var eventLoopGroup: (any EventLoopGroup)?
    /// Puts something between the connections and the broker.
    package var intercept: @Sendable (any RequestHandling) -> any RequestHandling = { $0 }

    package init() {}
  }

  /// Opens the logs, recovers what a crash left, and serves. Throws what is in the way.
  package static func start(
    _ configuration: BrokerConfiguration, in surroundings: Surroundings = Surroundings(), logger: Logger
  ) async throws -> BrokerNode {
    // Recovery may read for a long time.
    let broker = try await offPool {
      let store = try LogStore.open(
        StoreOptions(configuration, surroundings, logger: logger),
        nowMs: surroundings.clock.nowMs())
      let broker = MillraceBroker.Broker(
        configuration: configuration, store: store, logger: logger, clock: surroundings.clock)
      do { try broker.start() } catch {
        broker.stop()
        throw error
      }
      return broker
    }
    do {
      let server = Server(
        ServerConfiguration(configuration), handler: surroundings.intercept(broker),
        group: surroundings.eventLoopGroup, logger: logger)
      try await server.start {
        broker.advertise($0)
        broker.advertised.set(.init(host: Listener.inProcess.host, port: 0), for: Listener.inProcess.name)
      }
      return BrokerNode(broker: broker, server: server)
    } catch {
      try await offPool { broker.stop() }
      throw error
    }
  }

  /// Answers what was taken, closes the logs, and lets the data directories go.
  package func stop() async {
    // Members that wait for others to join would wait in vain, and the stop for them.
    broker.groups.stop()
    await server.stop(within: Self.stopTimeout)
    try? await Self.offPool { self.broker.stop() }
  }

  /// A connection of a client in this process.
  package func connect(
    _ client: ClientConfiguration, on eventLoop: any EventLoop,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel> {
    let pair: SocketPair
    do throws(ServerError) { pair = try SocketPair() } catch { return eventLoop.makeFailedFuture(error) }
    // The client may write before the other end is served; if that one is refused, it reads the end.
    let channel = ClientBootstrap.forBroker(client, on: eventLoop, handler: handler).withConnectedSocket(pair.client)
    server.adopt(pair.server, by: .inProcess).whenFailure { _ in channel.whenSuccess { $0.close(promise: nil) } }
    return channel
  }

  /// Runs what blocks where nobody else waits for the thread, to its end even if the task is cancelled.
  private static func offPool<Result: Sendable>(_ body: @escaping @Sendable () throws -> Result) async throws -> Result
  {
    try await NIOThreadPool.singleton.runIfActive(eventLoop: MultiThreadedEventLoopGroup.singleton.any(), body).get()
  }
}

extension StoreOptions {
  fileprivate init(_ configuration: BrokerConfiguration, _ surroundings: BrokerNode.Surroundings, logger: Logger) {
    // Event loops of the caller's have other work, that does not wait for a disk.
    let hasOwnLoops = surroundings.eventLoopGroup == nil
    self.init(
      directories: configuration.logDirectories, fileSystem: surroundings.fileSystem,
      clusterId: configuration.clusterId,
      brokerId: configuration.nodeId, checkpointIntervalMs: configuration.checkpointIntervalMs,
      flushPolicy: configuration.flushPolicy,
      afterTurn: { body in
        guard hasOwnLoops, let loop = MultiThreadedEventLoopGroup.currentEventLoop else { return false }
        loop.execute(body)
        return true
      },
      onRecovery: { logger.notice("\($0)") },
      onError: { logger.error("\($0)") },
      onCondition: { condition in
        if case .hasRoomAgain = condition { logger.notice("\(condition)") } else { logger.error("\(condition)") }
      })
  }
}
