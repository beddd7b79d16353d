import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `The transaction coordinator's runtime` {
  private func broker(_ settings: [String: String] = [:]) async throws -> GroupBroker {
    let broker = try GroupBroker(
      settings.merging([
        "transaction.state.log.num.partitions": "2", "add.partitions.to.txn.retry.backoff.max.ms": "30000",
      ]) { given, _ in given })
    try await broker.makeTopic("orders")
    return broker
  }

  @Test func `no outcome is written before the decision is durable`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a") == .none)
    let log = try #require(broker.broker.topics.topic(named: "orders")?.partition(0)).log
    let end = log.offsets.logEndOffset
    broker.disk.trouble.withLock { $0 = .init(path: "__transaction_state", holdsFlushes: true) }
    let request = EndTxnRequest(
      transactionalId: "tx", producerId: client.producerId, producerEpoch: client.epoch, committed: true)
    let pending = try broker.begin(request, version: 5)
    try await Task.sleep(for: .milliseconds(100))
    #expect(!pending.isAnswered)
    #expect(log.offsets.logEndOffset == end)
    broker.disk.trouble.withLock { $0.holdsFlushes = false }
    #expect(try await pending.answer().errorCode.code == .none)
    try await eventually { log.offsets.logEndOffset == end + 1 }
  }

  @Test func `a decision outlives a crash before its markers, whatever it was`() async throws {
    for commits in [true, false] {
      let broker = try await broker()
      var client = try await TransactionClient.initialized(broker)
      #expect(try await client.produce("a") == .none)
      // The marker may reach the file, but never the disk.
      broker.disk.trouble.withLock { $0 = .init(path: "/orders-", isFull: true) }
      #expect(try await client.end(commit: commits) == .none)
      try await Task.sleep(for: .milliseconds(50))
      #expect(try await client.state() == (commits ? "PrepareCommit" : "PrepareAbort"))
      broker.disk.trouble.withLock { $0 = .init() }
      try broker.crashAndStart()
      try await eventually { try await client.state() == (commits ? "CompleteCommit" : "CompleteAbort") }
      #expect(try await broker.read().values == (commits ? ["a"] : []))
      #expect(try await client.produce("b") == .none)
      #expect(try await client.end(commit: true) == .none)
      try await eventually { try await broker.read().values == (commits ? ["a", "b"] : ["b"]) }
    }
  }

  @Test func `a partition that is full takes its marker when there is room again`() async throws {
    let broker = try await broker(["add.partitions.to.txn.retry.backoff.max.ms": "50"])
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a") == .none)
    broker.disk.trouble.withLock { $0 = .init(path: "/orders-", isFull: true) }
    #expect(try await client.end(commit: true) == .none)
    try await Task.sleep(for: .milliseconds(50))
    #expect(try await client.state() == "PrepareCommit")
    #expect(try await client.addPartition() == .concurrentTransactions)
    broker.disk.trouble.withLock { $0 = .init() }
    try await eventually { try await client.state() == "CompleteCommit" }
    #expect(try await broker.read().values == ["a"])
  }

  @Test func `a coordinator epoch from elsewhere does not keep outcomes out of the partition`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a") == .none)
    let foreign = WriteTxnMarkersRequest(markers: [
      .init(
        producerId: client.producerId, producerEpoch: client.epoch, transactionResult: false,
        topics: [.init(name: "orders", partitionIndexes: [0])], coordinatorEpoch: 5)
    ])
    #expect(try await broker.send(foreign, version: 1).markers[0].topics[0].partitions[0].errorCode == 0)
    #expect(try await client.end(commit: true) == .none)
    #expect(try await client.produce("b") == .none)
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await broker.read().values == ["b"] }
  }

  @Test func `a topic that is deleted in the middle does not hold up the outcome`() async throws {
    let broker = try await broker()
    try await broker.makeTopic("gone")
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a") == .none)
    var other = client
    other.sequence = 0
    #expect(try await other.produce("b", to: "gone") == .none)
    try await broker.deleteTopic("gone")
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await client.state() == "CompleteCommit" }
    #expect(try await broker.read().values == ["a"])
  }

  @Test func `a transaction left open is aborted by the clock`() async throws {
    let broker = try await broker(["transaction.abort.timed.out.transaction.cleanup.interval.ms": "20"])
    var client = try await TransactionClient.initialized(broker, timeoutMs: 3000)
    #expect(try await client.produce("never") == .none)
    try await eventually { try await broker.read().lastStableOffset == 2 }
    #expect(try await broker.read().values == [])
    #expect(try await client.produce("late") == .invalidProducerEpoch)
    #expect(try await client.end(commit: true) == .invalidTxnState)
    try await client.initialize(timeoutMs: 60_000)
    #expect(try await client.produce("again") == .none)
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await broker.read().values == ["again"] }
  }

  @Test func `a new producer aborts what the one before left open, over a restart`() async throws {
    let broker = try await broker()
    var zombie = try await TransactionClient.initialized(broker)
    #expect(try await zombie.produce("zombie") == .none)
    try broker.restart()
    var client = try await TransactionClient.initialized(broker)
    #expect(client.producerId == zombie.producerId && client.epoch == zombie.epoch + 2)
    #expect(try await zombie.end(commit: true) == .producerFenced)
    #expect(try await client.produce("a") == .none)
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await broker.read().values == ["a"] }
  }

  @Test func `when the journal cannot be flushed nobody is told of a commit`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a") == .none)
    broker.disk.trouble.withLock { $0 = .init(path: "__transaction_state", failsFlushes: true) }
    #expect(try await client.end(commit: true) == .notCoordinator)
    #expect(try await broker.read().lastStableOffset == 0)
    broker.disk.trouble.withLock { $0 = .init() }
    try broker.crashAndStart()
    // Decided or not: what the log says after the crash is what counts, and the transaction can be ended.
    try await eventually { !(try await client.state()).isEmpty }
    try await client.initialize()
    try await eventually { try await broker.read().lastStableOffset == 2 }
  }

  @Test func `idle ids are forgotten`() async throws {
    let broker = try await broker([
      "transactional.id.expiration.ms": "50", "transaction.remove.expired.transaction.cleanup.interval.ms": "20",
    ])
    let client = try await TransactionClient.initialized(broker)
    try await eventually { try await client.state() == "" }
    #expect(try await client.addPartition() == .invalidProducerIdMapping)
  }
}
