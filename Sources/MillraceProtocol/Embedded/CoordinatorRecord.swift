// Records of the coordinators' topics (`__consumer_offsets`, `__transaction_state`, `__share_group_state`).
//
//     key     record type int16 | key message, version 0
//     value   version int16     | value message               (no value at all: a tombstone)

import NIOCore

public enum CoordinatorRecord {
  public static func encodeKey<Key: RecordMessage>(_ key: Key) throws(ProtocolError) -> ByteBuffer {
    var writer = MessageWriter()
    writer.writeInt16(Key.apiKey)
    try key.write(to: &writer, version: 0)
    return writer.buffer
  }

  public static func encodeValue(_ value: some RecordMessage, version: Int16) throws(ProtocolError) -> ByteBuffer {
    try VersionPrefixed.encode(value, version: version)
  }

  /// The type in front of a key; it says which messages the key and value are.
  public static func recordType(ofKey key: ByteBuffer) throws(ProtocolError) -> Int16 {
    var reader = MessageReader(key)
    return try reader.readInt16()
  }

  /// The key behind the type.
  public static func decodeKey<Key: RecordMessage>(
    _ type: Key.Type, from key: ByteBuffer
  ) throws(ProtocolError) -> Key {
    var reader = MessageReader(key)
    let recordType = try reader.readInt16()
    guard recordType == Key.apiKey else { throw .unsupportedVersion(recordType, of: "\(Key.self)") }
    return try Key(from: &reader, version: 0)
  }

  public static func decodeValue<Value: RecordMessage>(
    _ type: Value.Type, from value: ByteBuffer
  ) throws(ProtocolError) -> Value {
    try VersionPrefixed.decode(type, from: value)
  }
}
