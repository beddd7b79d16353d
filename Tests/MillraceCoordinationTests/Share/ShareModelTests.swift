// A share-partition with its coordinator against a simple model, at random: members acquire, acknowledge in every way,
// fall silent and leave; the broker crashes and comes back with what was durable; letters are written in transactions
// that commit, abort, or are cut short. In the end every record is accepted, archived or dead-lettered, exactly once.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct ShareModelTests {
  @Test(arguments: 0..<10)
  func `every record ends once, none is lost, and delivery counts never fall below what was persisted`(
    run: Int
  ) throws {
    let seed = UInt64.random(in: .min ... .max)
    print("ShareModel run \(run) seed \(seed)")
    var world = try ShareWorld(seed: seed)
    for _ in 0..<400 { try world.step() }
    try world.finish()
  }
}

private struct ShareWorld {
  private enum End { case accepted, archived, deadLettered }

  private var random: Jitter
  private var policy = SharePolicy()
  private var partition: SharePartition
  private var store: ShareStateStage
  private var log: [FetchedBatch] = []
  private let records: Int64 = 400
  /// What members believe to hold; the partition may know better.
  private var held: [String: [Int64]] = [:]
  /// How each record ended, as far as that is durable.
  private var ends: [Int64: End] = [:]
  private var persistedCounts: [Int64: Int16] = [:]
  /// What was asked for, with success, and how often each record was delivered last.
  private var accepted: Set<Int64> = []
  private var rejected: Set<Int64> = []
  private var delivered: [Int64: Int16] = [:]
  private var leaderEpoch: Int32 = 1
  private var producerId: Int64 = 0

  init(seed: UInt64) throws {
    random = Jitter(state: seed)
    store = ShareStateStage(updatesPerSnapshot: 5)
    policy.hasDeadLetters = random.next() < 0.5
    policy.retryBackoffMs = random.next() < 0.5 ? 500 : 0
    policy.retryBackoffMaxMs = 4_000
    policy.maxRecordLocks = 120
    policy.deliveryCountLimit = Int16(2 + random.next() * 5)
    _ = try store.initialize(stateEpoch: 1, startOffset: 0)
    partition = try SharePartition(
      restoring: store.read(leaderEpoch: 1).get(), leaderEpoch: 1, resetOffset: 0, policy: policy, seed: seed,
      now: store.now)
    var next: Int64 = 0
    while next < records {
      let size = min(records - next, 1 + Int64(random.next() * 25))
      log.append(FetchedBatch(baseOffset: next, lastOffset: next + size - 1))
      next += size
    }
  }

  private mutating func pick(_ count: Int) -> Int { Int(random.next() * Double(count)) }

  mutating func step() throws {
    switch pick(20) {
    case 0..<7: try acquire(by: "m\(pick(5))")
    case 7..<14: try acknowledge()
    case 14: advance(Int64(pick(12_000)))
    case 15: try perform(partition.wake(now: store.now))
    case 16:
      let member = "m\(pick(5))"
      held[member] = nil
      try perform(partition.release(memberId: member, countsDelivery: pick(2) == 0, now: store.now))
    case 17: try writeLetter()
    case 18 where pick(4) == 0: try crash()
    default: try acknowledgeNonsense()
    }
    check()
  }

  /// Everybody behaves from now on, until all is done.
  mutating func finish() throws {
    var rounds = 0
    while partition.startOffset < records {
      rounds += 1
      try #require(rounds < 5_000, "stuck: \(partition.summary)")
      try acquire(by: "z")
      for offset in held["z"] ?? [] { try acknowledge([offset...offset], .accept, by: "z") }
      held["z"] = nil
      while !partition.deadLetters(limit: 1).isEmpty { try writeLetter(committing: true) }
      advance(10_000)
      try perform(partition.wake(now: store.now))
    }
    #expect(ends.count == Int(records))
    #expect(partition.summary.nextOffset == records)
    try crash()
    #expect(partition.startOffset == records)
  }

  // MARK: Events

  private mutating func advance(_ ms: Int64) {
    store.now.wallMs += ms
    store.now.uptimeMs += ms
  }

  private mutating func acquire(by member: String) throws {
    guard partition.canAcquire else { return }
    let at = partition.nextFetchOffset
    let read = Array(log.filter { $0.lastOffset >= at }.prefix(1 + pick(6)))
    let acquired = partition.acquire(
      AcquireRequest(
        memberId: member, maxRecords: Int32(1 + pick(60)), batchSize: 20,
        mode: pick(2) == 0 ? .batchOptimized : .recordLimit),
      from: read, at: at, now: store.now)
    for range in acquired {
      for offset in range.firstOffset...range.lastOffset {
        #expect(ends[offset] == nil, "\(offset) was delivered after its end")
        #expect(range.deliveryCount >= persistedCounts[offset] ?? 0)
        #expect(range.deliveryCount <= policy.deliveryCountLimit)
        held[member, default: []].append(offset)
        delivered[offset] = range.deliveryCount
      }
    }
  }

