// Locks that run out, delayed retries, members that leave, restarts, and a log that loses its beginning.

import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct SharePartitionTimeTests {
  @Test func `a lock that ran out gives the record to another member, and the first cannot acknowledge any more`()
    throws
  {
    var stage = try PartitionStage()
    stage.acquire("a")
    #expect(stage.partition.nextDeadlineMs == 30_000)
    stage.advance(29_999)
    stage.wake()
    #expect(stage.partition.summary.acquired == 10)
    stage.advance(1)
    stage.wake()
    #expect(stage.writes.last?.batches == [ShareStateBatch(0, 9, .available, 1)])
    #expect(stage.wokeFetches)
    #expect(stage.acknowledge(0, 9, [.accept], by: "a") == .invalidRecordState)
    #expect(stage.acquire("b") == [AcquiredRecords(0, 9, 2)])
    #expect(stage.partition.nextDeadlineMs == 60_000)
  }

  @Test func `an alarm for a lock that was given back and taken again does not end the new lock`() throws {
    var stage = try PartitionStage()
    stage.acquire("a")
    stage.advance(10_000)
    #expect(stage.acknowledge(0, 9, [.release], by: "a") == .none)
    stage.acquire("b")
    stage.advance(20_000)
    stage.wake()
    #expect(stage.partition.summary.acquired == 10)
    stage.advance(10_000)
    stage.wake()
    #expect(stage.partition.summary.available == 10)
  }

  @Test func `a member that leaves gives its records back as if they had not been delivered`() throws {
    var stage = try PartitionStage()
    stage.acquire("a")
    stage.acquire("b")
    stage.release("a")
    #expect(stage.writes.last?.batches == [ShareStateBatch(0, 9, .available, 0)])
    #expect(stage.acquire("c") == [AcquiredRecords(0, 9, 1)])
    #expect(stage.partition.summary.acquired == 20)
  }

  @Test func `the delivery counts if the member may have been brought down by it`() throws {
    var stage = try PartitionStage()
    stage.acquire("a")
    stage.release("a", countsDelivery: true)
    #expect(stage.acquire("c") == [AcquiredRecords(0, 9, 2)])
  }

  @Test func `a failed record waits for its back-off, which doubles and ends at the maximum`() throws {
    var policy = SharePolicy()
    policy.retryBackoffMs = 100
    policy.retryBackoffMaxMs = 400
    policy.deliveryCountLimit = 10
    var stage = try PartitionStage(batches: 1, of: 1, policy: policy)
    for expected in [100, 200, 400, 400] as [Int64] {
      #expect(stage.acquire().count == 1)
      #expect(stage.acknowledge(0, 0, [.release]) == .none)
      #expect(stage.acquire().isEmpty)
      let deadline = try #require(stage.partition.nextDeadlineMs)
      let delay = deadline - stage.now.uptimeMs
      #expect(delay >= expected * 8 / 10 && delay <= min(400, expected * 12 / 10))
      #expect(stage.writes.last?.batches.first?.notBeforeMs == stage.now.wallMs + delay)
      stage.advance(delay)
      stage.wake()
      #expect(stage.wokeFetches)
    }
  }

  @Test func `a delayed retry is still delayed after a restart, and a clock that went back cannot prolong it`() throws {
    var policy = SharePolicy()
    policy.retryBackoffMs = 1000
    policy.retryBackoffMaxMs = 1000
    var stage = try PartitionStage(policy: policy)
    stage.acquire()
    #expect(stage.acknowledge(0, 9, [.release]) == .none)
    stage.advance(400)
    try stage.crash()
    #expect(stage.partition.summary.waiting == 10)
    let left = try #require(stage.partition.nextDeadlineMs) - stage.now.uptimeMs
    #expect(left > 300 && left <= 600)
    stage.setWallClock(back: 3_600_000)
    try stage.crash()
    stage.advance(1000)
    stage.wake()
    #expect(stage.partition.summary.available == 10)
  }

  @Test func `after a restart, what was held is available, and delivery counts are what was persisted`() throws {
    var stage = try PartitionStage()
    stage.acquire(max: 30)
    #expect(stage.acknowledge(10, 14, [.release]) == .none)
    #expect(stage.acknowledge(20, 29, [.accept]) == .none)
    try stage.crash()
    #expect(stage.partition.startOffset == 0)
    #expect(stage.partition.summary.nextOffset == 30)
    #expect(stage.partition.summary.available == 20)
    #expect(
      stage.acquire(max: 20) == [
        AcquiredRecords(0, 9, 1), AcquiredRecords(10, 14, 2), AcquiredRecords(15, 19, 1),
      ])
  }

  @Test func `a log that begins later takes its records along`() throws {
    var stage = try PartitionStage()
    stage.acquire("a", max: 20)
    #expect(stage.acknowledge(0, 4, [.release]) == .none)
    let lost = stage.partition.moveStart(to: 12)
    #expect(lost.isEmpty)
    #expect(stage.partition.startOffset == 12)
    #expect(stage.partition.nextFetchOffset == 20)
    #expect(stage.acknowledge(5, 19, [.accept]) == .none)
    #expect(stage.partition.startOffset == 20)
    #expect(stage.partition.moveStart(to: 45).isEmpty)
    #expect(stage.partition.nextFetchOffset == 45)
    #expect(stage.partition.moveStart(to: .max).isEmpty)
    #expect(stage.partition.moveStart(to: .min).isEmpty)
    #expect(stage.partition.startOffset == 45)
  }

  @Test func `state that no share-partition can have been in is refused`() throws {
    let malformed: [[ShareStateBatch]] = [
      [ShareStateBatch(5, 3, .available, 1)], [ShareStateBatch(-1, 3, .available, 1)],
      [ShareStateBatch(0, 9, .available, 1), ShareStateBatch(9, 12, .available, 1)],
      [ShareStateBatch(0, .max, .available, 1)],
    ]
    for batches in malformed {
      #expect(throws: SharePartitionError.malformedState) {
        try SharePartition(
          restoring: PersistedShareState(stateEpoch: 0, startOffset: 0, batches: batches), leaderEpoch: 0,
          resetOffset: 0, policy: SharePolicy(), seed: 1, now: Moment(wallMs: 0, uptimeMs: 0))
      }
    }
  }

  @Test func `a partition that never delivered begins where the group's reset says`() throws {
    let partition = try SharePartition(
      restoring: PersistedShareState(stateEpoch: 0, startOffset: -1, batches: []), leaderEpoch: 0, resetOffset: 77,
      policy: SharePolicy(), seed: 1, now: Moment(wallMs: 0, uptimeMs: 0))
    #expect(partition.nextFetchOffset == 77)
  }

  @Test func `the most extreme times and delays do not trap`() throws {
    var policy = SharePolicy()
    policy.retryBackoffMs = .max
    policy.recordLockDurationMs = .max
    var partition = try SharePartition(
      restoring: PersistedShareState(stateEpoch: 0, startOffset: 0, batches: []), leaderEpoch: 0, resetOffset: 0,
      policy: policy, seed: 1, now: Moment(wallMs: .max, uptimeMs: .max))
    let now = Moment(wallMs: .max, uptimeMs: .max)
    _ = partition.acquire(
      AcquireRequest(memberId: "a", maxRecords: .max, batchSize: .max),
      from: [FetchedBatch(baseOffset: 0, lastOffset: .max - 1)], at: 0, now: now)
    #expect(partition.summary.acquired == .max)
    _ = partition.acknowledge(
      [ShareAcknowledgement(firstOffset: 0, lastOffset: .max - 1, types: [2])], by: "a", allowsRenew: true, now: now)
    #expect(partition.summary.waiting == .max)
  }
}
