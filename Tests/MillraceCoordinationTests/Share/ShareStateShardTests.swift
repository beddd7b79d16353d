// The share coordinator: epochs, updates and snapshots, replay, transactions, and what of the journal is needed.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

/// A shard and its journal, which keeps every record in its encoded form.
struct ShareStateStage {
  var shard: ShareStateShard
  private(set) var journal: [(key: ByteBuffer, value: ByteBuffer?, producerId: Int64?)] = []
  private(set) var markers: [Int: [(producerId: Int64, isCommit: Bool)]] = [:]
  private(set) var records: [ShareStateRecord] = []
  var now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)
  let key = ShareStateKey(groupId: "g", topicId: Uuid(high: 1, low: 2), partition: 0)

  init(updatesPerSnapshot: Int32 = 500) {
    var config = ShareStateConfig()
    config.updatesPerSnapshot = updatesPerSnapshot
    shard = ShareStateShard(config: config)
  }

  mutating func initialize(
    _ key: ShareStateKey? = nil, stateEpoch: Int32 = 1, startOffset: Int64 = 0
  ) throws -> ErrorCode {
    let (error, records) = shard.initialize(
      key ?? self.key, stateEpoch: stateEpoch, startOffset: startOffset, now: now)
    try append(records)
    return error
  }

  mutating func write(
    _ batches: [ShareStateBatch], start: Int64 = 0, stateEpoch: Int32 = 1, leaderEpoch: Int32 = 0,
    to key: ShareStateKey? = nil
  ) throws -> ErrorCode {
    let write = ShareStateWrite(
      stateEpoch: stateEpoch, leaderEpoch: leaderEpoch, startOffset: start, deliveryCompleteCount: 0, batches: batches)
    let (error, records) = shard.write(key ?? self.key, write, now: now)
    try append(records)
    return error
  }

  mutating func read(leaderEpoch: Int32) throws -> Result<PersistedShareState, ShareStateRefusal> {
    let (result, records) = shard.read(key, leaderEpoch: leaderEpoch)
    try append(records)
    return result
  }

  mutating func append(_ records: [ShareStateRecord]) throws {
    for record in records {
      shard.journaled(record, at: Int64(journal.count))
      try keep(record, producerId: nil)
    }
  }

  mutating func appendInTransaction(_ record: ShareStateRecord, producerId: Int64) throws {
    shard.replay(record, at: Int64(journal.count), producerId: producerId)
    try keep(record, producerId: producerId)
  }

  mutating func end(producerId: Int64, isCommit: Bool) {
    shard.ended(producerId: producerId, isCommit: isCommit)
    markers[journal.count, default: []].append((producerId, isCommit))
  }

  private mutating func keep(_ record: ShareStateRecord, producerId: Int64?) throws {
    let (key, value) = try record.encode()
    journal.append((key, value, producerId))
    records.append(record)
  }

  /// As the shard is after a start, from what is left of the journal.
  func replayed(from first: Int64 = 0) throws -> ShareStateShard {
    var fresh = ShareStateShard(config: shard.config)
    for offset in Int(first)...journal.count {
      for marker in markers[offset] ?? [] { fresh.ended(producerId: marker.producerId, isCommit: marker.isCommit) }
      guard offset < journal.count else { break }
      let entry = journal[offset]
      if let record = try ShareStateRecord.decode(key: entry.key, value: entry.value) {
        fresh.replay(record, at: Int64(offset), producerId: entry.producerId)
      }
    }
    return fresh
  }
}

extension ShareStateShard {
  var snapshots: [ShareStateKey: ShareSnapshot] { states.mapValues(\.snapshot) }
}

@Suite struct ShareStateShardTests {
  @Test func `what was written is read, and again after a restart`() throws {
    var stage = ShareStateStage()
    #expect(try stage.initialize() == .none)
    #expect(try stage.write([ShareStateBatch(3, 9, .acknowledged, 1)]) == .none)
    #expect(try stage.write([ShareStateBatch(0, 4, .available, 1)], start: 0) == .none)
    #expect(try stage.write([ShareStateBatch(5, 5, .archived, 2)], start: 2) == .none)
    let expected = [
      ShareStateBatch(2, 2, .available, 1), ShareStateBatch(3, 4, .acknowledged, 1),
      ShareStateBatch(5, 5, .archived, 2),
      ShareStateBatch(6, 9, .acknowledged, 1),
    ]
    let read = try stage.read(leaderEpoch: 0)
    #expect(read == .success(PersistedShareState(stateEpoch: 1, startOffset: 2, batches: expected)))
    #expect(try stage.replayed().snapshots == stage.shard.snapshots)
  }

  @Test func `a share-partition has to be initialized before it is read or written`() throws {
    var stage = ShareStateStage()
    #expect(try stage.write([]) == .invalidRequest)
    let read = try stage.read(leaderEpoch: 0)
    #expect(read == .failure(.notInitialized))
    #expect(stage.shard.summary(stage.key) == .uninitialized)
    #expect(stage.records.isEmpty)
  }

  @Test func `a leader that was overtaken is fenced, in writing and in reading`() throws {
    var stage = ShareStateStage()
    #expect(try stage.initialize() == .none)
    #expect(try stage.read(leaderEpoch: 5) == .success(.init(stateEpoch: 1, startOffset: 0, batches: [])))
    #expect(try stage.write([], leaderEpoch: 4) == .fencedLeaderEpoch)
    #expect(try stage.read(leaderEpoch: 4) == .failure(.fencedLeaderEpoch))
    #expect(try stage.write([], leaderEpoch: 5) == .none)
    #expect(try stage.replayed().summary(stage.key).leaderEpoch == 5)
  }

