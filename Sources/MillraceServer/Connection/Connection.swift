// One client's connection: performs on a NIO channel what ConnectionMachine decides.
//
// Everything here runs on the channel's event loop. The one thing that reaches it from other threads, an answer, comes
// through NetworkThread's mailbox.
//
// `@unchecked Sendable`: slots and mailbox messages refer to a connection from other threads; they touch only its
// constants.

import MillraceBroker
import MillraceLog
import NIOCore

final class Connection: ChannelDuplexHandler, @unchecked Sendable {
  typealias InboundIn = ByteBuffer
  typealias OutboundIn = IOData
  typealias OutboundOut = IOData

  /// Requests taken up in one go before other connections of the loop get their turn.
  static let maxDispatchesPerTurn = 256
  /// A response with up to this many bytes from files is read and written in one piece; ranges of larger ones are sent
  /// with sendfile(2), unless they are small: each takes a descriptor until it is sent. Measured: reading is cheaper at 32 KiB, sending at 64 KiB.
  static let maxLoadedBytes = 32 << 10
  /// How long a connection that was ended from this side stays to see the peer's end, so that the last answers are
  /// not lost to a reset.
  static let lingering: TimeAmount = .milliseconds(500)
  /// How long a peer that will send no more is still answered. Mostly it is gone altogether.
  static let maxAnsweringAfterEnd: TimeAmount = .seconds(5)
  /// A peer that goes silent in the middle of a request is given this long, and for all of a request this long and what
  /// its bytes take at `minRequestRate`.
  static let maxSilenceInRequest: TimeAmount = .seconds(60)
  /// Bytes in a second; a client that sends slower than that has given up on the answer long before.
  static let minRequestRate = 256 << 10

  let thread: NetworkThread
  private let shared: ServerShared
  private let info: ConnectionInfo
  private let peer: Peer
  private let receiveBuffer: ReceiveBuffer
  private var machine: ConnectionMachine
  private var context: ChannelHandlerContext?

  /// The rest of a response that the socket has not taken.
  private var pieces: ResponsePieces?
  private var isDriving = false
  private var driveAgain = false
  private var needsFlush = false
  private var isReadHeld = false
  private var isLingering = false
  private var isInputClosed = false
  /// Set while the connection is in its thread's list of those to drive.
  var isDriveScheduled = false
  private var wasActive = true
  private var quietSince = NIODeadline.now()
  /// When the first bytes of an incomplete request came.
  private var requestSince: NIODeadline?
  private var unsentAtSweep = 0

  init(peer: Peer, info: ConnectionInfo, thread: NetworkThread, receiveBuffer: ReceiveBuffer, shared: ServerShared) {
    self.peer = peer
    self.info = info
    self.thread = thread
    self.receiveBuffer = receiveBuffer
    self.shared = shared
    machine = ConnectionMachine(limits: shared.connectionLimits)
  }

