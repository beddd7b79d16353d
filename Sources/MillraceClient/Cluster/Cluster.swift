// A Kafka cluster as the clients see it: requests go to the broker that they are for, over connections that are made
// when needed, and are tried again when that can help. Producer, consumer and admin each have one of their own.

import Logging
import MillraceProtocol
import Synchronization

package final class Cluster: Sendable {
  /// Who a request is for.
  package enum Destination: Hashable, Sendable {
    case any
    case controller
    case broker(Int32)
    case leader(TopicPartition)
    case coordinator(CoordinatorKey)
  }

  /// What a coordinator is looked up by.
  package enum CoordinatorKey: Hashable, Sendable {
    case group(String)
    case transaction(String)
    case sharePartition(group: String, topicId: Uuid, partition: Int32)
  }

  struct State {
    var metadata = ClusterMetadata()
    var fetchedAt: [String: ContinuousClock.Instant] = [:]
    var coordinators: [CoordinatorKey: BrokerInfo] = [:]
    var lookups: [MetadataQuery: Deferred<Void>] = [:]
  }

  let configuration: ClientConfiguration
  let pool: ConnectionPool
  let state = Mutex(State())
  var logger: Logger { configuration.logger }

  private init(_ configuration: ClientConfiguration) {
    self.configuration = configuration
    pool = ConnectionPool(configuration)
  }

  /// Connects to the first bootstrap server that answers and learns the brokers from it.
  package static func connect(_ configuration: ClientConfiguration) async throws(KafkaError) -> Cluster {
    try configuration.check()
    var configuration = configuration
    // Once for all connections: it reads certificates.
    configuration.connector = try configuration.makeConnector()
    let cluster = Cluster(configuration)
    let deadline = ContinuousClock.now + configuration.bootstrapTimeout
    var backoff = Backoff(configuration)
    while true {
      do throws(KafkaError) {
        try await cluster.refreshMetadata(.brokers)
        return cluster
      } catch {
        guard error.isRetriable, .now < deadline else {
          cluster.close()
          throw error
        }
      }
      try await pause(backoff.next())
    }
  }

  package func close() {
    pool.close()
  }

  /// The brokers that are known.
  var brokers: [BrokerInfo] {
    state.withLock { $0.metadata.brokers.values.sorted { $0.id < $1.id } }
  }

  // MARK: Requests

  /// Sends a request to where it belongs and returns the answer. As long as time remains, it is tried again after
  /// whatever may pass: a lost connection, a leader or coordinator that has moved.
  ///
  /// - Parameters:
  ///   - limit: the highest version to use.
  ///   - timeout: how long the answer may take, when that is not the request time-out.
  ///   - deadline: when to stop retrying; nil for the operation time-out.
  ///   - make: the request in the version that was negotiated.
  ///   - failure: the error in an answer that is one.
  package func send<R: Request>(
    to destination: Destination, on lane: Lane = .general, upTo limit: Int16 = .max, timeout: Duration? = nil,
    until deadline: ContinuousClock.Instant? = nil, _ make: @Sendable (Int16) throws(KafkaError) -> R,
    failure: @Sendable (R.Response) -> KafkaError? = { _ in nil }
  ) async throws(KafkaError) -> R.Response {
    try await retrying(until: deadline, about: destination) { () throws(KafkaError) in
      let response = try await self.attempt(to: destination, on: lane, upTo: limit, timeout: timeout, make)
      if let error = failure(response) { throw error }
      return response
    }
  }

  /// The same without retries, and without a look at errors in the answer.
  func attempt<R: Request>(
    to destination: Destination, on lane: Lane = .general, upTo limit: Int16 = .max, timeout: Duration? = nil,
    _ make: @Sendable (Int16) throws(KafkaError) -> R
  ) async throws(KafkaError) -> R.Response {
    let connection = try await connection(to: destination, lane)
    let version = try connection.version(of: R.self, upTo: limit)
    return try await connection.send(try make(version), version: version, timeout: timeout)
  }

  /// Runs `body` until it succeeds, fails for good, or time is up.
  func retrying<T: Sendable>(
    until deadline: ContinuousClock.Instant? = nil, about destination: Destination = .any,
    _ body: @Sendable () async throws(KafkaError) -> T
  ) async throws(KafkaError) -> T {
    let deadline = deadline ?? .now + configuration.operationTimeout
    var backoff = Backoff(configuration)
    while true {
      do throws(KafkaError) {
        return try await body()
      } catch {
        guard error.isRetriable else { throw error }
        forget(destination)
        let wait = backoff.next()
        guard .now + wait < deadline else { throw error.adding("gave up retrying") }
        logger.debug("retrying", metadata: ["error": "\(error)", "destination": "\(destination)"])
        try await pause(wait)
      }
    }
  }

  /// Drops what led to a destination that did not work.
  func forget(_ destination: Destination) {
    state.withLock { state in
      switch destination {
      case .any, .broker: break
      case .controller: state.metadata.controllerId = nil
      case .leader(let partition): state.fetchedAt[partition.topic] = nil
      case .coordinator(let key): state.coordinators[key] = nil
      }
    }
  }

  // MARK: Routing

  func connection(to destination: Destination, _ lane: Lane = .general) async throws(KafkaError) -> Connection {
    switch destination {
    case .any:
      return try await anyConnection()
    case .controller:
      if state.withLock({ $0.metadata.controllerId }) == nil { try await refreshMetadata(.brokers) }
      // Without one the brokers pass requests on themselves (KIP-590).
      guard let id = state.withLock({ $0.metadata.controllerId }), broker(id) != nil else {
        return try await anyConnection()
      }
      return try await connection(toBroker: id, lane)
    case .broker(let id):
      return try await connection(toBroker: id, lane)
    case .leader(let partition):
      return try await connection(toBroker: try await leader(of: partition).id, lane)
    case .coordinator(let key):
      return try await pool.connection(to: try await coordinator(of: key).address, lane)
    }
  }

  func broker(_ id: Int32) -> BrokerInfo? {
    state.withLock { $0.metadata.brokers[id] }
  }

  private func connection(toBroker id: Int32, _ lane: Lane) async throws(KafkaError) -> Connection {
    if broker(id) == nil { try await refreshMetadata(.brokers) }
    guard let broker = broker(id) else {
      let known = brokers.map { "\($0.id)" }.joined(separator: ", ")
      throw KafkaError(.connectionFailed, "there is no broker \(id) at the moment; the cluster has \(known)")
    }
    do throws(KafkaError) {
      return try await pool.connection(to: broker.address, lane)
    } catch {
      guard error.code == .connectionFailed, !configuration.bootstrapServers.contains(broker.address) else {
        throw error
      }
      throw error.adding("the address that broker \(id) advertises; see advertised.listeners")
    }
  }

  /// A connection to whichever broker answers: one that is open, else the known brokers, else the bootstrap servers.
  private func anyConnection() async throws(KafkaError) -> Connection {
    let known = brokers.map(\.address).shuffled()
    for address in known + configuration.bootstrapServers {
      if let connection = pool.existing(to: address, .general) { return connection }
    }
    var failures: [KafkaError] = []
    var tried: Set<BrokerAddress> = []
    for address in known + configuration.bootstrapServers where tried.insert(address).inserted {
      do throws(KafkaError) {
        return try await pool.connection(to: address, .general)
      } catch {
        guard error.code != .cancelled, error.code != .closed else { throw error }
        failures.append(error)
      }
    }
    guard let first = failures.first, failures.count > 1 else {
      throw failures.first ?? KafkaError(.configuration, "no bootstrap server is given")
    }
    throw KafkaError(first.code, "no broker answers: " + failures.map(\.message).joined(separator: "; "))
  }
}