  @Test func `initializing anew forgets the records and fences writers of before`() throws {
    var stage = ShareStateStage()
    #expect(try stage.initialize(stateEpoch: 1) == .none)
    #expect(try stage.write([ShareStateBatch(0, 9, .acknowledged, 1)]) == .none)
    #expect(try stage.initialize(stateEpoch: 2, startOffset: 4) == .none)
    #expect(try stage.write([], stateEpoch: 1) == .fencedStateEpoch)
    #expect(try stage.initialize(stateEpoch: 1) == .fencedStateEpoch)
    #expect(try stage.read(leaderEpoch: 0) == .success(.init(stateEpoch: 2, startOffset: 4, batches: [])))
    #expect(try stage.replayed().snapshots == stage.shard.snapshots)
  }

  @Test func `after so many updates there is a snapshot, and the journal before it is not needed`() throws {
    var stage = ShareStateStage(updatesPerSnapshot: 3)
    #expect(try stage.initialize() == .none)
    for offset in Int64(0)..<9 {
      #expect(try stage.write([ShareStateBatch(offset, offset, .acknowledged, 1)]) == .none)
    }
    let snapshots = stage.records.indices.filter { if case .snapshot = stage.records[$0] { true } else { false } }
    #expect(snapshots == [0, 4, 8])
    #expect(stage.shard.prunableBelow == 8)
    #expect(try stage.replayed(from: 8).snapshots == stage.shard.snapshots)
  }

  @Test func `the journal is needed from the oldest snapshot that is the last of its share-partition`() throws {
    var stage = ShareStateStage(updatesPerSnapshot: 1)
    var other = stage.key
    other.partition = 1
    #expect(try stage.initialize() == .none)
    #expect(try stage.initialize(other) == .none)
    for _ in 0..<6 { #expect(try stage.write([]) == .none) }
    #expect(stage.shard.prunableBelow == 1)
    stage.now.wallMs += 300_000
    let cold = stage.shard.snapshotCold(now: stage.now)
    try stage.append(cold)
    #expect(try #require(stage.shard.prunableBelow) > 6)
    #expect(stage.shard.snapshotCold(now: stage.now).isEmpty)
    let pruned = try stage.replayed(from: try #require(stage.shard.prunableBelow))
    #expect(pruned.snapshots == stage.shard.snapshots)
  }

  @Test func `deleted state is gone, deleting twice is well, and topics take their state along`() throws {
    var stage = ShareStateStage()
    #expect(try stage.initialize() == .none)
    let (error, records) = stage.shard.delete(stage.key)
    #expect(error == .none)
    try stage.append(records)
    #expect(stage.shard.delete(stage.key).records.isEmpty)
    #expect(try stage.write([]) == .invalidRequest)
    #expect(try stage.initialize() == .none)
    let gone = stage.shard.delete(topics: [stage.key.topicId])
    try stage.append(gone)
    #expect(try stage.replayed().states.isEmpty)
  }

  @Test func `a write in a transaction takes effect when that commits, and never when it aborts`() throws {
    var stage = ShareStateStage(updatesPerSnapshot: 2)
    #expect(try stage.initialize() == .none)
    #expect(try stage.write([ShareStateBatch(0, 1, .archiving, 1)]) == .none)
    let write = ShareStateWrite(
      stateEpoch: 1, leaderEpoch: 0, startOffset: 0, deliveryCompleteCount: 1,
      batches: [ShareStateBatch(0, 0, .archived, 1)])
    let record = try stage.shard.transactionalWrite(stage.key, write).get()
    try stage.appendInTransaction(record, producerId: 7)
    try stage.appendInTransaction(try stage.shard.transactionalWrite(stage.key, write).get(), producerId: 8)
    stage.end(producerId: 8, isCommit: false)
    #expect(stage.shard.states[stage.key]?.snapshot.batches.first?.state == .archiving)
    for offset in Int64(10)..<16 {
      #expect(try stage.write([ShareStateBatch(offset, offset, .acknowledged, 1)]) == .none)
    }
    // The snapshots do not have it, so it is needed still.
    #expect(stage.shard.prunableBelow == 2)
    stage.end(producerId: 7, isCommit: true)
    #expect(stage.shard.states[stage.key]?.snapshot.batches.first == ShareStateBatch(0, 0, .archived, 1))
    #expect(stage.shard.prunableBelow == 2)
    #expect(try stage.replayed(from: 2).snapshots[stage.key] == stage.shard.snapshots[stage.key])
    for _ in 0..<3 { #expect(try stage.write([]) == .none) }
    let needed = try #require(stage.shard.prunableBelow)
    #expect(needed > 2)
    #expect(try stage.replayed(from: needed).snapshots == stage.shard.snapshots)
  }

  @Test func `numbers out of all bounds are refused`() throws {
    var stage = ShareStateStage()
    var bad = stage.key
    bad.partition = -1
    #expect(try stage.initialize(bad) == .invalidRequest)
    #expect(try stage.initialize(startOffset: .min) == .invalidRequest)
    #expect(try stage.initialize() == .none)
    #expect(try stage.write([], start: .min) == .invalidRequest)
    #expect(try stage.write([], stateEpoch: .min) == .fencedStateEpoch)
    let extreme = WriteShareGroupStateRequest.StateBatch(
      firstOffset: .min, lastOffset: .max, deliveryState: 77, deliveryCount: .min)
    #expect(ShareStateBatch(extreme) == nil)
    #expect(ShareStateBatch(WriteShareGroupStateRequest.StateBatch(firstOffset: 5, lastOffset: 4)) == nil)
  }
}
