// Which records a share-partition hands out, and to whom.

import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct SharePartitionAcquireTests {
  @Test func `records go to one member at a time, in the order of the log`() throws {
    var stage = try PartitionStage()
    #expect(stage.acquire("a") == [AcquiredRecords(0, 9, 1)])
    #expect(stage.acquire("b") == [AcquiredRecords(10, 19, 1)])
    #expect(stage.partition.nextFetchOffset == 20)
    #expect(stage.partition.summary.acquired == 20)
  }

  @Test func `the batch that crosses the limit is acquired whole`() throws {
    var stage = try PartitionStage()
    #expect(stage.acquire(max: 12) == [AcquiredRecords(0, 19, 1)])
  }

  @Test func `in the mode record_limit the limit is kept within a batch`() throws {
    var stage = try PartitionStage()
    #expect(stage.acquire(max: 4, mode: .recordLimit) == [AcquiredRecords(0, 3, 1)])
    #expect(stage.partition.nextFetchOffset == 4)
    #expect(stage.acquire("b", max: 12, mode: .recordLimit) == [AcquiredRecords(4, 15, 1)])
  }

  @Test func `acquired records are divided at the batch size`() throws {
    var stage = try PartitionStage()
    let acquired = stage.acquire(max: 50, batchSize: 15)
    #expect(acquired == [AcquiredRecords(0, 19, 1), AcquiredRecords(20, 39, 1), AcquiredRecords(40, 49, 1)])
  }

  @Test func `no new records are acquired above the lock limit, but those that come back are`() throws {
    var policy = SharePolicy()
    policy.maxRecordLocks = 20
    var stage = try PartitionStage(policy: policy)
    stage.acquire(max: 100)
    #expect(stage.partition.summary.acquired == 20)
    #expect(!stage.partition.canAcquire)
    #expect(stage.acquire("b", max: 100).isEmpty)
    #expect(stage.acknowledge(3, 4, [.release]) == .none)
    #expect(stage.partition.canAcquire)
    #expect(stage.acquire("b", max: 100) == [AcquiredRecords(3, 4, 2)])
  }

  @Test func `what came back is handed out before what is new, with its delivery count`() throws {
    var stage = try PartitionStage()
    stage.acquire(max: 20)
    #expect(stage.acknowledge(5, 7, [.release]) == .none)
    #expect(stage.partition.nextFetchOffset == 5)
    #expect(stage.acquire("b", max: 5) == [AcquiredRecords(5, 7, 2), AcquiredRecords(20, 29, 1)])
  }

  @Test func `offsets that compaction emptied are passed over`() throws {
    var stage = try PartitionStage()
    stage.log = [(5, 9), (15, 19), (25, 29)].map { FetchedBatch(baseOffset: $0, lastOffset: $1) }
    #expect(
      stage.acquire(max: 50) == [AcquiredRecords(5, 9, 1), AcquiredRecords(15, 19, 1), AcquiredRecords(25, 29, 1)])
    #expect(stage.partition.startOffset == 5)
    #expect(stage.acknowledge(5, 9, [.accept]) == .none)
    #expect(stage.partition.startOffset == 15)
  }

  @Test func `records that compaction removed while they were out do not hold up the start`() throws {
    var stage = try PartitionStage()
    stage.acquire(max: 20)
    #expect(stage.acknowledge(0, 19, [.release]) == .none)
    stage.log.removeFirst()
    #expect(stage.acquire(max: 10) == [AcquiredRecords(10, 19, 2)])
    #expect(stage.partition.startOffset == 10)
  }

  @Test func `aborted transactions and control batches are not delivered to a read_committed group`() throws {
    var stage = try PartitionStage()
    stage.log = [
      FetchedBatch(baseOffset: 0, lastOffset: 4, producerId: 1, isTransactional: true),
      FetchedBatch(baseOffset: 5, lastOffset: 9, producerId: 2, isTransactional: true),
      FetchedBatch(
        baseOffset: 10, lastOffset: 10, producerId: 1, isTransactional: true, content: .control(isAbort: true)),
      FetchedBatch(
        baseOffset: 11, lastOffset: 11, producerId: 2, isTransactional: true, content: .control(isAbort: false)),
      FetchedBatch(baseOffset: 12, lastOffset: 14, producerId: 1, isTransactional: true),
    ]
    stage.aborted = [AbortedProducer(producerId: 1, firstOffset: 0)]
    #expect(stage.acquire(max: 50) == [AcquiredRecords(5, 9, 1), AcquiredRecords(12, 14, 1)])
    #expect(stage.partition.startOffset == 5)
  }

  @Test func `after a restart, what was aborted is passed over again`() throws {
    var stage = try PartitionStage()
    stage.log[0].producerId = 1
    stage.log[0].isTransactional = true
    stage.aborted = [AbortedProducer(producerId: 1, firstOffset: 0)]
    stage.log[1].producerId = 2
    stage.acquire(max: 20)
    #expect(stage.acknowledge(20, 29, [.accept]) == .none)
    try stage.crash()
    #expect(stage.acquire(max: 10) == [AcquiredRecords(10, 19, 1)])
    #expect(stage.partition.startOffset == 10)
  }

  @Test func `records that failed often are handed out in smaller numbers, and for the last time alone`() throws {
    var policy = SharePolicy()
    policy.deliveryCountLimit = 5
    var stage = try PartitionStage(batches: 1, of: 16, policy: policy)
    for count in Int16(1)...3 {
      #expect(stage.acquire(max: 100) == [AcquiredRecords(0, 15, count)])
      #expect(stage.acknowledge(0, 15, [.release]) == .none)
    }
    #expect(stage.acquire(max: 100) == [AcquiredRecords(0, 7, 4)])
    #expect(stage.acquire(max: 100) == [AcquiredRecords(8, 15, 4)])
    #expect(stage.acknowledge(0, 15, [.release]) == .none)
    for offset in Int64(0)..<16 {
      #expect(stage.acquire(max: 100) == [AcquiredRecords(offset, offset, 5)])
    }
  }

  @Test func `a record on its last delivery is not handed out together with others`() throws {
    var policy = SharePolicy()
    policy.deliveryCountLimit = 3
    var stage = try PartitionStage(policy: policy)
    stage.acquire(max: 10)
    #expect(stage.acknowledge(5, 5, [.release]) == .none)
    stage.acquire(max: 1)
    #expect(stage.acknowledge(5, 5, [.release]) == .none)
    #expect(stage.acknowledge(0, 2, [.release]) == .none)
    #expect(stage.acquire(max: 100) == [AcquiredRecords(0, 2, 2)])
    #expect(stage.acquire(max: 100) == [AcquiredRecords(5, 5, 3)])
    #expect(stage.acquire(max: 10) == [AcquiredRecords(10, 19, 1)])
  }

  @Test func `numbers out of all bounds in what was read change nothing`() throws {
    var stage = try PartitionStage()
    stage.log = [
      FetchedBatch(baseOffset: 9, lastOffset: 3), FetchedBatch(baseOffset: .min, lastOffset: .max),
      FetchedBatch(baseOffset: 5, lastOffset: .max), FetchedBatch(baseOffset: -5, lastOffset: -1),
    ]
    #expect(stage.acquire(max: .max).isEmpty)
    #expect(stage.acquire(max: 0).isEmpty)
    #expect(stage.acquire(max: -1, batchSize: .min).isEmpty)
    #expect(stage.partition.summary.nextOffset == 0)
  }
}
