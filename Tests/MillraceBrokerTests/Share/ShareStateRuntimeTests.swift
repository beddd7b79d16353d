import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization
import Testing

@testable import MillraceBroker

@Suite struct `The share coordinator's runtime` {
  private func start(_ settings: [String: String] = [:]) async throws -> ShareStateClient {
    let broker = try GroupBroker(
      settings.merging(["share.coordinator.state.topic.num.partitions": "1"]) { given, _ in given })
    return ShareStateClient(broker: broker, topicId: try await broker.makeTopic("orders").id)
  }

  private func log(_ client: ShareStateClient) throws -> PartitionLog {
    try #require(client.broker.broker.topics.topic(named: ShareStateRuntime.topicName)?.partition(0)).log
  }

  @Test func `state lives through a crash with delivery counts and times`() async throws {
    let client = try await start(["share.coordinator.snapshot.update.records.per.snapshot": "3"])
    #expect(try await client.initialize() == .none)
    var expected: [ShareStateBatch] = []
    for offset in Int64(0)..<10 {
      var batch = ShareStateBatch.range(offset, offset, .available, Int16(offset % 4))
      batch.notBeforeMs = 1000 + offset
      expected.append(batch)
      #expect(try await client.write([batch]) == .none)
    }
    try client.broker.crashAndStart()
    try await eventually { (try? await client.batches()) == expected }
    #expect(try await client.write([.range(0, 9, .archived, 5)]) == .none)
    try client.broker.crashAndStart()
    try await eventually { (try? await client.batches()) == [.range(0, 9, .archived, 5)] }
    client.broker.stop()
  }

  @Test func `nothing is told before it is durable`() async throws {
    let client = try await start()
    #expect(try await client.initialize() == .none)
    client.broker.disk.trouble.withLock { $0 = .init(path: "__share_group_state", holdsFlushes: true) }
    let write = try client.broker.begin(client.writeRequest([.range(0, 0, .acknowledged, 1)]))
    let read = try client.broker.begin(
      ReadShareGroupStateRequest(
        groupId: "g", topics: [.init(topicId: client.topicId, partitions: [.init(partition: 0)])]))
    try await Task.sleep(for: .milliseconds(30))
    #expect(!write.isAnswered && !read.isAnswered)
    client.broker.disk.trouble.withLock { $0.holdsFlushes = false }
    #expect(try await write.answer().results[0].partitions[0].errorCode == 0)
    #expect(try await read.answer().results[0].partitions[0].stateBatches.count == 1)
    client.broker.stop()
  }

  @Test func `a full disk refuses what it cannot keep, and the state comes back once there is room`() async throws {
    let client = try await start()
    #expect(try await client.initialize() == .none)
    #expect(try await client.write([.range(0, 0, .acknowledged, 1)]) == .none)
    client.broker.disk.trouble.withLock { $0 = .init(path: "__share_group_state", isFull: true) }
    #expect(try await client.write([.range(1, 1, .acknowledged, 1)]) == .notCoordinator)
    #expect(try await client.read().errorCode.code == .notCoordinator)
    client.broker.disk.trouble.withLock { $0.isFull = false }
    try await eventually { (try? await client.batches()) == [.range(0, 0, .acknowledged, 1)] }
    client.broker.stop()
  }

  @Test func `while its journal is read a state says so`() async throws {
    let client = try await start()
    #expect(try await client.initialize() == .none)
    client.broker.stop()
    client.broker.disk.trouble.withLock { $0 = .init(path: "__share_group_state", holdsReads: true) }
    try client.broker.startAgain()
    #expect(try await client.read().errorCode.code == .coordinatorLoadInProgress)
    client.broker.disk.trouble.withLock { $0.holdsReads = false }
    try await eventually { try await client.read().errorCode.code == .none }
    client.broker.stop()
  }

  @Test func `the journal loses what snapshots have replaced, and a state that rests does not keep it`() async throws {
    let client = try await start([
      "share.coordinator.snapshot.update.records.per.snapshot": "5",
      "share.coordinator.state.topic.prune.interval.ms": "20",
      "share.coordinator.cold.partition.snapshot.interval.ms": "50",
    ])
    var resting = client
    resting.groupId = "rests"
    #expect(try await resting.initialize() == .none)
    #expect(try await resting.write([.range(0, 3, .archived, 5)]) == .none)
    #expect(try await client.initialize() == .none)
    let log = try log(client)
    var offset: Int64 = 0
    try await eventually {
      _ = try await client.write([.range(offset, offset, .acknowledged, 1)], startOffset: offset)
      offset += 1
      return log.offsets.logStartOffset > 20
    }
    try client.broker.crashAndStart()
    try await eventually { (try? await client.batches()) == [.range(offset - 1, offset - 1, .acknowledged, 1)] }
    #expect(try await resting.batches() == [.range(0, 3, .archived, 5)])
    client.broker.stop()
  }

