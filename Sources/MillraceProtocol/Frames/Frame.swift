// Whole frames: length, header, message. The length counts the bytes that splices will add.

import NIOCore

/// A frame ready for the transport, but for the bytes that its splices stand for.
public struct EncodedFrame: Sendable, Equatable {
  public var buffer: ByteBuffer
  /// In ascending order of offset; an offset counts from the buffer's reader index.
  public var splices: [Splice]

  /// What the peer receives, the length prefix included.
  public var byteCount: Int { splices.reduce(buffer.readableBytes) { $0 + $1.byteCount } }
}

/// How large a buffer a frame starts with; most answers fit.
private let initialCapacity = 512

public func encodeRequest<R: Request>(
  _ request: R, version: Int16, correlationId: Int32, clientId: String?
) throws(ProtocolError) -> EncodedFrame {
  let header = RequestHeader(
    apiKey: R.apiKey, apiVersion: version, correlationId: correlationId, clientId: clientId)
  return try encodeFrame(header, version: R.isFlexible(version) ? 2 : 1, request, version: version)
}

public func encodeResponse<R: ResponseMessage>(
  _ response: R, version: Int16, correlationId: Int32
) throws(ProtocolError) -> EncodedFrame {
  let headerVersion: Int16 = R.isFlexible(version) && R.apiKey != .apiVersions ? 1 : 0
  return try encodeFrame(
    ResponseHeader(correlationId: correlationId), version: headerVersion, response, version: version)
}

private func encodeFrame(
  _ header: some Message, version headerVersion: Int16, _ message: some Message, version: Int16
) throws(ProtocolError) -> EncodedFrame {
  var writer = MessageWriter(ByteBufferAllocator().buffer(capacity: initialCapacity))
  writer.writeInt32(0)
  try header.write(to: &writer, version: headerVersion)
  try message.write(to: &writer, version: version)
  let length = writer.byteCount - FrameLength.byteCount
  guard let prefix = Int32(exactly: length) else { throw .tooLong(length) }
  writer.setInt32(prefix, at: 0)
  return EncodedFrame(buffer: writer.buffer, splices: writer.splices)
}

/// Reads a response frame without its length prefix: the header, then the answer to an `R` of that version.
public func decodeResponse<R: Request>(
  to request: R.Type, version: Int16, _ frame: ByteBuffer
) throws(ProtocolError) -> (correlationId: Int32, response: R.Response) {
  var reader = MessageReader(frame)
  let headerVersion: Int16 = R.isFlexible(version) && R.apiKey != .apiVersions ? 1 : 0
  let header = try ResponseHeader(from: &reader, version: headerVersion)
  return (header.correlationId, try R.Response(from: &reader, version: version))
}
