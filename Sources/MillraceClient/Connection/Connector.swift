// How a channel to a broker comes to be. TCP is one way; a broker in the same process is another.

import NIOCore
import NIOPosix

package protocol Connector: Sendable {
  /// Opens a channel to `address` and puts `handler`'s result into its pipeline before any byte can arrive.
  func connect(
    to address: BrokerAddress, _ configuration: ClientConfiguration,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel>
}

struct TCPConnector: Connector {
  func connect(
    to address: BrokerAddress, _ configuration: ClientConfiguration,
    handler: @escaping @Sendable (any Channel) -> any ChannelHandler
  ) -> EventLoopFuture<any Channel> {
    ClientBootstrap.forBroker(configuration, on: configuration.eventLoopGroup.any(), handler: handler)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelOption(.socketOption(.so_keepalive), value: 1)
      .connect(host: address.host, port: address.port)
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