  @Test func `the states of a topic go with it`() async throws {
    let client = try await start()
    let other = ShareStateClient(broker: client.broker, topicId: try await client.broker.makeTopic("bills").id)
    #expect(try await client.initialize() == .none)
    #expect(try await other.initialize() == .none)
    func states() -> Set<Uuid> {
      Set(client.broker.broker.shareState.shards[0].state.withLock { $0.shard.states.keys.map(\.topicId) })
    }
    try await client.broker.deleteTopic("orders")
    try await eventually { states() == [other.topicId] }
    // The coordinator does not hear of the next one.
    client.broker.broker.shareState.stop()
    try await client.broker.deleteTopic("bills")
    try client.broker.crashAndStart()
    try await eventually {
      client.broker.broker.shareState.shards[0].state.withLock { $0.phase.refusal == nil } && states().isEmpty
    }
    client.broker.stop()
  }

  // MARK: Transactions

  private func write(
    _ client: ShareStateClient, _ batches: [ShareStateBatch], producerId: Int64, leaderEpoch: Int32 = 0,
    ended: @escaping @Sendable (TransactionalWriteOutcome) -> Void = { _ in }
  ) async -> ErrorCode {
    let write = ShareStateWrite(
      stateEpoch: 1, leaderEpoch: leaderEpoch, startOffset: -1, deliveryCompleteCount: -1, batches: batches)
    let producer = Journal.Producer(id: producerId, epoch: 0, transaction: .unchecked)
    return await withCheckedContinuation { continuation in
      client.broker.broker.shareState.write(client.key, write, in: producer) {
        continuation.resume(returning: $0)
      } ended: {
        ended($0)
      }
    }
  }

  private func end(_ client: ShareStateClient, producerId: Int64, isCommit: Bool) async throws {
    let partition = try #require(client.broker.broker.shareState.journalPartition(of: client.key))
    let marker = TransactionMarker(
      producerId: producerId, producerEpoch: 0, isCommit: isCommit, coordinatorEpoch: 0, transactionVersion: 1)
    let result = await withCheckedContinuation { continuation in
      client.broker.broker.transactions.markers.append(marker, to: partition) { continuation.resume(returning: $0) }
    }
    try result.get()
  }

  @Test func `a write in a transaction counts when that is committed, also if the broker ends in between`() async throws
  {
    let client = try await start()
    #expect(try await client.initialize() == .none)
    // Not `archiving`: with that the broker would go on by itself.
    #expect(try await client.write([.range(0, 2, .available, 5)]) == .none)
    let outcomes = Mutex<[TransactionalWriteOutcome]>([])
    #expect(
      await write(client, [.range(0, 0, .archived, 5)], producerId: 7) { outcome in
        outcomes.withLock { $0.append(outcome) }
      } == .none)
    #expect(await write(client, [.range(1, 1, .archived, 5)], producerId: 8) == .none)
    // Nobody is told of a state that is about to change.
    #expect(try await client.read().errorCode.code == .coordinatorLoadInProgress)
    try await end(client, producerId: 7, isCommit: true)
    #expect(outcomes.withLock { $0 } == [.committed])

    try client.broker.crashAndStart()
    try await eventually { (try? await end(client, producerId: 8, isCommit: true)) != nil }
    #expect(try await client.batches().first == .range(0, 1, .archived, 5))
    client.broker.stop()
  }

  @Test func `a write in a transaction that is aborted never was, and one that is fenced is refused`() async throws {
    let client = try await start()
    #expect(try await client.initialize() == .none)
    let outcomes = Mutex<[TransactionalWriteOutcome]>([])
    let note = { @Sendable (outcome: TransactionalWriteOutcome) in outcomes.withLock { $0.append(outcome) } }
    #expect(await write(client, [.range(0, 0, .archived, 5)], producerId: 7, ended: note) == .none)
    try await end(client, producerId: 7, isCommit: false)
    #expect(try await client.batches().isEmpty)
    #expect(outcomes.withLock { $0 } == [.aborted])
    #expect(try await client.read(leaderEpoch: 5).errorCode.code == .none)
    #expect(await write(client, [.range(0, 0, .archived, 5)], producerId: 7, ended: note) == .fencedLeaderEpoch)
    // Of one whose end the coordinator does not live to see, only what is read next is true.
    #expect(await write(client, [.range(0, 0, .archived, 5)], producerId: 7, leaderEpoch: 5, ended: note) == .none)
    client.broker.stop()
    #expect(outcomes.withLock { $0 } == [.aborted, .unknown])
  }
}
