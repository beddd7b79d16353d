// Records that are given up while the group has a dead-letter topic.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct ShareDeadLetterTests {
  private func stage(limit: Int16 = 2) throws -> PartitionStage {
    var policy = SharePolicy()
    policy.hasDeadLetters = true
    policy.deliveryCountLimit = limit
    return try PartitionStage(policy: policy)
  }

  @Test func `a rejected record stays in flight until its letter is written`() throws {
    var stage = try stage()
    stage.acquire()
    #expect(stage.acknowledge(0, 9, [.accept, .reject] + Array(repeating: .accept, count: 8)) == .none)
    #expect(
      stage.deadLetters == [DeadLetter(firstOffset: 1, lastOffset: 1, deliveryCount: 1, cause: .rejected)])
    #expect(stage.partition.startOffset == 1)
    #expect(stage.partition.summary.archiving == 1)
    #expect(stage.acquire("b") == [AcquiredRecords(10, 19, 1)])
    try stage.writeLetters(1...1)
    #expect(stage.partition.startOffset == 10)
    #expect(stage.partition.deadLetters().isEmpty)
  }

  @Test func `a record whose deliveries are used up becomes a dead letter, by release and by time-out`() throws {
    var stage = try stage()
    for _ in 0..<2 {
      stage.acquire()
      #expect(stage.acknowledge(0, 4, [.release]) == .none)
      stage.advance(30_000)
      stage.wake()
    }
    #expect(
      stage.deadLetters == [
        DeadLetter(firstOffset: 0, lastOffset: 4, deliveryCount: 2, cause: .deliveryCountExceeded),
        DeadLetter(firstOffset: 5, lastOffset: 9, deliveryCount: 2, cause: .deliveryCountExceeded),
      ])
  }

  @Test func `after a crash, letters that were not written are still to be written, with their cause`() throws {
    var stage = try stage()
    stage.acquire()
    #expect(stage.acknowledge(3, 3, [.reject]) == .none)
    try stage.crash()
    #expect(
      stage.partition.deadLetters() == [
        DeadLetter(firstOffset: 3, lastOffset: 3, deliveryCount: 1, cause: .rejected)
      ])
    try stage.writeLetters(3...3)
    try stage.crash()
    #expect(stage.partition.deadLetters().isEmpty)
    #expect(stage.partition.summary.finished == 1)
  }

  @Test func `only what waits for a letter can be archived`() throws {
    var stage = try stage()
    stage.acquire()
    #expect(stage.partition.archivingWrite(0...9) == nil)
    #expect(stage.partition.archivingWrite(Int64.min...Int64.max) == nil)
    let decision = stage.partition.archived(Int64.min...Int64.max)
    #expect(!decision.wakesFetches)
    #expect(stage.partition.summary.acquired == 10)
  }

  @Test func `a gap is no record, so it leaves no letter`() throws {
    var stage = try stage()
    stage.acquire()
    #expect(stage.acknowledge(0, 9, [.gap]) == .none)
    #expect(stage.deadLetters.isEmpty)
    #expect(stage.partition.startOffset == 10)
  }

  @Test func `the log's lost beginning is told to who writes the letters`() throws {
    var stage = try stage()
    stage.acquire()
    #expect(stage.acknowledge(3, 6, [.reject]) == .none)
    #expect(
      stage.partition.moveStart(to: 5) == [
        DeadLetter(firstOffset: 3, lastOffset: 4, deliveryCount: 1, cause: .rejected)
      ])
    #expect(stage.partition.deadLetters().map(\.firstOffset) == [5])
  }

  @Test func `cause and due time survive the wire, and a broker that does not know them reads the rest`() throws {
    let batches = [
      ShareStateBatch(
        firstOffset: 1, lastOffset: 2, state: .archiving, deliveryCount: 5, cause: .deliveryCountExceeded),
      ShareStateBatch(
        firstOffset: 3, lastOffset: 3, state: .available, deliveryCount: 1, notBeforeMs: 1_700_000_000_123),
    ]
    let value = ShareUpdateValue(
      snapshotEpoch: 0, leaderEpoch: 0, startOffset: 0, stateBatches: batches.map { $0.message() })
    let decoded = try CoordinatorRecord.decodeValue(
      ShareUpdateValue.self, from: CoordinatorRecord.encodeValue(value, version: 0))
    #expect(decoded.stateBatches.map { ShareStateBatch($0) } == batches)
    #expect(decoded.stateBatches[0].deliveryState == 3)
  }
}
