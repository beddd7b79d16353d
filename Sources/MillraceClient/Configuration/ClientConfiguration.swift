// What producers, consumers and the admin client have in common. Defaults are Kafka's.

import Logging
import MillraceProtocol
import NIOCore
import NIOPosix

/// How to reach a Kafka cluster.
public struct ClientConfiguration: Sendable {
  /// Brokers to learn the cluster from; one that answers is enough (`bootstrap.servers`).
  public var bootstrapServers: [BrokerAddress]
  /// The name that brokers put into their logs and quotas (`client.id`).
  public var clientId = "millrace"
  /// How long an answer may take (`request.timeout.ms`).
  public var requestTimeout: Duration = .seconds(30)
  /// How long a connection may take to be made (`socket.connection.setup.timeout.ms`).
  public var connectTimeout: Duration = .seconds(10)
  /// How long an operation may take with all its retries (`default.api.timeout.ms`).
  public var operationTimeout: Duration = .seconds(60)
  /// The pause before the first retry; it doubles with every further one (`retry.backoff.ms`).
  public var retryBackoff: Duration = .milliseconds(100)
  /// The longest pause between retries (`retry.backoff.max.ms`).
  public var retryBackoffMax: Duration = .seconds(1)
  /// When metadata is fetched again although nothing failed (`metadata.max.age.ms`).
  public var metadataMaxAge: Duration = .seconds(300)
  /// How long to keep trying for a first connection. Zero tries each bootstrap server once, so that a wrong address is
  /// an error at once.
  public var bootstrapTimeout: Duration = .zero
  /// How connections are encrypted; nil for not at all (`security.protocol`). Needs the package trait `TLS`.
  ///
  /// Connections to a broker in the same process do not leave it: this and ``sasl`` do not apply to them.
  public var tls: TLSSettings?
  /// How the client proves who it is; nil for not at all (`sasl.mechanism`).
  public var sasl: SASL?
  /// The largest answer that is read.
  public var maxResponseBytes = 256 << 20
  /// The event loops that connections live on.
  public var eventLoopGroup: any EventLoopGroup = MultiThreadedEventLoopGroup.singleton
  /// What clients log to.
  public var logger = Logger(label: "millrace.client")
  /// The highest versions to use of some APIs, as if brokers knew no higher ones.
  package var versionLimits: [ApiKey: Int16] = [:]
  /// How connections are made; nil for TCP.
  package var connector: (any Connector)?

  /// A configuration with these brokers to begin with.
  public init(bootstrapServers: [BrokerAddress]) {
    self.bootstrapServers = bootstrapServers
  }

  /// - Parameter bootstrapServers: addresses separated by commas, as in `localhost:9092`.
  public init(bootstrapServers: String) throws(KafkaError) {
    self.init(bootstrapServers: try BrokerAddress.list(bootstrapServers))
  }

  /// The connector to use: by TCP, unless another one is set.
  func makeConnector() throws(KafkaError) -> any Connector {
    if let connector { connector } else { try TCPConnector(tls) }
  }

  func check() throws(KafkaError) {
    guard !bootstrapServers.isEmpty else {
      throw KafkaError(.configuration, "no bootstrap server is given")
    }
    guard clientId.utf8.count <= Int(Int16.max) else {
      throw KafkaError(.configuration, "the client id is longer than 32767 bytes")
    }
    guard requestTimeout > .zero, connectTimeout > .zero, operationTimeout > .zero else {
      throw KafkaError(.configuration, "time-outs must be longer than zero")
    }
  }
}
