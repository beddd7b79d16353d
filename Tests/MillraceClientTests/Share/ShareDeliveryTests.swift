// What is ours of the batches that a share fetch brings.

import MillraceRecords
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct ShareDeliveryTests {
  private func batch(at offset: Int64, _ count: Int) throws -> [UInt8] {
    var builder = BatchBuilder()
    for index in 0..<count { builder.append(key: nil, value: Array("v\(index)".utf8), timestamp: 1000) }
    return try builder.build(BatchFields(baseOffset: offset, producerId: -1, producerEpoch: 0, baseSequence: 0))
  }

  private func marker(at offset: Int64) throws -> [UInt8] {
    var builder = BatchBuilder()
    builder.append(
      key: ControlRecordType.commit.key, value: EndTransactionMarker(isCommit: true, coordinatorEpoch: 0).value,
      timestamp: 0)
    return try builder.build(
      BatchFields(
        baseOffset: offset, producerId: 1, producerEpoch: 0, baseSequence: -1, isTransactional: true, isControl: true))
  }

  private func delivery(_ batches: [[UInt8]], _ acquired: (ClosedRange<Int64>, Int)...) -> ShareDelivery {
    ShareDelivery(
      TopicPartition("t", 0), records: ByteBuffer(bytes: batches.joined()),
      acquired: acquired.map { ShareDelivery.Acquired(offsets: $0.0, deliveryCount: $0.1) }, checksCRCs: true)
  }

  @Test func `only what was acquired is delivered, with its delivery count`() throws {
    let delivery = delivery([try batch(at: 10, 5), try batch(at: 15, 5)], (12...13, 1), (15...16, 3))
    #expect(delivery.records.map(\.offset) == [12, 13, 15, 16])
    #expect(delivery.records.map(\.deliveryCount) == [1, 1, 3, 3])
    #expect(delivery.gaps.isEmpty && delivery.unreadable.isEmpty && delivery.error == nil)
  }

  @Test func `acquired offsets without a record for an application are gaps`() throws {
    let delivery = delivery([try batch(at: 10, 2), try marker(at: 12), try batch(at: 20, 2)], (10...20, 1))
    #expect(delivery.records.map(\.offset) == [10, 11, 20])
    #expect(delivery.gaps == [12...19])
    #expect(delivery.unreadable.isEmpty)
  }

  @Test func `a marker at the end is a gap`() throws {
    let delivery = delivery([try batch(at: 10, 2), try marker(at: 12)], (10...12, 1))
    #expect(delivery.records.count == 2)
    #expect(delivery.gaps == [12...12])
    #expect(delivery.unreadable.isEmpty)
  }

  @Test func `what was acquired behind the last whole batch is given back`() throws {
    let cut = try batch(at: 12, 3).dropLast()
    let delivery = delivery([try batch(at: 10, 2), Array(cut)], (10...14, 1))
    #expect(delivery.records.map(\.offset) == [10, 11])
    #expect(delivery.gaps.isEmpty)
    #expect(delivery.unreadable == [12...14])
    #expect(delivery.error == nil)
  }

  @Test func `a damaged batch is given back, with an error`() throws {
    var damaged = try batch(at: 12, 3)
    damaged[damaged.count - 1] ^= 1
    let delivery = delivery([try batch(at: 10, 2), damaged], (10...14, 2))
    #expect(delivery.records.map(\.offset) == [10, 11])
    #expect(delivery.unreadable == [12...14])
    #expect(delivery.error?.code == .corruptRecords)
  }

  @Test func `what overlaps is delivered once, and no range is too long`() throws {
    let delivery = delivery([try batch(at: 10, 3)], (11...12, 2), (10 ... .max, 1))
    #expect(delivery.records.map(\.offset) == [10, 11, 12])
    #expect(delivery.unreadable == [13 ... .max])
  }
}
