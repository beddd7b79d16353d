// What a server listens on, and its bounds. Kafka's config names are given with each.

import MillraceBroker
import NIOCore

package struct ServerConfiguration: Sendable, Equatable {
  /// `listeners`
  package var listeners: [Listener]
  /// `num.network.threads`
  package var networkThreads = 3
  /// `socket.listen.backlog.size`
  package var listenBacklog = 128
  /// `socket.request.max.bytes`
  package var maxRequestBytes = 100 << 20
  /// `queued.max.request.bytes`: memory for the requests of all connections that are not answered yet, and as much
  /// again for those that have not fully arrived.
  package var maxQueuedRequestBytes = defaultMaxQueuedRequestBytes
  /// Requests of one connection that are taken up and not answered, or answered and not sent.
  package var maxInFlightPerConnection = 100
  /// `max.connections`
  package var maxConnections = Int.max
  /// `max.connections.per.ip`
  package var maxConnectionsPerAddress = Int.max
  /// `max.connections.per.ip.overrides`, by address
  package var maxConnectionsOverrides: [String: Int] = [:]
  /// `max.connection.creation.rate`, connections a second
  package var maxConnectionCreationRate = Int.max
  /// `connections.max.idle.ms`; nil never closes an idle connection.
  package var maxIdle: Duration? = .seconds(600)
  /// `socket.send.buffer.bytes`; nil lets the operating system size it to the traffic.
  package var sendBufferBytes: Int?
  /// `socket.receive.buffer.bytes`; nil lets the operating system size it to the traffic.
  package var receiveBufferBytes: Int?

  /// Kafka has no bound here (-1). A broker without one is as large as its clients make it.
  static let defaultMaxQueuedRequestBytes = 256 << 20

  /// More loops than cores would only take turns.
  var eventLoopCount: Int { max(1, min(networkThreads, System.coreCount)) }

  package init(listeners: [Listener]) { self.listeners = listeners }

  package init(_ broker: BrokerConfiguration) {
    listeners = broker.listeners.map { Listener(name: $0.name, host: $0.host, port: $0.port) }
    networkThreads = broker.networkThreads
    listenBacklog = broker.listenBacklog
    maxRequestBytes = broker.maxRequestBytes
    maxQueuedRequestBytes = broker.maxQueuedRequestBytes ?? Self.defaultMaxQueuedRequestBytes
    maxConnections = broker.maxConnections
    maxConnectionsPerAddress = broker.maxConnectionsPerAddress
    maxConnectionsOverrides = broker.maxConnectionsOverrides
    maxConnectionCreationRate = broker.maxConnectionCreationRate
    maxIdle = broker.maxIdleMs.map { .milliseconds($0) }
    sendBufferBytes = broker.sendBufferBytes
    receiveBufferBytes = broker.receiveBufferBytes
  }
}
