// The bytes of journals, put together by hand from Kafka's schemas.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct ShareRecordTests {
  private func long(_ number: UInt8) -> [UInt8] { [0, 0, 0, 0, 0, 0, 0, number] }

  @Test func `a snapshot of share-partition state has Kafka's bytes`() throws {
    let id = Uuid(high: 0x0102_0304_0506_0708, low: 0x090A_0B0C_0D0E_0F10)
    let record = ShareStateRecord.snapshot(
      ShareStateKey(groupId: "g", topicId: id, partition: 3),
      ShareSnapshot(
        snapshotEpoch: 1, stateEpoch: 2, leaderEpoch: 3, startOffset: 4, deliveryCompleteCount: 5, createTimestampMs: 6,
        writeTimestampMs: 7,
        batches: [ShareStateBatch(firstOffset: 8, lastOffset: 9, state: .acknowledged, deliveryCount: 1)]))
    let (key, value) = try record.encode()
    #expect(Array(key.readableBytesView) == [0, 0] + [0, 1, 0x67] + (1...16) + [0, 0, 0, 3])
    var expected: [UInt8] = [0, 0] + [0, 0, 0, 1] + [0, 0, 0, 2] + [0, 0, 0, 3]
    expected += long(4) + long(6) + long(7)
    expected += [2] + long(8) + long(9) + [2] + [0, 1] + [0]
    expected += [1, 0, 4, 0, 0, 0, 5]
    #expect(value.map { Array($0.readableBytesView) } == expected)
    #expect(try ShareStateRecord.decode(key: key, value: value) == record)
  }

  @Test func `the time and the cause that Kafka does not know are tagged fields of an update`() throws {
    var delayed = ShareStateBatch(firstOffset: 8, lastOffset: 8, state: .available, deliveryCount: 2)
    delayed.notBeforeMs = 9
    let record = ShareStateRecord.update(
      ShareStateKey(groupId: "g", topicId: .zero, partition: 0),
      ShareUpdate(snapshotEpoch: 1, leaderEpoch: 3, startOffset: 4, deliveryCompleteCount: -1, batches: [delayed]))
    let (key, value) = try record.encode()
    #expect(Array(key.readableBytesView.prefix(2)) == [0, 1])
    var expected: [UInt8] = [0, 0] + [0, 0, 0, 1] + [0, 0, 0, 3] + long(4)
    // Tag 10932 is 0xB4 0x55 as an unsigned varint.
    expected += [2] + long(8) + long(8) + [0] + [0, 2] + [1, 0xB4, 0x55, 8] + long(9)
    expected += [0]
    #expect(value.map { Array($0.readableBytesView) } == expected)
    #expect(try ShareStateRecord.decode(key: key, value: value) == record)
  }

  @Test func `a member of a share group has Kafka's bytes`() throws {
    let record = GroupRecord.share(
      .member(
        .init(groupId: "g", memberId: "m"),
        .init(rackId: nil, clientId: "c", clientHost: "/h", subscribedTopicNames: ["t"])))
    let (key, value) = try record.encode()
    #expect(Array(key.readableBytesView) == [0, 10] + [0, 1, 0x67] + [0, 1, 0x6D])
    #expect(
      value.map { Array($0.readableBytesView) }
        == [0, 0] + [0] + [2, 0x63] + [3, 0x2F, 0x68] + [2, 2, 0x74] + [0])
    #expect(try GroupRecord.decode(key: key, value: value) == record)
  }

  @Test func `a key of a share group that is cut off is damage`() {
    for type in Int16(10)...15 {
      var key = ByteBuffer(integer: type)
      key.writeBytes([0])
      #expect(throws: GroupRecordError.self) { try GroupRecord.decode(key: key, value: nil) }
    }
  }
}
