// A connection's end of the channel: writes requests, gives answers to whom they belong to, watches time-outs. Lives on
// the channel's event loop. Whatever goes wrong closes the channel and fails all that wait, each exactly once.

import NIOCore

/// A request as it leaves: its bytes, and who waits for the answer.
struct OutgoingRequest: Sendable {
  var parts: [ByteBuffer]
  var correlationId: Int32
  /// Nil when no answer will come (acks 0): it completes when it is written.
  var timeout: TimeAmount?
  var completion: ResponseHandler.Completion
}

final class ResponseHandler: ChannelInboundHandler {
  typealias InboundIn = ByteBuffer
  typealias OutboundOut = ByteBuffer
  /// Gets the answer's frame without its length.
  typealias Completion = @Sendable (Result<ByteBuffer, KafkaError>) -> Void

  private let address: BrokerAddress
  private var frames: FrameReader
  private var pipeline = RequestPipeline<Completion>()
  private var context: ChannelHandlerContext?
  private var timer: (deadline: NIODeadline, task: Scheduled<Void>)?
  private var flushIsDue = false
  private var gate = SessionGate<OutgoingRequest>()
  private var renewSession: (@Sendable () -> Void)?
  /// Why the channel closed or is about to; nil while it is open.
  private var failure: KafkaError?

  init(address: BrokerAddress, maxResponseBytes: Int) {
    self.address = address
    frames = FrameReader(limit: maxResponseBytes)
  }

  func handlerAdded(context: ChannelHandlerContext) {
    self.context = context
  }

  func handlerRemoved(context: ChannelHandlerContext) {
    fail(.connectionLost(to: address, nil))
    self.context = nil
  }

  // MARK: Requests

  /// Writes a request, or holds it back while the connection authenticates itself anew.
  func send(_ request: OutgoingRequest, authenticates: Bool) {
    guard let context, failure == nil else {
      return request.completion(.failure(failure ?? .connectionLost(to: address, nil)))
    }
    switch authenticates ? .pass : gate.admit(request, now: .now()) {
    case .pass: write(request, context)
    case .begin: renewSession?()
    case .wait: break
    }
  }

  /// The connection is authenticated until after `due`; `renew` is called then.
  func authenticated(until due: NIODeadline?, renew: @escaping @Sendable () -> Void) {
    guard let context, failure == nil else { return }
    renewSession = due == nil ? nil : renew
    for request in gate.open(until: due) { write(request, context) }
  }

  private func write(_ request: OutgoingRequest, _ context: ChannelHandlerContext) {
    let parts = request.parts
    let completion = request.completion
    if let timeout = request.timeout {
      let deadline = NIODeadline.now() + timeout
      pipeline.sent(request.correlationId, deadline: deadline, completion)
      for part in parts { context.write(wrapOutboundOut(part), promise: nil) }
      watch(deadline)
    } else {
      let written = context.eventLoop.makePromise(of: Void.self)
      let address = address
      written.futureResult.whenComplete { result in
        completion(result.map { ByteBuffer() }.mapError { .connectionLost(to: address, $0) })
      }
      for part in parts.dropLast() { context.write(wrapOutboundOut(part), promise: nil) }
      context.write(wrapOutboundOut(parts.last ?? ByteBuffer()), promise: written)
    }
    flushSoon(context)
  }

  /// Requests of one turn of the loop leave in one gather write.
  private func flushSoon(_ context: ChannelHandlerContext) {
    guard !flushIsDue else { return }
    flushIsDue = true
    context.eventLoop.assumeIsolated().execute {
      self.flushIsDue = false
      self.context?.flush()
    }
  }

  // MARK: Answers

  func channelRead(context: ChannelHandlerContext, data: NIOAny) {
    guard failure == nil else { return }
    frames.receive(unwrapInboundIn(data))
    do {
      while failure == nil, let frame = try frames.next() { try deliver(frame) }
    } catch {
      let isTLS = (error as? FrameReader.Failure)?.looksLikeTLS ?? false
      let hint = isTLS ? "; it speaks TLS, so use security.protocol SSL or SASL_SSL" : ""
      close(KafkaError(.invalidResponse, "\(address) sent bytes that are not a Kafka answer (\(error))\(hint)"))
    }
  }

  private func deliver(_ frame: ByteBuffer) throws {
    guard let correlationId = frame.getInteger(at: frame.readerIndex, as: Int32.self) else {
      throw KafkaError(.invalidResponse, "a frame without a correlation id")
    }
    try pipeline.answered(correlationId)(.success(frame))
  }

  // MARK: Time-outs

  private func watch(_ deadline: NIODeadline) {
    guard let context else { return }
    if let timer {
      guard deadline < timer.deadline else { return }
      timer.task.cancel()
    }
    let task = context.eventLoop.assumeIsolated().scheduleTask(deadline: deadline) {
      self.timer = nil
      guard let next = self.pipeline.nextDeadline else { return }
      if next > .now() {
        self.watch(next)
      } else {
        // Answers come in order, so nothing behind the missing one can be told apart any more.
        self.close(KafkaError(.timedOut, "\(self.address) did not answer in time; the connection was given up"))
      }
    }
    timer = (deadline, task)
  }

  // MARK: The end

  func errorCaught(context: ChannelHandlerContext, error: any Error) {
    close(.connectionLost(to: address, error))
  }

  func channelInactive(context: ChannelHandlerContext) {
    fail(.connectionLost(to: address, nil))
    context.fireChannelInactive()
  }

  /// Closes the channel because of `reason`, which is what those who wait are told.
  func close(_ reason: KafkaError) {
    fail(reason)
    context?.close(promise: nil)
  }

  private func fail(_ reason: KafkaError) {
    if failure == nil { failure = reason }
    timer?.task.cancel()
    timer = nil
    // It holds the channel, which holds this.
    renewSession = nil
    let held = gate.open(until: nil).map(\.completion)
    for completion in pipeline.removeAll() + held { completion(.failure(failure ?? reason)) }
  }
}
