// The broker as a part of somebody's program: its life, from `start` to `stop` or as a service of
// swift-service-lifecycle, and the way of the program's own clients to it.

import Logging
import MillraceBroker
import MillraceClient
import MillraceServer
import NIOCore
import ServiceLifecycle
import Synchronization

/// A Kafka-compatible broker inside this process.
///
/// ```swift
/// let broker = Broker.inMemory()
/// try await broker.start()
/// let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
/// try await producer.send(ProducerRecord(topic: "orders", key: "o-1", value: "…"))
/// await producer.close()
/// await broker.stop()
/// ```
///
/// A service group runs it as a service: it then stops when the group shuts down gracefully, or when its task is
/// cancelled. Put it before the services that use it, so that it is stopped after them.
///
/// Any number of brokers can run in one process; they share nothing but the event loops.
public final class Broker: Service {
  private enum Phase {
    case new, starting
    case running(BrokerNode)
    case stopping
    case stopped(why: String)
  }

  private struct State {
    var phase = Phase.new
    /// Clients that were there before the broker was.
    var connecting: [EventLoopPromise<BrokerNode>] = []
    var stopping: [CheckedContinuation<Void, Never>] = []
  }

  private let configuration: Configuration
  private let surroundings: BrokerNode.Surroundings
  private let state = Mutex(State())

  /// A broker that is not yet started.
  public convenience init(_ configuration: Configuration = Configuration()) {
    self.init(configuration, in: BrokerNode.Surroundings(configuration))
  }

  package init(_ configuration: Configuration, in surroundings: BrokerNode.Surroundings) {
    self.configuration = configuration
    self.surroundings = surroundings
  }

  /// A broker that keeps its records in memory and, unless `listener` says so, opens no socket.
  ///
  /// - Parameters:
  ///   - listener: see ``Configuration/listener``.
  ///   - settings: see ``Configuration/settings``.
  public static func inMemory(listener: BrokerAddress? = nil, settings: [String: String] = [:]) -> Broker {
    Broker(Configuration(storage: .memory(), listener: listener, settings: settings))
  }

  // MARK: Life

  /// Starts the broker, and returns when it serves. After a crash that is when its logs are repaired.
  ///
  /// - Throws: ``BrokerError`` with what is in the way and what to do about it.
  public func start() async throws(BrokerError) {
    let isNew = state.withLock { state in
      guard case .new = state.phase else { return false }
      state.phase = .starting
      return true
    }
    guard isNew else { throw BrokerError(.lifecycle, "a broker is started once: make another one to start again") }
    let started: Result<BrokerNode, BrokerError>
    do {
      let node = try await BrokerNode.start(
        MillraceBroker.BrokerConfiguration(configuration), in: surroundings, logger: configuration.logger)
      started = .success(node)
    } catch { started = .failure(BrokerError(starting: error)) }

    let (isWanted, connecting) = state.withLock { state in
      defer { state.connecting = [] }
      guard case .starting = state.phase, case .success(let node) = started else {
        return (false, state.connecting)
      }
      state.phase = .running(node)
      return (true, state.connecting)
    }
    switch started {
    case .success(let node) where isWanted: for one in connecting { one.succeed(node) }
    case .success(let node):
      await node.stop()
      let error = BrokerError(.lifecycle, "the broker was stopped before it had started")
      end(because: error.message, connecting)
      throw error
    case .failure(let error):
      end(because: "it did not start: \(error)", connecting)
      throw error
    }
  }

  /// Stops the broker: takes no more requests, answers those it took (for ten seconds at most), closes its logs.
  /// Returns when all that is done, at once if the broker is stopped already. Stop its clients first.
  public func stop() async {
    enum Role {
      case stopper(BrokerNode)
      case waiter, nobody
    }
    let (role, connecting) = state.withLock { state -> (Role, [EventLoopPromise<BrokerNode>]) in
      switch state.phase {
      case .new:
        defer { state.connecting = [] }
        state.phase = .stopped(why: "it is stopped")
        return (.nobody, state.connecting)
      case .running(let node):
        state.phase = .stopping
        return (.stopper(node), [])
      case .starting:
        // Who starts it sees this, and stops it.
        state.phase = .stopping
        return (.waiter, [])
      case .stopping: return (.waiter, [])
      case .stopped: return (.nobody, [])
      }
    }
    switch role {
    case .nobody: for one in connecting { one.fail(Self.unreachable("it is stopped")) }
    case .stopper(let node):
      await node.stop()
      end(because: "it is stopped", [])
    case .waiter:
      await withCheckedContinuation { continuation in
        let isOver = state.withLock { state in
          if case .stopped = state.phase { return true }
          state.stopping.append(continuation)
          return false
        }
        if isOver { continuation.resume() }
      }
    }
  }

