// Values of records in `__cluster_metadata`; there are no keys.
//
//     frame version unsigned varint (1) | record type unsigned varint | version unsigned varint | message

import NIOCore

public struct MetadataRecordFrame: Sendable, Equatable {
  private static let version: UInt32 = 1

  public var recordType: Int16
  public var version: Int16

  /// Reads what comes before the message and leaves the reader at it.
  public init(from reader: inout MessageReader) throws(ProtocolError) {
    let frameVersion = try reader.readUnsignedVarint()
    guard frameVersion == Self.version else {
      throw .unsupportedVersion(Int16(clamping: frameVersion), of: "MetadataRecordFrame")
    }
    recordType = try Self.readInt16(from: &reader)
    version = try Self.readInt16(from: &reader)
  }

  private static func readInt16(from reader: inout MessageReader) throws(ProtocolError) -> Int16 {
    let start = reader.offset
    guard let value = Int16(exactly: try reader.readUnsignedVarint()) else { throw .invalidVarint(at: start) }
    return value
  }

  public static func encode<Record: RecordMessage>(
    _ record: Record, version: Int16
  ) throws(ProtocolError) -> ByteBuffer {
    var writer = MessageWriter()
    writer.writeUnsignedVarint(Self.version)
    writer.writeUnsignedVarint(UInt32(Record.apiKey))
    // Checked by `write` below; a negative version has no varint.
    writer.writeUnsignedVarint(UInt32(max(version, 0)))
    try record.write(to: &writer, version: version)
    return writer.buffer
  }
}
