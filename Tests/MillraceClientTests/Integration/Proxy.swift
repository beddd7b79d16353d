// A TCP proxy between clients and a broker, so that tests can cut and stall connections, and restart the broker behind
// an address that stays the same.

import Millrace
import MillraceClient
import NIOCore
import NIOPosix
import Synchronization

final class Proxy: Line {
  private struct State {
    var target: Int?
    var channels: [ObjectIdentifier: any Channel] = [:]
  }

  private final class Forwarder: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer
    private let peer: any Channel

    init(to peer: any Channel) {
      self.peer = peer
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { peer.write(unwrapInboundIn(data), promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { peer.flush() }
    func channelInactive(context: ChannelHandlerContext) { peer.close(promise: nil) }
    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
  }

  private let state: Shared
  private let listener: any Channel

  private final class Shared: Sendable {
    let value = Mutex(State())
  }

  init() async throws {
    let state = Shared()
    self.state = state
    listener = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
      .childChannelOption(.autoRead, value: false)
      .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
      .childChannelInitializer { client in Self.join(client, state) }
      .bind(host: "127.0.0.1", port: 0).get()
  }

  private static func join(_ client: any Channel, _ state: Shared) -> EventLoopFuture<Void> {
    guard let target = state.value.withLock({ $0.target }) else {
      return client.eventLoop.makeFailedFuture(ChannelError.connectTimeout(.zero))
    }
    return ClientBootstrap(group: client.eventLoop)
      .channelOption(.tcpOption(.tcp_nodelay), value: 1)
      .channelInitializer { broker in
        broker.eventLoop.makeCompletedFuture {
          try broker.pipeline.syncOperations.addHandler(Forwarder(to: client))
        }
      }
      .connect(host: "127.0.0.1", port: target)
      .flatMapThrowing { broker in
        try client.pipeline.syncOperations.addHandler(Forwarder(to: broker))
        let pair = [client, broker]
        state.value.withLock { state in
          for channel in pair { state.channels[ObjectIdentifier(channel)] = channel }
        }
        for channel in pair {
          channel.closeFuture.whenComplete { _ in
            state.value.withLock { $0.channels[ObjectIdentifier(channel)] = nil }
          }
        }
        client.setOption(.autoRead, value: true).whenComplete { _ in }
      }
  }

  var address: BrokerAddress { BrokerAddress(host: "127.0.0.1", port: listener.localAddress?.port ?? 0) }
  var connector: (any Connector)? { nil }

  func lead(to broker: Broker?) { state.value.withLock { $0.target = broker?.addresses.first?.port } }

  private var channels: [any Channel] { state.value.withLock { Array($0.channels.values) } }

  func cut() {
    for channel in channels { channel.close(promise: nil) }
  }

  func stall(_ isStalled: Bool) async throws {
    for channel in channels { try? await channel.setOption(.autoRead, value: !isStalled).get() }
  }

  func stop() async {
    lead(to: nil)
    cut()
    try? await listener.close()
  }
}
