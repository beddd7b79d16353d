// A share-partition on a stage: a log of record batches, a clock that the test turns, and what was persisted, which a
// crash leaves behind.

import MillraceProtocol
import Testing

@testable import MillraceCoordination

struct PartitionStage {
  var partition: SharePartition
  var log: [FetchedBatch]
  var aborted: [AbortedProducer] = []
  private(set) var now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)
  private(set) var persisted: PersistedShareState
  private(set) var writes: [ShareStateWrite] = []
  private(set) var deadLetters: [DeadLetter] = []
  private(set) var wokeFetches = false

  /// A log of batches of `size` records each.
  init(batches: Int = 10, of size: Int64 = 10, policy: SharePolicy = SharePolicy()) throws {
    log = (0..<Int64(batches)).map { FetchedBatch(baseOffset: $0 * size, lastOffset: $0 * size + size - 1) }
    persisted = PersistedShareState(stateEpoch: 1, startOffset: 0, batches: [])
    partition = try SharePartition(
      restoring: persisted, leaderEpoch: 3, resetOffset: 0, policy: policy, seed: 7, now: now)
  }

  mutating func advance(_ ms: Int64) {
    now.wallMs += ms
    now.uptimeMs += ms
  }

  mutating func setWallClock(back ms: Int64) { now.wallMs -= ms }

  /// Reads the log where the partition wants it read, and acquires.
  @discardableResult
  mutating func acquire(
    _ member: String = "a", max: Int32 = 10, batchSize: Int32 = 1000, mode: ShareAcquireMode = .batchOptimized,
    batchesRead: Int = .max
  ) -> [AcquiredRecords] {
    let at = partition.nextFetchOffset
    let read = log.filter { $0.lastOffset >= at }.prefix(batchesRead)
    return partition.acquire(
      AcquireRequest(memberId: member, maxRecords: max, batchSize: batchSize, mode: mode), from: Array(read), at: at,
      aborted: aborted, now: now)
  }

  mutating func acknowledge(
    _ first: Int64, _ last: Int64, _ types: [ShareAcknowledgeType], by member: String = "a", allowsRenew: Bool = true
  ) -> ErrorCode {
    acknowledge(
      [ShareAcknowledgement(firstOffset: first, lastOffset: last, types: types.map(\.rawValue))], by: member,
      allowsRenew: allowsRenew)
  }

  mutating func acknowledge(
    _ batches: [ShareAcknowledgement], by member: String = "a", allowsRenew: Bool = true
  ) -> ErrorCode {
    let (error, decision) = partition.acknowledge(batches, by: member, allowsRenew: allowsRenew, now: now)
    perform(decision)
    return error
  }

  mutating func release(_ member: String = "a", countsDelivery: Bool = false) {
    perform(partition.release(memberId: member, countsDelivery: countsDelivery, now: now))
  }

  mutating func wake() { perform(partition.wake(now: now)) }

  mutating func writeLetters(_ offsets: ClosedRange<Int64>) throws {
    persist(try #require(partition.archivingWrite(offsets)))
    perform(partition.archived(offsets))
  }

  mutating func crash(policy: SharePolicy? = nil) throws {
    partition = try SharePartition(
      restoring: persisted, leaderEpoch: 4, resetOffset: 0, policy: policy ?? partition.policy, seed: 8, now: now)
  }

  private mutating func perform(_ decision: SharePartitionDecision) {
    if let write = decision.write { persist(write) }
    deadLetters += decision.deadLetters
    wokeFetches = decision.wakesFetches
  }

  private mutating func persist(_ write: ShareStateWrite) {
    writes.append(write)
    if write.startOffset != -1 { persisted.startOffset = write.startOffset }
    persisted.batches = persisted.batches.combined(with: write.batches, startOffset: persisted.startOffset)
  }
}

extension AcquiredRecords {
  init(_ first: Int64, _ last: Int64, _ count: Int16) {
    self.init(firstOffset: first, lastOffset: last, deliveryCount: count)
  }
}

extension ShareStateBatch {
  init(_ first: Int64, _ last: Int64, _ state: ShareRecordState, _ count: Int16) {
    self.init(
      firstOffset: first, lastOffset: last, state: state, deliveryCount: count,
      cause: state == .archiving ? .rejected : nil)
  }
}
