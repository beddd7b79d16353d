// The facts about share groups that are journaled in __consumer_offsets, as Kafka 4.2 writes them.
//
//   key    [type: Int16][the key message]         10 a member, 11 the group's epoch, 12 the epoch of its target
//                                                 assignment, 13 a member's target, 14 what a member has,
//                                                 15 which share-partitions are initialized
//   value  [version: Int16 = 0][the value message]  or null, a tombstone

import MillraceProtocol
import NIOCore

package enum ShareGroupRecord: Sendable, Equatable {
  case member(ShareGroupMemberMetadataKey, ShareGroupMemberMetadataValue?)
  case epoch(ShareGroupMetadataKey, ShareGroupMetadataValue?)
  case targetEpoch(ShareGroupTargetAssignmentMetadataKey, ShareGroupTargetAssignmentMetadataValue?)
  case target(ShareGroupTargetAssignmentMemberKey, ShareGroupTargetAssignmentMemberValue?)
  case current(ShareGroupCurrentMemberAssignmentKey, ShareGroupCurrentMemberAssignmentValue?)
  case statePartitions(ShareGroupStatePartitionMetadataKey, ShareGroupStatePartitionMetadataValue?)
}

extension ShareGroupRecord {
  package func encode() throws(ProtocolError) -> (key: ByteBuffer, value: ByteBuffer?) {
    switch self {
    case .member(let key, let value): try CoordinatorRecord.encode(key, value)
    case .epoch(let key, let value): try CoordinatorRecord.encode(key, value)
    case .targetEpoch(let key, let value): try CoordinatorRecord.encode(key, value)
    case .target(let key, let value): try CoordinatorRecord.encode(key, value)
    case .current(let key, let value): try CoordinatorRecord.encode(key, value)
    case .statePartitions(let key, let value): try CoordinatorRecord.encode(key, value)
    }
  }

  /// The fact in a record of the log, or nil for one that is not about a share group.
  package static func decode(key: ByteBuffer, value: ByteBuffer?) throws(ProtocolError) -> ShareGroupRecord? {
    switch try CoordinatorRecord.recordType(ofKey: key) {
    case ShareGroupMemberMetadataKey.apiKey:
      .member(try CoordinatorRecord.decodeKey(ShareGroupMemberMetadataKey.self, from: key), try self.value(value))
    case ShareGroupMetadataKey.apiKey:
      .epoch(try CoordinatorRecord.decodeKey(ShareGroupMetadataKey.self, from: key), try self.value(value))
    case ShareGroupTargetAssignmentMetadataKey.apiKey:
      .targetEpoch(
        try CoordinatorRecord.decodeKey(ShareGroupTargetAssignmentMetadataKey.self, from: key), try self.value(value))
    case ShareGroupTargetAssignmentMemberKey.apiKey:
      .target(
        try CoordinatorRecord.decodeKey(ShareGroupTargetAssignmentMemberKey.self, from: key), try self.value(value))
    case ShareGroupCurrentMemberAssignmentKey.apiKey:
      .current(
        try CoordinatorRecord.decodeKey(ShareGroupCurrentMemberAssignmentKey.self, from: key), try self.value(value))
    case ShareGroupStatePartitionMetadataKey.apiKey:
      .statePartitions(
        try CoordinatorRecord.decodeKey(ShareGroupStatePartitionMetadataKey.self, from: key), try self.value(value))
    default: nil
    }
  }

  private static func value<Value: RecordMessage>(_ bytes: ByteBuffer?) throws(ProtocolError) -> Value? {
    guard let bytes else { return nil }
    return try CoordinatorRecord.decodeValue(Value.self, from: bytes)
  }

  package var groupId: String {
    switch self {
    case .member(let key, _): key.groupId
    case .epoch(let key, _): key.groupId
    case .targetEpoch(let key, _): key.groupId
    case .target(let key, _): key.groupId
    case .current(let key, _): key.groupId
    case .statePartitions(let key, _): key.groupId
    }
  }
}
