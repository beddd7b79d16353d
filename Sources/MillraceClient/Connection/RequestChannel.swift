// Typed requests over one channel: encodes a request, decodes its answer. Knows no version negotiation; whoever sends
// says which version.

import MillraceProtocol
import NIOCore
import Synchronization

final class RequestChannel: Sendable {
  let address: BrokerAddress
  private let channel: any Channel
  private let handler: NIOLoopBound<ResponseHandler>
  private let clientId: String
  private let nextCorrelationId = Atomic<Int32>(0)

  private init(
    _ channel: any Channel, _ handler: NIOLoopBound<ResponseHandler>, _ address: BrokerAddress, clientId: String
  ) {
    self.channel = channel
    self.handler = handler
    self.address = address
    self.clientId = clientId
  }

  static func open(to address: BrokerAddress, _ configuration: ClientConfiguration) async throws(KafkaError)
    -> RequestChannel
  {
    let connector = try configuration.makeConnector()
    let opened = connector.connect(to: address, configuration) { _ in
      ResponseHandler(address: address, maxResponseBytes: configuration.maxResponseBytes)
    }
    let requestChannel = opened.flatMapThrowing { channel in
      let handler = try channel.pipeline.syncOperations.handler(type: ResponseHandler.self)
      return RequestChannel(
        channel, NIOLoopBound(handler, eventLoop: channel.eventLoop), address, clientId: configuration.clientId)
    }
    do {
      return try await requestChannel.get()
    } catch {
      throw .connectFailed(to: address, error)
    }
  }

  var eventLoop: any EventLoop { channel.eventLoop }
  var isOpen: Bool { channel.isActive }

  /// Sends a request; `completion` gets the answer on the event loop.
  ///
  /// - Parameters:
  ///   - timeout: nil when the broker will not answer (acks 0): it completes with nil when it is written.
  ///   - payloads: what `RecordData.splice(id:)` in the request refers to by index.
  ///   - authenticates: whether it is part of authenticating the connection, which others wait for.
  func send<R: Request>(
    _ request: R, version: Int16, timeout: Duration?, payloads: [ByteBuffer] = [],
    authenticates: Bool = false, _ completion: @escaping @Sendable (Result<R.Response?, KafkaError>) -> Void
  ) {
    let correlationId = nextCorrelationId.add(1, ordering: .relaxed).oldValue
    let parts: [ByteBuffer]
    do throws(KafkaError) {
      parts = try encode(request, version: version, correlationId: correlationId, payloads: payloads)
    } catch {
      return completion(.failure(error))
    }
    let handler = handler
    let address = address
    let finish: ResponseHandler.Completion = { result in
      guard timeout != nil else { return completion(result.map { _ in nil }) }
      completion(result.flatMap { Self.decode(R.self, $0, version: version, from: address) })
    }
    let outgoing = OutgoingRequest(
      parts: parts, correlationId: correlationId, timeout: timeout.map { TimeAmount($0) }, completion: finish)
    if channel.eventLoop.inEventLoop {
      handler.value.send(outgoing, authenticates: authenticates)
    } else {
      channel.eventLoop.execute { handler.value.send(outgoing, authenticates: authenticates) }
    }
  }

  /// The connection is authenticated for `lifetime`: before that is over, `renew` is called to authenticate it anew, and
  /// other requests wait until this is called again or the channel is closed (KIP-368).
  func authenticated(for lifetime: Duration?, renew: @escaping @Sendable () -> Void) {
    var generator = SystemRandomNumberGenerator()
    let due = lifetime.map { SessionGate<OutgoingRequest>.renewal(of: $0, from: .now(), using: &generator) }
    let handler = handler
    channel.eventLoop.execute { handler.value.authenticated(until: due, renew: renew) }
  }

  /// Closes the channel; what still waits for an answer fails.
  func close(_ reason: KafkaError? = nil) {
    let handler = handler
    let reason = reason ?? .closed("the connection to \(address)")
    channel.eventLoop.execute { handler.value.close(reason) }
  }

  // MARK: Bytes

  private func encode<R: Request>(
    _ request: R, version: Int16, correlationId: Int32, payloads: [ByteBuffer]
  ) throws(KafkaError) -> [ByteBuffer] {
    let frame: EncodedFrame
    do throws(ProtocolError) {
      frame = try encodeRequest(request, version: version, correlationId: correlationId, clientId: clientId)
    } catch {
      throw KafkaError(.invalidArgument, "the request \(R.self) cannot be sent in version \(version): \(error)")
    }
    guard !frame.splices.isEmpty else { return [frame.buffer] }

    var parts: [ByteBuffer] = []
    var rest = frame.buffer
    for splice in frame.splices {
      let already = frame.buffer.readableBytes - rest.readableBytes
      if let part = rest.readSlice(length: splice.offset - already), part.readableBytes > 0 { parts.append(part) }
      parts.append(payloads[splice.id])
    }
    if rest.readableBytes > 0 { parts.append(rest) }
    return parts
  }

  /// A broker that does not know our version of ApiVersions says so in version 0 (KIP-511). Which versions it does know
  /// is a help where it can be read; not all write that part alike.
  private static func unsupportedApiVersions(_ frame: ByteBuffer) -> ApiVersionsResponse? {
    let unsupported = ErrorCode.unsupportedVersion.rawValue
    let code = frame.getInteger(at: frame.readerIndex + MemoryLayout<Int32>.size, as: Int16.self)
    guard code == unsupported else { return nil }
    let answer = try? decodeResponse(to: ApiVersionsRequest.self, version: 0, frame).response
    return answer ?? ApiVersionsResponse(errorCode: unsupported)
  }

  private static func decode<R: Request>(
    _ request: R.Type, _ frame: ByteBuffer, version: Int16, from address: BrokerAddress
  ) -> Result<R.Response?, KafkaError> {
    if R.apiKey == .apiVersions, let answer = unsupportedApiVersions(frame) as? R.Response { return .success(answer) }
    do throws(ProtocolError) {
      return .success(try decodeResponse(to: R.self, version: version, frame).response)
    } catch {
      return .failure(
        KafkaError(
          .invalidResponse, "\(address) answered \(R.self) with bytes that do not follow the protocol: \(error)"))
    }
  }
}
