// Messages that travel inside bytes carry their version in front:
//
//     version int16 | message
//
// So do the values of coordinator records and the markers that end a transaction.

import NIOCore

public enum VersionPrefixed {
  public static func encode(_ message: some VersionedMessage, version: Int16) throws(ProtocolError) -> ByteBuffer {
    var writer = MessageWriter()
    writer.writeInt16(version)
    try message.write(to: &writer, version: version)
    return writer.buffer
  }

  public static func decode<M: VersionedMessage>(_ type: M.Type, from bytes: ByteBuffer) throws(ProtocolError) -> M {
    var reader = MessageReader(bytes)
    let version = try reader.readInt16()
    return try M(from: &reader, version: version)
  }
}
