// The facts that the group coordinator journals in __consumer_offsets, as Kafka 4.2 writes them.
//
//   key    [type: Int16][the key message]       type 0 or 1: a committed offset, 2: a classic group, 3 to 8 and 16: a
//                                               consumer group (KIP-848), 10 to 15: a share group (KIP-932)
//   value  [version: Int16][the value message]  or null, a tombstone
//
// Types that this coordinator does not keep (streams groups) decode to nothing, so a log that another broker
// wrote replays; their records stay in the log.

import MillraceProtocol
import NIOCore

package enum GroupRecord: Sendable, Equatable {
  case group(GroupMetadataKey, GroupMetadataValue?)
  case offset(OffsetCommitKey, OffsetCommitValue?)
  /// A consumer group's epoch.
  case consumerGroup(ConsumerGroupMetadataKey, ConsumerGroupMetadataValue?)
  /// The topics of a consumer group, as Kafka before 4.0 remembered them.
  case consumerPartitions(ConsumerGroupPartitionMetadataKey, ConsumerGroupPartitionMetadataValue?)
  case consumerMember(ConsumerGroupMemberMetadataKey, ConsumerGroupMemberMetadataValue?)
  case targetAssignmentEpoch(ConsumerGroupTargetAssignmentMetadataKey, ConsumerGroupTargetAssignmentMetadataValue?)
  case targetAssignment(ConsumerGroupTargetAssignmentMemberKey, ConsumerGroupTargetAssignmentMemberValue?)
  case currentAssignment(ConsumerGroupCurrentMemberAssignmentKey, ConsumerGroupCurrentMemberAssignmentValue?)
  case regularExpression(ConsumerGroupRegularExpressionKey, ConsumerGroupRegularExpressionValue?)
  case share(ShareGroupRecord)
}

package enum GroupRecordError: Error, Equatable {
  case truncated
  case malformed(ProtocolError)
  case unknownValueVersion(type: Int16, version: Int16)
}

extension GroupRecord {
  private enum KeyType {
    /// Written by Kafka before 0.9 and only read since; same fields.
    static let legacyOffset: Int16 = 0
    static let offset: Int16 = 1
    static let group: Int16 = 2
  }

  /// Kafka 4.2 keeps to the last version that a downgraded coordinator can read.
  private static let groupValueVersion: Int16 = 3

  /// An explicit expiry, which only clients older than OffsetCommit v5 ask for, exists in value version 1 alone.
  private static func offsetValueVersion(_ value: OffsetCommitValue) -> Int16 {
    value.expireTimestamp == CommittedOffset.noExpiry ? 4 : 1
  }

  package func encode() throws(ProtocolError) -> (key: ByteBuffer, value: ByteBuffer?) {
    switch self {
    case .group(let key, let value):
      (
        try Self.bytes(KeyType.group, key, 0),
        try value.map { value throws(ProtocolError) in
          try Self.bytes(Self.groupValueVersion, value, Self.groupValueVersion)
        }
      )
    case .offset(let key, let value):
      (
        try Self.bytes(KeyType.offset, key, 0),
        try value.map { value throws(ProtocolError) in
          let version = Self.offsetValueVersion(value)
          return try Self.bytes(version, value, version)
        }
      )
    case .consumerGroup(let key, let value): try CoordinatorRecord.encode(key, value)
    case .consumerPartitions(let key, let value): try CoordinatorRecord.encode(key, value)
    case .consumerMember(let key, let value): try CoordinatorRecord.encode(key, value)
    case .targetAssignmentEpoch(let key, let value): try CoordinatorRecord.encode(key, value)
    case .targetAssignment(let key, let value): try CoordinatorRecord.encode(key, value)
    case .currentAssignment(let key, let value): try CoordinatorRecord.encode(key, value)
    case .regularExpression(let key, let value): try CoordinatorRecord.encode(key, value)
    case .share(let record): try record.encode()
    }
  }

  private static func bytes(_ prefix: Int16, _ message: some Message, _ version: Int16) throws(ProtocolError)
    -> ByteBuffer
  {
    var writer = MessageWriter()
    writer.buffer.writeInteger(prefix)
    try message.write(to: &writer, version: version)
    return writer.buffer
  }

  /// The fact in a record of the log, or nil for one that belongs to somebody else.
  package static func decode(key: ByteBuffer, value: ByteBuffer?) throws(GroupRecordError) -> GroupRecord? {
    let whole = key
    var key = key
    guard let type = key.readInteger(as: Int16.self) else { throw .truncated }
    switch type {
    case KeyType.legacyOffset, KeyType.offset:
      return .offset(try message(key, version: 0), try self.value(value, type: type))
    case KeyType.group:
      return .group(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupMetadataKey.apiKey:
      return .consumerGroup(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupPartitionMetadataKey.apiKey:
      return .consumerPartitions(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupMemberMetadataKey.apiKey:
      return .consumerMember(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupTargetAssignmentMetadataKey.apiKey:
      return .targetAssignmentEpoch(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupTargetAssignmentMemberKey.apiKey:
      return .targetAssignment(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupCurrentMemberAssignmentKey.apiKey:
      return .currentAssignment(try message(key, version: 0), try self.value(value, type: type))
    case ConsumerGroupRegularExpressionKey.apiKey:
      return .regularExpression(try message(key, version: 0), try self.value(value, type: type))
    default:
      return try share(key: whole, value: value)
    }
  }

  private static func share(key: ByteBuffer, value: ByteBuffer?) throws(GroupRecordError) -> GroupRecord? {
    do throws(ProtocolError) {
      return try ShareGroupRecord.decode(key: key, value: value).map { .share($0) }
    } catch {
      throw .malformed(error)
    }
  }

  private static func message<M: Message>(_ bytes: ByteBuffer, version: Int16) throws(GroupRecordError) -> M {
    var reader = MessageReader(bytes)
    do {
      return try M(from: &reader, version: version)
    } catch {
      throw .malformed(error)
    }
  }

  private static func value<M: RecordMessage>(_ bytes: ByteBuffer?, type: Int16) throws(GroupRecordError) -> M? {
    guard var bytes else { return nil }
    guard let version = bytes.readInteger(as: Int16.self) else { throw .truncated }
    guard M.validVersions.contains(version) else { throw .unknownValueVersion(type: type, version: version) }
    return try message(bytes, version: version)
  }
}

extension CoordinatorRecord {
  /// Of the types whose number is in the data, and that have had one version so far.
  static func encode(
    _ key: some RecordMessage, _ value: (some RecordMessage)?
  ) throws(ProtocolError) -> (key: ByteBuffer, value: ByteBuffer?) {
    guard let value else { return (try encodeKey(key), nil) }
    return (try encodeKey(key), try encodeValue(value, version: 0))
  }
}