  /// Starts the broker, unless that was done before, and stops it at the graceful shutdown of the service group, or when
  /// the task is cancelled.
  ///
  /// Start it before the group if clients are made before the group runs:
  ///
  /// ```swift
  /// try await broker.start()
  /// let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
  /// try await ServiceGroup(services: [broker, producer], gracefulShutdownSignals: [.sigterm], logger: logger).run()
  /// ```
  ///
  /// - Throws: ``BrokerError`` when it does not start.
  public func run() async throws {
    if !isRunning { try await start() }
    // Being cancelled is the other way to end.
    try? await gracefulShutdown()
    await stop()
  }

  private var isRunning: Bool {
    state.withLock { state in
      if case .running = state.phase { true } else { false }
    }
  }

  private func end(because why: String, _ connecting: [EventLoopPromise<BrokerNode>]) {
    let stopping = state.withLock { state in
      state.phase = .stopped(why: why)
      defer { state.stopping = [] }
      return state.stopping
    }
    for one in connecting { one.fail(Self.unreachable(why)) }
    for one in stopping { one.resume() }
  }

  // MARK: Reaching it

  /// Where the broker listens, with the ports that were bound; nothing before it is started, or without a listener.
  /// `localhost` may be two addresses.
  public var addresses: [BrokerAddress] {
    state.withLock { state in
      guard case .running(let node) = state.phase else { return [] }
      return node.addresses.map { BrokerAddress(host: $0.host, port: Int($0.port)) }
    }
  }

  /// How many connections it has; none when it does not run.
  package var connectionCount: Int {
    state.withLock { state in
      guard case .running(let node) = state.phase else { return 0 }
      return node.connectionCount
    }
  }

  /// For clients in this process: they connect without TCP, whether or not the broker listens.
  ///
  /// A client may be made before the broker is started: its first connection waits for that, up to its
  /// `connectTimeout`.
  public var clientConfiguration: ClientConfiguration {
    var client = ClientConfiguration(bootstrapServers: [BrokerAddress(host: Listener.inProcess.host, port: 0)])
    client.connector = InProcessConnector(broker: self)
    client.eventLoopGroup = configuration.eventLoopGroup
    client.logger = configuration.logger
    return client
  }

  /// The running broker, once there is one.
  fileprivate func node(on eventLoop: any EventLoop, within limit: Duration) -> EventLoopFuture<BrokerNode> {
    let promise = eventLoop.makePromise(of: BrokerNode.self)
    let answer = state.withLock { state -> Result<BrokerNode, KafkaError>? in
      switch state.phase {
      case .running(let node): return .success(node)
      case .stopping: return .failure(Self.unreachable("it is being stopped"))
      case .stopped(let why): return .failure(Self.unreachable(why))
      case .new, .starting:
        state.connecting.append(promise)
        return nil
      }
    }
    if let answer {
      promise.completeWith(answer.mapError { $0 as any Error })
    } else {
      let impatience = eventLoop.scheduleTask(in: TimeAmount(limit)) {
        promise.fail(Self.unreachable("it is not started"))
      }
      promise.futureResult.whenComplete { _ in impatience.cancel() }
    }
    return promise.futureResult
  }

  private static func unreachable(_ why: String) -> KafkaError {
    KafkaError(.connectionFailed, "the broker of this process cannot be reached: \(why)")
  }
}

extension BrokerNode.Surroundings {
  package init(_ configuration: Millrace.Broker.Configuration) {
    self.init()
    fileSystem = configuration.storage.fileSystem
    eventLoopGroup = configuration.eventLoopGroup
  }
}

/// Connects the clients of this process.
private struct InProcessConnector: Connector {
  let broker: Broker
  var isInProcess: Bool { true }

  func connect(
    to address: BrokerAddress, _ configuration: ClientConfiguration,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel> {
    let eventLoop = configuration.eventLoopGroup.any()
    return broker.node(on: eventLoop, within: configuration.connectTimeout).flatMap { node in
      node.connect(configuration, on: eventLoop, handler: handler)
    }
  }
}
