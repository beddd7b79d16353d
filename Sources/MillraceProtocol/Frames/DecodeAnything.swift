// The entry for fuzzing: bytes choose a message and a version, and the rest is tried as that message.

import NIOCore

package enum DecodingOutcome: Sendable, Equatable {
  /// The bytes are no such message.
  case refused
  /// They are, and the message written and read again is the same message.
  case stable
  /// They are, but the message does not survive being written and read: a defect.
  case unstable
}

/// The first byte and the second pick the message, the third its version; any bytes may follow.
package func decodeAnything(_ bytes: UnsafeRawBufferPointer) -> DecodingOutcome {
  guard bytes.count >= 3 else { return .refused }
  let types = MessageCatalog.everything
  let type = types[(Int(bytes[0]) << 8 | Int(bytes[1])) % types.count]
  let versions = type.validVersions
  let version = versions.lowerBound + Int16(Int(bytes[2]) % versions.count)
  return decode(type, version: version, ByteBuffer(bytes: bytes[3...]))
}

extension MessageCatalog {
  package static let everything: [any VersionedMessage.Type] =
    requests.map { $0 as any VersionedMessage.Type } + responses + others

  package static let responses: [any VersionedMessage.Type] = requests.map { response(to: $0) }

  private static func response<R: Request>(to request: R.Type) -> any VersionedMessage.Type { R.Response.self }
}

/// Tries `bytes` as one message.
package func decode<M: VersionedMessage>(_ type: M.Type, version: Int16, _ bytes: ByteBuffer) -> DecodingOutcome {
  var reader = MessageReader(bytes)
  guard let message = try? M(from: &reader, version: version) else { return .refused }
  // Compared as bytes, since a NaN does not equal itself.
  guard let once = written(message, version: version) else { return .unstable }
  var again = MessageReader(once)
  guard let second = try? M(from: &again, version: version), again.remaining == 0 else { return .unstable }
  return written(second, version: version) == once ? .stable : .unstable
}

private func written(_ message: some VersionedMessage, version: Int16) -> ByteBuffer? {
  var writer = MessageWriter()
  guard (try? message.write(to: &writer, version: version)) != nil else { return nil }
  return writer.buffer
}
