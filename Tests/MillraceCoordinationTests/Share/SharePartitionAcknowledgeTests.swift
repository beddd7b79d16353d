// What acknowledgements do, and how wrong ones are answered.

import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct SharePartitionAcknowledgeTests {
  @Test func `accepted records are finished, and the start moves past them`() throws {
    var stage = try PartitionStage()
    stage.acquire()
    #expect(stage.acknowledge(5, 9, [.accept]) == .none)
    #expect(stage.partition.startOffset == 0)
    #expect(stage.writes.last?.batches == [ShareStateBatch(5, 9, .acknowledged, 1)])
    #expect(stage.writes.last?.deliveryCompleteCount == 5)
    #expect(stage.acknowledge(0, 4, [.accept]) == .none)
    #expect(stage.partition.startOffset == 10)
    #expect(stage.writes.last?.startOffset == 10)
    #expect(stage.writes.last?.batches.isEmpty == true)
  }

  @Test func `one batch can carry a type for each offset`() throws {
    var stage = try PartitionStage()
    stage.acquire()
    let types: [ShareAcknowledgeType] = [
      .accept, .accept, .release, .reject, .gap, .release, .accept, .accept, .accept, .accept,
    ]
    #expect(stage.acknowledge(0, 9, types) == .none)
    #expect(
      stage.writes.last?.batches == [
        ShareStateBatch(2, 2, .available, 1), ShareStateBatch(3, 4, .archived, 1), ShareStateBatch(5, 5, .available, 1),
        ShareStateBatch(6, 9, .acknowledged, 1),
      ])
    #expect(stage.partition.startOffset == 2)
    #expect(stage.acquire("b", max: 1) == [AcquiredRecords(2, 2, 2)])
  }

  @Test func `a record that was delivered as often as the limit says is archived instead of released`() throws {
    var policy = SharePolicy()
    policy.deliveryCountLimit = 2
    var stage = try PartitionStage(policy: policy)
    stage.acquire()
    #expect(stage.acknowledge(0, 9, [.release]) == .none)
    stage.acquire()
    #expect(stage.acknowledge(0, 0, [.release]) == .none)
    #expect(stage.partition.startOffset == 1)
  }

  @Test func `only who holds a record can acknowledge it`() throws {
    var stage = try PartitionStage()
    stage.acquire("a")
    #expect(stage.acknowledge(0, 9, [.accept], by: "b") == .invalidRecordState)
    #expect(stage.acknowledge(0, 0, [.accept], by: "a") == .none)
    #expect(stage.acknowledge(1, 1, [.release], by: "a") == .none)
    #expect(stage.acknowledge(1, 2, [.accept], by: "a") == .invalidRecordState)
    #expect(stage.partition.summary.acquired == 8)
  }

  @Test func `one wrong batch undoes the whole request for the partition`() throws {
    var stage = try PartitionStage()
    stage.acquire("a")
    stage.acquire("b")
    let error = stage.acknowledge([
      ShareAcknowledgement(firstOffset: 0, lastOffset: 4, types: [1]),
      ShareAcknowledgement(firstOffset: 8, lastOffset: 12, types: [1]),
    ])
    #expect(error == .invalidRecordState)
    #expect(stage.partition.summary.acquired == 20)
    #expect(stage.writes.isEmpty)
  }

  @Test func `acknowledging what is below the start does nothing`() throws {
    var stage = try PartitionStage()
    stage.acquire()
    #expect(stage.acknowledge(0, 4, [.accept]) == .none)
    #expect(stage.acknowledge(0, 4, [.accept]) == .none)
    #expect(stage.acknowledge(0, 9, [.accept]) == .none)
    #expect(stage.partition.startOffset == 10)
  }

  @Test(
    arguments: [
      (10, 3, [1]), (0, 9, []), (0, 9, [1, 1]), (0, 9, [5]), (0, 9, [-1]), (-1, 4, [1]), (Int64.min, Int64.max, [1]),
      (0, Int64.max, [1]), (Int64.max, Int64.max, [1]), (Int64.min, Int64.min, [1]), (0, 10, [1]), (100, 200, [1]),
    ] as [(Int64, Int64, [Int8])])
  func `a batch that contradicts itself or lies outside is an invalid request`(
    first: Int64, last: Int64, types: [Int8]
  ) throws {
    var stage = try PartitionStage()
    stage.acquire()
    let error = stage.acknowledge([ShareAcknowledgement(firstOffset: first, lastOffset: last, types: types)])
    #expect(error == .invalidRequest)
    #expect(stage.partition.summary.acquired == 10)
  }

  @Test func `batches have to be in order and apart`() throws {
    var stage = try PartitionStage()
    stage.acquire()
    let late = ShareAcknowledgement(firstOffset: 5, lastOffset: 7, types: [1])
    #expect(
      stage.acknowledge([late, ShareAcknowledgement(firstOffset: 6, lastOffset: 9, types: [1])]) == .invalidRequest)
    #expect(
      stage.acknowledge([late, ShareAcknowledgement(firstOffset: 7, lastOffset: 9, types: [1])]) == .invalidRecordState)
    #expect(
      stage.acknowledge([late, ShareAcknowledgement(firstOffset: 0, lastOffset: 1, types: [1])]) == .invalidRequest)
    #expect(stage.partition.summary.acquired == 10)
  }

  @Test func `nothing can be acknowledged where nothing is in flight`() throws {
    var stage = try PartitionStage()
    #expect(stage.acknowledge(0, 9, [.accept]) == .invalidRecordState)
    #expect(stage.acknowledge([]) == .none)
  }

  @Test func `a renewed lock holds from now on, and the record stays with its member`() throws {
    var stage = try PartitionStage()
    stage.acquire("a")
    stage.advance(20_000)
    #expect(stage.acknowledge(0, 4, [.renew]) == .none)
    #expect(stage.writes.isEmpty)
    stage.advance(10_000)
    stage.wake()
    #expect(stage.partition.summary.acquired == 5)
    #expect(stage.acknowledge(0, 4, [.accept]) == .none)
    #expect(stage.partition.startOffset == 5)
  }

  @Test func `renewing without saying so in the request is invalid`() throws {
    var stage = try PartitionStage()
    stage.acquire()
    #expect(stage.acknowledge(0, 9, [.renew], allowsRenew: false) == .invalidRequest)
  }
}
