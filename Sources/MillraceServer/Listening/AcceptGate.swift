// In front of a listening socket: lets connections in at the rate that is allowed (the others wait in the system's
// backlog), and says when none can be taken, mostly because no file descriptor is left. NIO pauses then and tries again.

import NIOCore

final class AcceptGate: ChannelDuplexHandler {
  typealias InboundIn = any Channel
  typealias OutboundIn = Never

  /// NIO accepts this many at a time.
  static let maxAtOnce = 16

  private let listener: Listener
  private let rate: ConnectionRate
  private let log: ConnectionLog

  init(listener: Listener, rate: ConnectionRate, log: ConnectionLog) {
    self.listener = listener
    self.rate = rate
    self.log = log
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    rate.take()
    context.fireChannelRead(data)
  }

  func read(context: ChannelHandlerContext) {
    guard let wait = rate.wait(.now()) else { return context.read() }
    let gate = self
    context.eventLoop.assumeIsolated().scheduleTask(in: wait) { gate.read(context: context) }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    log.warn("cannot take connections on \(listener): \(error)")
    context.fireErrorCaught(error)
  }
}
