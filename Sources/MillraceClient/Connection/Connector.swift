// How a channel to a broker comes to be. TCP is one way; a broker in the same process is another.

import NIOCore
import NIOPosix

package protocol Connector: Sendable {
  /// Opens a channel to `address` and puts `handler`'s result into its pipeline before any byte can arrive.
  func connect(
    to address: BrokerAddress, _ configuration: ClientConfiguration,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel>

  /// Whether nobody but the broker is at the other end, by its nature: clients then need not prove who they are.
  var isInProcess: Bool { get }
}

extension Connector {
  package var isInProcess: Bool { false }
}

struct TCPConnector: Connector {
  private let tls: TLSContext?

  /// - Parameter tls: nil for connections that are not encrypted.
  init(_ tls: TLSSettings?) throws(KafkaError) {
    self.tls = if let tls { try TLSContext(tls) } else { nil }
  }

  func connect(
    to address: BrokerAddress, _ configuration: ClientConfiguration,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel> {
    let connected = ClientBootstrap.forBroker(
      configuration, on: configuration.eventLoopGroup.any(), handler: handler
    )
    .channelOption(.tcpOption(.tcp_nodelay), value: 1)
    .channelOption(.socketOption(.so_keepalive), value: 1)
    .connect(host: address.host, port: address.port)
    guard let tls else { return connected }
    return connected.flatMap { channel in
      let secured = tls.secure(channel, to: address, within: configuration.connectTimeout)
      secured.whenFailure { _ in channel.close(promise: nil) }
      return secured.map { channel }
    }
  }
}

extension ClientBootstrap {
  /// A read takes what the socket has, up to this much: fetch answers are large, and most others small.
  private static let receiveBufferBytes = (minimum: 4 << 10, initial: 32 << 10, maximum: 1 << 20)

  /// What channels to brokers have in common, whatever carries them.
  package static func forBroker(
    _ configuration: ClientConfiguration, on eventLoop: any EventLoop,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> ClientBootstrap {
    ClientBootstrap(group: eventLoop)
      .connectTimeout(TimeAmount(configuration.connectTimeout))
      .channelOption(
        .recvAllocator,
        value: AdaptiveRecvByteBufferAllocator(
          minimum: receiveBufferBytes.minimum, initial: receiveBufferBytes.initial,
          maximum: receiveBufferBytes.maximum)
      )
      .channelInitializer { channel in
        channel.eventLoop.makeCompletedFuture {
          try channel.pipeline.syncOperations.addHandler(handler(channel))
        }
      }
  }
}
