// One fact of the metadata journal. The value of a record in `__cluster_metadata` is framed as KRaft frames it, the key
// is null:
//
//     unsigned varint   frame version, 1
//     unsigned varint   record type (the API key of the metadata schema)
//     unsigned varint   version of the record
//     …                 the record
//
// A type that the catalog does not use, and a version from the future, is kept as `.other` and passed over.

import MillraceProtocol
import NIOCore

package enum MetadataRecord: Sendable, Equatable {
  case registerBroker(RegisterBrokerRecord)
  case topic(TopicRecord)
  case partition(PartitionRecord)
  case config(ConfigRecord)
  case partitionChange(PartitionChangeRecord)
  case fenceBroker(FenceBrokerRecord)
  case removeTopic(RemoveTopicRecord)
  case featureLevel(FeatureLevelRecord)
  case producerIds(ProducerIdsRecord)
  case noOp(NoOpRecord)
  case other(type: UInt32, version: UInt32)

  static let frameVersion: UInt32 = 1

  /// The version in which records are written: those of metadata.version 4.2.
  private static let registerBrokerVersion: Int16 = 3
  private static let partitionVersion: Int16 = 2

  package init(from value: ByteBuffer) throws(ProtocolError) {
    var reader = MessageReader(value)
    let frame = try reader.readUnsignedVarint()
    guard frame == Self.frameVersion else {
      self = .other(type: .max, version: frame)
      return
    }
    let type = try reader.readUnsignedVarint()
    let version = try reader.readUnsignedVarint()
    self = try Self.read(type, version, from: &reader) ?? .other(type: type, version: version)
  }

  private static func read(
    _ type: UInt32, _ version: UInt32, from reader: inout MessageReader
  ) throws(ProtocolError) -> MetadataRecord? {
    func known<R: RecordMessage>(_ record: R.Type) -> Int16? {
      Int16(exactly: version).flatMap { R.validVersions.contains($0) ? $0 : nil }
    }
    switch Int16(exactly: type) {
    case RegisterBrokerRecord.apiKey:
      guard let version = known(RegisterBrokerRecord.self) else { return nil }
      return .registerBroker(try RegisterBrokerRecord(from: &reader, version: version))
    case TopicRecord.apiKey:
      guard let version = known(TopicRecord.self) else { return nil }
      return .topic(try TopicRecord(from: &reader, version: version))
    case PartitionRecord.apiKey:
      guard let version = known(PartitionRecord.self) else { return nil }
      return .partition(try PartitionRecord(from: &reader, version: version))
    case ConfigRecord.apiKey:
      guard let version = known(ConfigRecord.self) else { return nil }
      return .config(try ConfigRecord(from: &reader, version: version))
    case PartitionChangeRecord.apiKey:
      guard let version = known(PartitionChangeRecord.self) else { return nil }
      return .partitionChange(try PartitionChangeRecord(from: &reader, version: version))
    case FenceBrokerRecord.apiKey:
      guard let version = known(FenceBrokerRecord.self) else { return nil }
      return .fenceBroker(try FenceBrokerRecord(from: &reader, version: version))
    case RemoveTopicRecord.apiKey:
      guard let version = known(RemoveTopicRecord.self) else { return nil }
      return .removeTopic(try RemoveTopicRecord(from: &reader, version: version))
    case FeatureLevelRecord.apiKey:
      guard let version = known(FeatureLevelRecord.self) else { return nil }
      return .featureLevel(try FeatureLevelRecord(from: &reader, version: version))
    case ProducerIdsRecord.apiKey:
      guard let version = known(ProducerIdsRecord.self) else { return nil }
      return .producerIds(try ProducerIdsRecord(from: &reader, version: version))
    case NoOpRecord.apiKey:
      guard let version = known(NoOpRecord.self) else { return nil }
      return .noOp(try NoOpRecord(from: &reader, version: version))
    default: return nil
    }
  }

  /// The value of the journal's record. `.other` is never written: nobody decides it.
  package func encoded() throws(ProtocolError) -> ByteBuffer {
    var writer = MessageWriter()
    switch self {
    case .registerBroker(let record): try Self.write(record, Self.registerBrokerVersion, to: &writer)
    case .topic(let record): try Self.write(record, 0, to: &writer)
    case .partition(let record): try Self.write(record, Self.partitionVersion, to: &writer)
    case .config(let record): try Self.write(record, 0, to: &writer)
    case .partitionChange(let record): try Self.write(record, Self.partitionVersion, to: &writer)
    case .fenceBroker(let record): try Self.write(record, 0, to: &writer)
    case .removeTopic(let record): try Self.write(record, 0, to: &writer)
    case .featureLevel(let record): try Self.write(record, 0, to: &writer)
    case .producerIds(let record): try Self.write(record, 0, to: &writer)
    case .noOp(let record): try Self.write(record, 0, to: &writer)
    case .other: preconditionFailure("a record of unknown type is never journaled")
    }
    return writer.buffer
  }

  private static func write<R: RecordMessage>(
    _ record: R, _ version: Int16, to writer: inout MessageWriter
  ) throws(ProtocolError) {
    writer.writeUnsignedVarint(frameVersion)
    writer.writeUnsignedVarint(UInt32(R.apiKey))
    writer.writeUnsignedVarint(UInt32(version))
    try record.write(to: &writer, version: version)
  }
}
