// The broker's sockets: listens, and gives every connection to one of a few event loops.
//
//      let server = Server(ServerConfiguration(broker.configuration), handler: broker, logger: logger)
//      let addresses = try await server.start { broker.advertise($0) }
//      ...
//      await server.stop(within: .seconds(5))
//
// No task and no thread is started for a connection or a request.

import Logging
import MillraceBroker
import NIOCore
import NIOPosix
import Synchronization

package final class Server: Sendable {
  /// What the socket has not taken of a connection's answers: above the high mark nothing more is taken up.
  static let unsentBytes = ChannelOptions.Types.WriteBufferWaterMark(low: 128 << 10, high: 512 << 10)

  /// A hundred years, in seconds.
  private static let forever: Int64 = 3_155_760_000

  private let configuration: ServerConfiguration
  private let shared: ServerShared
  private let group: any EventLoopGroup
  private let ownsGroup: Bool
  private let threads: [ObjectIdentifier: NetworkThread]
  private let acceptRate: ConnectionRate
  private let nextConnectionId = Atomic<UInt64>(1)
  private let state = Mutex(State())

  private struct State {
    var bound: [Binding.Bound] = []
    var isStopped = false
  }

  /// - Parameter group: event loops to run on, which stay the caller's; nil starts `num.network.threads` own ones.
  package init(
    _ configuration: ServerConfiguration, handler: any RequestHandling, group: (any EventLoopGroup)? = nil,
    logger: Logger
  ) {
    self.configuration = configuration
    ownsGroup = group == nil
    self.group = group ?? MultiThreadedEventLoopGroup(numberOfThreads: configuration.eventLoopCount)
    threads = Dictionary(
      uniqueKeysWithValues: self.group.makeIterator().map { (ObjectIdentifier($0), NetworkThread(eventLoop: $0)) })
    acceptRate = ConnectionRate(limit: configuration.maxConnectionCreationRate)
    shared = ServerShared(
      handler: handler,
      connectionLimits: ConnectionMachine.Limits(
        framing: Framing(maxFrameBytes: configuration.maxRequestBytes),
        maxInFlight: max(1, configuration.maxInFlightPerConnection)),
      maxIdle: TimeAmount(configuration.maxIdle ?? .seconds(Self.forever)),
      requestMemoryBytes: configuration.maxQueuedRequestBytes,
      quota: ConnectionQuota(
        limits: ConnectionQuota.Limits(
          total: configuration.maxConnections, perAddress: configuration.maxConnectionsPerAddress,
          overrides: configuration.maxConnectionsOverrides)),
      log: ConnectionLog(logger: logger))
  }

  /// Listens on every configured address; when one of them cannot be had, on none, and the server is stopped. Without
  /// listeners it serves only what comes by `adopt`.
  /// - Parameter beforeAccepting: told the addresses before the first connection is taken.
  @discardableResult
  package func start(
    beforeAccepting: ([BoundAddress]) -> Void = { _ in }
  ) async throws(ServerError) -> [BoundAddress] {
    let binding = Binding { listener in self.bootstrap(for: listener) }
    let bound: [Binding.Bound]
    do {
      bound = try await binding.bind(configuration.listeners)
    } catch {
      await stop(within: .zero)
      throw error
    }
    state.withLock { $0.bound = bound }
    for thread in threads.values { thread.eventLoop.execute { thread.startSweeping(maxIdle: self.shared.maxIdle) } }
    let addresses = bound.map(\.address)
    beforeAccepting(addresses)
    for one in bound { one.channel.setOption(.autoRead, value: true).whenFailure { _ in } }
    return addresses
  }

  package var addresses: [BoundAddress] { state.withLock { $0.bound.map(\.address) } }

  package var connectionCount: Int { shared.quota.count }

  /// Bytes of requests that are received and not answered.
  package var queuedRequestBytes: Int { shared.memory.usedBytes }

  /// What the receive buffers of all connections take at the moment; none is kept by a connection that waits.
  package func receiveBufferBytes() async throws -> Int {
    var sum = 0
    for thread in threads.values {
      sum += try await thread.eventLoop.submit { thread.receiveBufferBytes }.get()
    }
    return sum
  }

  /// Takes no more connections and requests, answers those it took, and closes. What is not answered within `limit`
  /// is given up.
  package func stop(within limit: Duration) async {
    let bound = state.withLock { state -> [Binding.Bound]? in
      guard !state.isStopped else { return nil }
      state.isStopped = true
      defer { state.bound = [] }
      return state.bound
    }
    guard let bound else { return }
    let deadline = NIODeadline.now() + TimeAmount(limit)
    await Binding.close(bound)
    let drained = threads.values.map { thread in
      thread.eventLoop.flatSubmit { thread.drain(until: deadline) }
    }
    for future in drained { try? await future.get() }
    for thread in threads.values { thread.closeMailbox() }
    if ownsGroup { try? await group.shutdownGracefully() }
  }

  private func bootstrap(for listener: Listener) -> ServerBootstrap {
    var bootstrap = ServerBootstrap(group: group)
      .serverChannelOption(.backlog, value: Int32(clamping: configuration.listenBacklog))
      .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
      .serverChannelOption(.autoRead, value: false)
      .serverChannelOption(.maxMessagesPerRead, value: UInt(max(1, min(AcceptGate.maxAtOnce, acceptRate.limit))))
      .serverChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(
            AcceptGate(listener: listener, rate: self.acceptRate, log: self.shared.log))
        }
      }
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelOption(.socketOption(.so_keepalive), value: 1)
      .childChannelOption(.allowRemoteHalfClosure, value: true)
      .childChannelOption(.maxMessagesPerRead, value: 1)
      .childChannelOption(.writeBufferWaterMark, value: Self.unsentBytes)
      .childChannelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try self.admit(channel, of: Peer(channel.remoteAddress), by: listener)
        }
      }
    if let bytes = configuration.sendBufferBytes {
      bootstrap = bootstrap.childChannelOption(.socketOption(.so_sndbuf), value: SocketOptionValue(bytes))
    }
    if let bytes = configuration.receiveBufferBytes {
      bootstrap = bootstrap.serverChannelOption(.socketOption(.so_rcvbuf), value: SocketOptionValue(bytes))
    }
    return bootstrap
  }

  /// Serves the client at the other end of a socket that is connected already, as if it had come in by `listener`.
  package func adopt(_ descriptor: CInt, by listener: Listener) -> EventLoopFuture<Void> {
    ClientBootstrap(group: group)
      .channelOption(.allowRemoteHalfClosure, value: true)
      .channelOption(.maxMessagesPerRead, value: 1)
      .channelOption(.writeBufferWaterMark, value: Self.unsentBytes)
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture { try self.admit(channel, of: .sameProcess, by: listener) }
      }
      .withConnectedSocket(descriptor).map { _ in }
  }

  /// Sets a new connection up, on its event loop. Throwing closes it.
  private func admit(_ channel: any Channel, of peer: Peer, by listener: Listener) throws {
    guard let thread = threads[ObjectIdentifier(channel.eventLoop)] else {
      preconditionFailure("a connection was accepted on a foreign event loop")
    }
    guard !thread.isDraining else { throw ChannelError.ioOnClosedChannel }
    do {
      try shared.quota.admit(peer.address)
    } catch {
      shared.log.warn("refused a connection of \(peer) (\(listener.name)): \(error)")
      throw error
    }
    let info = ConnectionInfo(
      id: nextConnectionId.wrappingAdd(1, ordering: .relaxed).oldValue, clientHost: peer.clientHost,
      listener: listener.name, executor: { body in thread.post(.run(body)) })
    let receiveBuffer = ReceiveBuffer(pool: thread.pool)
    let connection = Connection(
      peer: peer, info: info, thread: thread, receiveBuffer: receiveBuffer, shared: shared)
    do {
      try channel.syncOptions?.setOption(.recvAllocator, value: LendingAllocator(receiveBuffer: receiveBuffer))
      try channel.pipeline.syncOperations.addHandler(connection)
    } catch {
      shared.quota.release(peer.address)
      throw error
    }
  }
}
