import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `Transactions over the wire` {
  private func broker(_ settings: [String: String] = [:]) async throws -> GroupBroker {
    let broker = try GroupBroker(
      settings.merging([
        "transaction.state.log.num.partitions": "4", "add.partitions.to.txn.retry.backoff.max.ms": "30000",
      ]) { given, _ in given })
    try await broker.makeTopic("orders")
    return broker
  }

  // MARK: Transaction version 2

  @Test func `a producer of version 2 writes, commits and goes on without adding partitions`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    for round in 0..<5 {
      #expect(try await client.produce("a\(round)") == .none)
      #expect(try await client.produce("b\(round)", version: 13) == .none)
      let open = try await broker.read()
      #expect(open.values.count == 2 * round && open.lastStableOffset == Int64(3 * round))
      #expect(try await client.end(commit: true) == .none)
      #expect(client.epoch == Int16(round + 1))
    }
    try await eventually { try await broker.read().values.count == 10 }
    #expect(try await broker.read().lastStableOffset == 15)
    #expect(try await client.state() == "CompleteCommit")
  }

  @Test func `what was aborted is named to who reads what is committed`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    for (value, commits) in [("a", false), ("b", true), ("c", false), ("d", false), ("e", true)] {
      #expect(try await client.produce(value) == .none)
      #expect(try await client.end(commit: commits) == .none)
    }
    try await eventually { try await broker.read().lastStableOffset == 10 }
    let committed = try await broker.read()
    #expect(committed.values == ["b", "e"])
    #expect(committed.aborted?.map(\.firstOffset).sorted() == [0, 4, 6])
    let all = try await broker.read(committed: false)
    #expect(all.values == ["a", "b", "c", "d", "e"] && all.aborted == nil)
  }

  @Test func `records of the epoch before are refused after the end`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a") == .none)
    var late = client
    #expect(try await client.end(commit: true) == .none)
    #expect(try await client.produce("b") == .none)
    #expect(try await late.produce("late") == .invalidProducerEpoch)
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await broker.read().values == ["a", "b"] }
  }

  @Test func `requests sent at once stay in order while the coordinator is asked`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    for _ in 0..<10 {
      var pending: [PendingAnswer<ProduceRequest>] = []
      for sequence in 0..<5 {
        pending.append(
          try broker.begin(
            try client.produceRequest("\(sequence)", sequence: Int32(sequence), version: 12), version: 12))
      }
      for answer in pending {
        #expect(try await answer.answer().responses[0].partitionResponses[0].errorCode.code == .none)
      }
      #expect(try await client.end(commit: true) == .none)
    }
    try await eventually { try await broker.read().values.count == 50 }
    #expect(try await broker.read().values == Array(repeating: ["0", "1", "2", "3", "4"], count: 10).flatMap { $0 })
  }

  // MARK: Before version 2

  @Test func `an older producer has to add the partition, in a code that its version knows`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("x", version: 10) == .invalidTxnState)
    #expect(try await client.produce("x", version: 11) == .transactionAbortable)
    #expect(try await client.addPartition() == .none)
    #expect(try await client.produce("a", version: 11) == .none)
    #expect(try await client.end(commit: true, version: 4) == .none)
    try await eventually { try await client.state() == "CompleteCommit" }
    #expect(try await client.produce("late", version: 11) == .transactionAbortable, "the transaction is over")
    #expect(client.epoch == 0)
    #expect(try await client.addPartition() == .none)
    #expect(try await client.produce("b", version: 9) == .none)
    #expect(try await client.end(commit: true, version: 4) == .none)
    try await eventually { try await broker.read().values == ["a", "b"] }
  }

  @Test func `verification can be switched off for older producers`() async throws {
    let broker = try await broker(["transaction.partition.verification.enable": "false"])
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("a", version: 11) == .none)
  }

  @Test func `all partitions are added or none is`() async throws {
    let broker = try await broker()
    let client = try await TransactionClient.initialized(broker)
    let request = AddPartitionsToTxnRequest(
      v3AndBelowTransactionalId: "tx", v3AndBelowProducerId: client.producerId,
      v3AndBelowProducerEpoch: client.epoch,
      v3AndBelowTopics: [
        .init(name: "orders", partitions: [0, 9]), .init(name: "nowhere", partitions: [0]),
        .init(name: "__transaction_state", partitions: [0]),
      ])
    let results = try await broker.send(request, version: 3).resultsByTopicV3AndBelow
    #expect(
      results.flatMap(\.resultsByPartition).map(\.partitionErrorCode.code) == [
        .operationNotAttempted, .unknownTopicOrPartition, .unknownTopicOrPartition, .topicAuthorizationFailed,
      ])
    #expect(try await client.state() == "Empty")
    let batched = AddPartitionsToTxnRequest(transactions: [
      .init(
        transactionalId: "tx", producerId: client.producerId, producerEpoch: client.epoch, verifyOnly: true,
        topics: [.init(name: "orders", partitions: [0])]),
      .init(
        transactionalId: "tx2", producerId: 1, producerEpoch: 0, topics: [.init(name: "orders", partitions: [0])]),
    ])
    let answers = try await broker.send(batched, version: 5).resultsByTransaction
    #expect(answers.map(\.transactionalId) == ["tx", "tx2"])
    #expect(
      answers.map { $0.topicResults[0].resultsByPartition[0].partitionErrorCode.code } == [
        .transactionAbortable, .invalidProducerIdMapping,
      ])
  }

  @Test func `old versions are told of fencing by the code they know`() async throws {
    let broker = try await broker()
    var zombie = try await TransactionClient.initialized(broker)
    _ = try await TransactionClient.initialized(broker)
    #expect(try await zombie.addPartition(version: 1) == .invalidProducerEpoch)
    #expect(try await zombie.addPartition(version: 2) == .producerFenced)
    #expect(try await zombie.end(commit: true, version: 1) == .invalidProducerEpoch)
    #expect(try await zombie.end(commit: true, version: 2) == .producerFenced)
    #expect(try await zombie.produce("x") == .invalidProducerEpoch)
  }

  // MARK: Refusals

  @Test func `a transactional batch needs a transactional id`() async throws {
    let broker = try await broker()
    let client = try await TransactionClient.initialized(broker)
    let request = try client.produceRequest("x", sequence: 0, version: 12, hasTransactionalId: false)
    let answer = try await broker.send(request, version: 12).responses[0].partitionResponses[0]
    #expect(answer.errorCode.code == .transactionalIdAuthorizationFailed)
    #expect(try await broker.read(committed: false).values == [])
  }

  @Test func `without a coordinator everything is sent to look for one`() async throws {
    let broker = try await broker()
    var client = TransactionClient(broker: broker, producerId: 1, epoch: 0)
    #expect(try await client.end(commit: true) == .notCoordinator)
    #expect(try await client.addPartition() == .notCoordinator)
    #expect(try await client.produce("x") == .notEnoughReplicas)
    #expect(
      try await broker.send(InitProducerIdRequest(transactionalId: "tx", transactionTimeoutMs: 1)).errorCode.code
        == .notCoordinator)
  }

  // MARK: Offsets in transactions

  @Test func `offsets are committed with the transaction, in both versions`() async throws {
    let broker = try await broker()
    let group = GroupClient(broker: broker)
    #expect(try await group.findCoordinator().errorCode == 0)
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.commitOffset(1, version: 4) == .transactionAbortable)
    #expect(try await client.commitOffset(1, version: 3) == .invalidTxnState)
    for (offset, version, commits) in [(10, 5, true), (20, 5, false), (30, 4, true), (40, 3, false)] {
      if version < 5 {
        let request = AddOffsetsToTxnRequest(
          transactionalId: "tx", producerId: client.producerId, producerEpoch: client.epoch, groupId: "g")
        #expect(try await broker.send(request).errorCode.code == .none)
      }
      let before = try await group.committed()
      #expect(try await client.commitOffset(Int64(offset), version: Int16(version)) == .none)
      #expect(try await group.committed() == before)
      #expect(try await stableError(broker) == .unstableOffsetCommit)
      #expect(try await client.end(commit: commits, version: version < 5 ? 4 : 5) == .none)
      try await eventually { try await stableError(broker) == .none }
      #expect(try await group.committed() == (commits ? Int64(offset) : before))
    }
  }

  @Test func `offsets in an open transaction outlive a restart and a crash, and count when it ends`() async throws {
    let broker = try await broker()
    let group = GroupClient(broker: broker)
    #expect(try await group.findCoordinator().errorCode == 0)
    var client = try await TransactionClient.initialized(broker)
    #expect(try await group.commit(3) == .none)
    #expect(try await client.commitOffset(10) == .none)
    for crashes in [true, false] {
      if crashes { try broker.crashAndStart() } else { try broker.restart() }
      try await eventually { (try? await group.committed()) == 3 }
      #expect(try await stableError(broker) == .unstableOffsetCommit)
      try await eventually { try await client.state() == "Ongoing" }
    }
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await stableError(broker) == .none }
    #expect(try await group.committed() == 10)
    try broker.crashAndStart()
    try await eventually { (try? await group.committed()) == 10 }
  }

  private func stableError(_ broker: GroupBroker) async throws -> ErrorCode {
    var request = GroupClient(broker: broker).fetchRequest()
    request.requireStable = true
    let group = try await broker.send(request, version: 9).groups[0]
    if group.errorCode != 0 { return group.errorCode.code }
    return group.topics[0].partitions[0].errorCode.code
  }

  @Test func `a fenced producer commits no offsets, and the group lives on`() async throws {
    let broker = try await broker()
    let group = GroupClient(broker: broker)
    #expect(try await group.findCoordinator().errorCode == 0)
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.commitOffset(10) == .none)
    let late = client
    #expect(try await client.end(commit: true) == .none)
    try await eventually { try await client.state() == "CompleteCommit" }
    #expect(try await late.commitOffset(11) == .invalidProducerEpoch)
    #expect(try await group.committed() == 10)
    #expect(try await group.commit(12) == .none)
  }

  // MARK: Looking on

  @Test func `transactions and producers are described and listed`() async throws {
    let broker = try await broker()
    var client = try await TransactionClient.initialized(broker)
    _ = try await TransactionClient.initialized(broker, "idle")
    #expect(try await client.produce("a") == .none)
    let described = try await broker.send(DescribeTransactionsRequest(transactionalIds: ["tx", "nobody", "tx"]))
      .transactionStates
    #expect(described.map(\.transactionState) == ["Ongoing", ""])
    #expect(described[1].errorCode.code == .transactionalIdNotFound)
    #expect(described[0].topics.map(\.topic) == ["orders"] && described[0].topics[0].partitions == [0])
    let open = try await broker.send(ListTransactionsRequest(stateFilters: ["Ongoing", "Odd"]), version: 1)
    #expect(open.transactionStates.map(\.transactionalId) == ["tx"] && open.unknownStateFilters == ["Odd"])
    let all = try await broker.send(ListTransactionsRequest(), version: 0).transactionStates
    #expect(all.map(\.transactionalId).sorted() == ["idle", "tx"])
    for (pattern, ids) in [("t.", ["tx"]), ("t", []), ("", ["idle", "tx"]), ("(?i)[A-J]+d.e|none", ["idle"])] {
      let request = ListTransactionsRequest(transactionalIdPattern: pattern)
      let matching = try await broker.send(request, version: 2).transactionStates
      #expect(matching.map(\.transactionalId).sorted() == ids, "\(pattern)")
    }
    let invalid = try await broker.send(ListTransactionsRequest(transactionalIdPattern: "(t"), version: 2)
    #expect(invalid.errorCode.code == .invalidRegularExpression && invalid.transactionStates.isEmpty)
    let request = DescribeProducersRequest(topics: [
      .init(name: "orders", partitionIndexes: [0, 9, 0]), .init(name: "no/name", partitionIndexes: [0]),
    ])
    let producers = try await broker.send(request).topics
    #expect(producers[0].partitions[0].activeProducers.map(\.producerId) == [client.producerId])
    #expect(producers[0].partitions[0].activeProducers[0].currentTxnStartOffset == 0)
    #expect(producers[0].partitions[1].errorCode.code == .unknownTopicOrPartition && producers[0].partitions.count == 2)
    #expect(producers[1].partitions[0].errorCode.code == .invalidTopicException)
  }

  @Test func `an administrator's marker ends a transaction in one partition`() async throws {
    let broker = try await broker(["transaction.partition.verification.enable": "false"])
    var client = try await TransactionClient.initialized(broker)
    #expect(try await client.produce("hanging", version: 11) == .none, "the coordinator does not know of it")
    #expect(try await broker.read().lastStableOffset == 0)
    func write(coordinatorEpoch: Int32, epoch: Int16, version: Int16) async throws -> [ErrorCode] {
      let request = WriteTxnMarkersRequest(markers: [
        .init(
          producerId: client.producerId, producerEpoch: epoch, transactionResult: false,
          topics: [.init(name: "orders", partitionIndexes: [0]), .init(name: "nowhere", partitionIndexes: [0])],
          coordinatorEpoch: coordinatorEpoch, transactionVersion: version >= 2 ? 2 : 0)
      ])
      let answer = try await broker.send(request, version: version).markers[0]
      return answer.topics.flatMap(\.partitions).map(\.errorCode.code)
    }
    #expect(
      try await write(coordinatorEpoch: 0, epoch: 0, version: 2) == [.invalidProducerEpoch, .unknownTopicOrPartition])
    #expect(try await write(coordinatorEpoch: 5, epoch: 0, version: 1) == [.none, .unknownTopicOrPartition])
    #expect(try await broker.read().lastStableOffset == 2)
    #expect(try await broker.read().values == [])
    #expect(
      try await write(coordinatorEpoch: 4, epoch: 0, version: 1) == [
        .transactionCoordinatorFenced, .unknownTopicOrPartition,
      ])
  }
}