  // MARK: From the channel

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
    thread.add(self)
  }

  func handlerRemoved(context: ChannelHandlerContext) { ended() }

  func channelInactive(context: ChannelHandlerContext) {
    ended()
    context.fireChannelInactive()
  }

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    wasActive = true
    receiveBuffer.received(Self.unwrapInboundIn(data))
    if isLingering { return receiveBuffer.discard() }
    if receiveBuffer.hasLostInput { close(because: "a read that brought nothing lost a part of a request") }
  }

  func channelReadComplete(context: ChannelHandlerContext) { driveNow() }

  func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
    if case ChannelEvent.inputClosed = event {
      if isLingering { return closeNow() }
      isInputClosed = true
      machine.inputClosed()
      driveNow()
      closeLater(Self.maxAnsweringAfterEnd)
    }
  }

  func channelWritabilityChanged(context: ChannelHandlerContext) {
    machine.isWritable = context.channel.isWritable
    wasActive = true
    if machine.isWritable { driveNow() }
  }

  func read(context: ChannelHandlerContext) {
    if machine.wantsRead || isLingering { context.read() } else { isReadHeld = true }
  }

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    // Resets and broken pipes are how clients leave; NIO closes the channel itself.
    guard !(error is IOError) else { return }
    close(because: "\(error)")
  }

  // MARK: From the broker and the thread, on the event loop

  func fulfil(_ number: RequestNumber, with outcome: ResponseOutcome) {
    shared.memory.release(machine.fulfil(number, with: outcome))
    if !isDriving { thread.driveSoon(self) }
  }

  func memoryIsAvailable() {
    machine.memoryMayBeAvailable()
    driveNow()
  }

  /// Takes no more requests; closes when those taken are answered.
  func drain() {
    machine.drain()
    driveNow()
  }

  func closeNow() { context?.close(promise: nil) }

  func closeIfIdle(_ now: NIODeadline) {
    if !machine.wantsRead {
      // It is us who does not take the rest.
      requestSince = requestSince.map { _ in now }
    } else if let requestSince, now - requestSince >= Self.maxDuration(ofRequest: machine.wantedBytes) {
      return close(because: "it sent a request slower than \(Self.minRequestRate / 1024) KiB a second")
    }
    let unsent = unsentBytes
    if wasActive || unsent != unsentAtSweep {
      wasActive = false
      unsentAtSweep = unsent
      quietSince = now
      return
    }
    let quiet = now - quietSince
    if receiveBuffer.input.readableBytes > 0, machine.wantsRead, quiet >= Self.maxSilenceInRequest {
      close(because: "it went silent in the middle of a request")
    } else if quiet >= shared.maxIdle {
      closeNow()
    }
  }

  private static func maxDuration(ofRequest byteCount: Int) -> TimeAmount {
    maxSilenceInRequest + .seconds(Int64(byteCount / minRequestRate))
  }

  var receiveBufferBytes: Int { receiveBuffer.input.storageCapacity }

  /// What the socket has not taken yet: a slow reader's progress shows here.
  private var unsentBytes: Int {
    (try? context?.channel.syncOptions?.getOption(.bufferedWritableBytes)) ?? 0
  }

  // MARK: Driving

  /// Performs steps until there is nothing to do.
  func driveNow() {
    guard !isDriving else {
      driveAgain = true
      return
    }
    isDriving = true
    repeat {
      driveAgain = false
      performSteps()
      flushIfNeeded()
    } while driveAgain
    isDriving = false
    guard let context else { return }
    shared.arrivingMemory.release(machine.takeArrivedBytes())
    if receiveBuffer.input.readableBytes == 0 {
      requestSince = nil
    } else if requestSince == nil {
      requestSince = .now()
    }
    receiveBuffer.settle(wantedBytes: machine.wantedBytes)
    if isReadHeld, machine.wantsRead {
      isReadHeld = false
      context.read()
    }
  }

  private func performSteps() {
    var dispatches = 0
    while let context, sendPieces(on: context) {
      let step = machine.next(&receiveBuffer.input) { shared.memory(for: $0).reserve($1) }
      switch step {
      case .dispatch(let frame, let number):
        requestSince = nil
        shared.handler.handle(frame, from: info, Slot(connection: self, number: number))
        dispatches += 1
        if dispatches == Self.maxDispatchesPerTurn { return thread.driveSoon(self) }
      case .send(let response): send(response, on: context)
      case .awaitMemory(let use):
        let (thread, connection) = (thread, self)
        shared.memory(for: use).whenAvailable { thread.post(.run { connection.memoryIsAvailable() }) }
      case .finish: return finish(context)
      case .close(let reason): return close(because: reason)
      case .rest: return
      }
    }
  }

  private func send(_ response: OutgoingResponse, on context: ChannelHandlerContext) {
    wasActive = true
    guard !response.splices.isEmpty else { return write(response.bytes, on: context) }
    let fileBytes = response.splices.reduce(0) { $0 + $1.plan.byteCount }
    guard fileBytes <= Self.maxLoadedBytes else {
      pieces = ResponsePieces(response)
      return
    }
    do {
      write(try ResponsePieces.load(response, byteCount: response.bytes.readableBytes + fileBytes), on: context)
    } catch {
      close(because: "its response cannot be read: \(error)")
    }
  }

  /// Writes what the socket takes of the response at hand. Returns whether all of it is on its way.
  private func sendPieces(on context: ChannelHandlerContext) -> Bool {
    while pieces != nil {
      if !machine.isWritable { flushIfNeeded() }
      guard machine.isWritable, self.context != nil else { return false }
      do {
        switch try pieces?.next(minFileBytes: Self.maxLoadedBytes) {
        case .bytes(let bytes): write(bytes, on: context)
        case .file(let extent):
          needsFlush = true
          if !FileTransfer.send(extent, on: context) { pieces?.readInstead(extent) }
        case nil: pieces = nil
        }
      } catch {
        close(because: "its response cannot be read: \(error)")
        return false
      }
    }
    if !machine.isWritable { flushIfNeeded() }
    return true
  }

  private func write(_ bytes: ByteBuffer, on context: ChannelHandlerContext) {
    needsFlush = true
    context.write(Self.wrapOutboundOut(.byteBuffer(bytes)), promise: nil)
  }

  private func flushIfNeeded() {
    guard needsFlush else { return }
    needsFlush = false
    context?.flush()
  }

  // MARK: Ending

  /// Everything is answered: closes once it is sent.
  private func finish(_ context: ChannelHandlerContext) {
    let connection = self
    let sent = context.eventLoop.makePromise(of: Void.self)
    sent.futureResult.assumeIsolated().whenSuccess { connection.allIsSent() }
    context.writeAndFlush(Self.wrapOutboundOut(.byteBuffer(ByteBuffer())), promise: sent)
  }

  private func allIsSent() {
    guard let context else { return }
    if isInputClosed { return closeNow() }
    // Closing a socket with unread input resets it, and a reset can overtake the last answers.
    isLingering = true
    receiveBuffer.discard()
    context.close(mode: .output, promise: nil)
    closeLater(Self.lingering)
    if isReadHeld {
      isReadHeld = false
      context.read()
    }
  }

  private func closeLater(_ delay: TimeAmount) {
    guard let context else { return }
    let connection = self
    context.eventLoop.assumeIsolated().scheduleTask(in: delay) { connection.closeNow() }
  }

  private func close(because reason: String) {
    guard context != nil else { return }
    shared.log.warn("closed the connection of \(peer) (\(info.listener)): \(reason)")
    flushIfNeeded()
    closeNow()
  }

  private func ended() {
    guard context != nil else { return }
    context = nil
    pieces = nil
    shared.memory.release(machine.end())
    shared.arrivingMemory.release(machine.takeArrivedBytes())
    receiveBuffer.discard()
    thread.remove(self)
    shared.quota.release(peer.address)
    info.close()
  }
}
