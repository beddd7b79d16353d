// Says when a listener cannot take connections (mostly: no file descriptor is left). NIO pauses and tries again.

import NIOCore

final class AcceptFailures: ChannelInboundHandler {
  typealias InboundIn = any Channel

  private let listener: Listener
  private let log: ConnectionLog

  init(listener: Listener, log: ConnectionLog) {
    self.listener = listener
    self.log = log
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    log.warn("cannot take connections on \(listener): \(error)")
    context.fireErrorCaught(error)
  }
}
