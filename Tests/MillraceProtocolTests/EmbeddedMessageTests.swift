// Messages inside bytes: the consumer protocol and records of internal topics.

import MillraceProtocol
import NIOCore
import Testing

@Suite struct EmbeddedMessageTests {
  private let subscription = ConsumerProtocolSubscription(
    topics: ["a"], userData: nil, ownedPartitions: [.init(topic: "a", partitions: [1])], generationId: 5, rackId: "r")

  @Test func `a subscription carries its version in front`() throws {
    let encoded = try ConsumerProtocol.encode(subscription)
    let expected =
      "0003 00000001 0001 61 ffffffff 00000001 0001 61 00000001 00000001 00000005 0001 72".filter(\.isHexDigit)
    #expect(hex(encoded) == expected)
    #expect(try ConsumerProtocol.decode(ConsumerProtocolSubscription.self, from: encoded) == subscription)
  }

  @Test func `a subscription in an old version leaves out what came later`() throws {
    let encoded = try ConsumerProtocol.encode(subscription, version: 0)
    #expect(hex(encoded) == "0000 00000001 0001 61 ffffffff".filter(\.isHexDigit))
    let read = try ConsumerProtocol.decode(ConsumerProtocolSubscription.self, from: encoded)
    #expect(read == ConsumerProtocolSubscription(topics: ["a"]))
  }

  @Test func `a newer version is read as the highest known, and the rest left alone`() throws {
    var newer = try ConsumerProtocol.encode(subscription)
    newer.setInteger(Int16(9), at: 0)
    newer.writeString("what is to come")
    #expect(try ConsumerProtocol.decode(ConsumerProtocolSubscription.self, from: newer) == subscription)
    newer.setInteger(Int16(-1), at: 0)
    #expect(throws: ProtocolError.unsupportedVersion(-1, of: "ConsumerProtocolSubscription")) {
      try ConsumerProtocol.decode(ConsumerProtocolSubscription.self, from: newer)
    }
  }

  @Test func `an assignment is read back`() throws {
    let assignment = ConsumerProtocolAssignment(
      assignedPartitions: [.init(topic: "t", partitions: [0, 2])], userData: bytes("01"))
    for version in ConsumerProtocolAssignment.validVersions {
      let encoded = try ConsumerProtocol.encode(assignment, version: version)
      #expect(try ConsumerProtocol.decode(ConsumerProtocolAssignment.self, from: encoded) == assignment)
    }
  }

  @Test func `a coordinator's key begins with its record type, its value with a version`() throws {
    let key = OffsetCommitKey(group: "g", topic: "t", partition: 3)
    let encodedKey = try CoordinatorRecord.encodeKey(key)
    #expect(hex(encodedKey) == "0001 0001 67 0001 74 00000003".filter(\.isHexDigit))
    #expect(try CoordinatorRecord.recordType(ofKey: encodedKey) == OffsetCommitValue.apiKey)
    #expect(try CoordinatorRecord.decodeKey(OffsetCommitKey.self, from: encodedKey) == key)
    #expect(throws: ProtocolError.unsupportedVersion(1, of: "GroupMetadataKey")) {
      try CoordinatorRecord.decodeKey(GroupMetadataKey.self, from: encodedKey)
    }
    let value = OffsetCommitValue(offset: 9, leaderEpoch: 2, metadata: "m", commitTimestamp: 1)
    let encodedValue = try CoordinatorRecord.encodeValue(value, version: 3)
    #expect(hex(encodedValue) == "0003 0000000000000009 00000002 0001 6d 0000000000000001".filter(\.isHexDigit))
    #expect(try CoordinatorRecord.decodeValue(OffsetCommitValue.self, from: encodedValue) == value)
  }

  @Test func `a metadata record is framed by its type and version`() throws {
    let topic = TopicRecord(name: "t", topicId: Uuid(high: 1, low: 2))
    let encoded = try MetadataRecordFrame.encode(topic, version: 0)
    #expect(hex(encoded) == "01 02 00 02 74 0000000000000001 0000000000000002 00".filter(\.isHexDigit))
    var reader = MessageReader(encoded)
    let frame = try MetadataRecordFrame(from: &reader)
    #expect(frame.recordType == TopicRecord.apiKey)
    #expect(try TopicRecord(from: &reader, version: frame.version) == topic)
    var unknown = MessageReader(bytes("02 02 00"))
    #expect(throws: ProtocolError.unsupportedVersion(2, of: "MetadataRecordFrame")) {
      try MetadataRecordFrame(from: &unknown)
    }
  }
}