  private mutating func acknowledge() throws {
    let members = held.keys.sorted()
    guard !members.isEmpty else { return }
    let member = members[pick(members.count)]
    guard let mine = held[member], !mine.isEmpty else { return }
    let first = mine[pick(mine.count)]
    var last = first
    while mine.contains(last + 1), pick(4) > 0 { last += 1 }
    let types: [ShareAcknowledgeType] = [.accept, .accept, .accept, .release, .reject, .renew]
    try acknowledge([first...last], types[pick(types.count)], by: member)
  }

  private mutating func acknowledge(
    _ ranges: [ClosedRange<Int64>], _ type: ShareAcknowledgeType, by member: String
  ) throws {
    let batches = ranges.map {
      ShareAcknowledgement(firstOffset: $0.lowerBound, lastOffset: $0.upperBound, types: [type.rawValue])
    }
    let (error, decision) = partition.acknowledge(batches, by: member, allowsRenew: true, now: store.now)
    if error == .none, type == .renew { return }
    for range in ranges { held[member]?.removeAll { range.contains($0) } }
    if error == .none {
      for offset in ranges.joined() {
        if type == .accept { accepted.insert(offset) }
        if type == .reject { rejected.insert(offset) }
      }
      try perform(decision)
    } else {
      #expect(decision == SharePartitionDecision())
    }
  }

  private mutating func acknowledgeNonsense() throws {
    let numbers: [Int64] = [.min, -1, 0, 5, partition.startOffset, partition.nextOffset, .max - 1, .max]
    let batch = ShareAcknowledgement(
      firstOffset: numbers[pick(numbers.count)], lastOffset: numbers[pick(numbers.count)],
      types: [Int8(truncatingIfNeeded: pick(9) - 2)])
    let (error, decision) = partition.acknowledge([batch], by: "stranger", allowsRenew: false, now: store.now)
    #expect(error != .none || batch.lastOffset < partition.startOffset)
    #expect(decision.write == nil)
  }

  private mutating func writeLetter(committing: Bool = false) throws {
    guard let letter = partition.deadLetters(limit: 1).first else { return }
    let offsets = letter.firstOffset...letter.lastOffset
    let write = try #require(partition.archivingWrite(offsets))
    producerId += 1
    try store.appendInTransaction(try store.shard.transactionalWrite(store.key, write).get(), producerId: producerId)
    let isCommit = committing || pick(3) > 0
    // Other writes may come between the record and the end of its transaction.
    if pick(2) == 0 { try acknowledge() }
    store.end(producerId: producerId, isCommit: isCommit)
    guard isCommit else { return }
    for offset in offsets { try end(offset, .deadLettered) }
    let decision = partition.archived(offsets)
    #expect(decision.deadLetters.isEmpty)
    try perform(decision)
  }

  private mutating func crash() throws {
    store.shard = try store.replayed(from: store.shard.prunableBelow ?? 0)
    leaderEpoch += 1
    held = [:]
    partition = try SharePartition(
      restoring: store.read(leaderEpoch: leaderEpoch).get(), leaderEpoch: leaderEpoch, resetOffset: 0, policy: policy,
      seed: UInt64(leaderEpoch), now: store.now)
    #expect(partition.deadLetters().allSatisfy { ends[$0.firstOffset] == nil })
  }

  private mutating func perform(_ decision: SharePartitionDecision) throws {
    guard let write = decision.write else { return }
    for batch in write.batches {
      for offset in batch.firstOffset...batch.lastOffset { try note(batch, offset) }
    }
    // What the start has passed is not in the batches: it ended with this write, or before.
    for offset in 0..<write.startOffset where ends[offset] == nil {
      try end(offset, accepted.contains(offset) ? .accepted : .archived)
    }
    #expect(
      try store.write(
        write.batches, start: write.startOffset, stateEpoch: write.stateEpoch, leaderEpoch: write.leaderEpoch)
        == .none)
  }

  private mutating func note(_ batch: ShareStateBatch, _ offset: Int64) throws {
    #expect(batch.deliveryCount >= persistedCounts[offset] ?? 0)
    persistedCounts[offset] = batch.deliveryCount
    switch batch.state {
    case .acknowledged: try end(offset, .accepted)
    case .archived: try end(offset, .archived)
    case .archiving: #expect(ends[offset] == nil)
    case .available: #expect(ends[offset] == nil)
    case .acquired: Issue.record("held records are never persisted")
    }
  }

  private mutating func end(_ offset: Int64, _ end: End) throws {
    #expect(ends[offset] == nil, "\(offset) ended twice")
    let isGivenUp = rejected.contains(offset) || delivered[offset] == policy.deliveryCountLimit
    switch end {
    case .accepted: #expect(accepted.contains(offset), "\(offset) was accepted by nobody")
    case .archived: #expect(isGivenUp && !policy.hasDeadLetters, "\(offset) was lost")
    case .deadLettered: #expect(isGivenUp && policy.hasDeadLetters)
    }
    ends[offset] = end
  }

  private func check() {
    let summary = partition.summary
    let all = summary.available + summary.waiting + summary.acquired + summary.archiving + summary.finished
    #expect(Int64(all) == summary.nextOffset - summary.startOffset)
    #expect(partition.held.values.reduce(0, +) == summary.acquired)
    #expect(partition.alarms.count <= 2 * partition.runs.tally.deadlines + 65)
    if summary.acquired + summary.waiting > 0 { #expect(partition.nextDeadlineMs != nil) }
  }
}
