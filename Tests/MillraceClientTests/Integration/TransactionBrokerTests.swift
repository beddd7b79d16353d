// Transactions against a real broker, in both versions of the protocol, over connections that break.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct TransactionBrokerTests {
  private struct Refused: Error {}

  private static let settings = ["transaction.state.log.num.partitions": "1"]

  /// Runs `body` against a broker on which transactions go by `version`.
  private func run(_ version: Int16, _ body: (TestCluster) async throws -> Void) async throws {
    try await TestCluster.run(Self.settings) { cluster in
      if version == 1 {
        let connection = try await Cluster.connect(cluster.client)
        defer { connection.close() }
        _ = try await connection.send(to: .controller) { _ in
          UpdateFeaturesRequest(featureUpdates: [
            .init(feature: TransactionState.Version.featureName, maxVersionLevel: version, upgradeType: 2)
          ])
        } failure: {
          .broker($0.errorCode, about: "the feature", detail: $0.errorMessage)
        }
      }
      try await body(cluster)
    }
  }

  private func producer(_ cluster: TestCluster, id: String = "tx") async throws -> TransactionalProducer {
    var configuration = ProducerConfiguration(cluster.client)
    configuration.linger = .milliseconds(1)
    return try await TransactionalProducer(configuration, transactionalId: id)
  }

  /// What a reader of committed records sees.
  private func committed(_ cluster: TestCluster, _ topic: String = "t") async throws -> [Int32: [String]] {
    var configuration = ConsumerConfiguration(cluster.client)
    configuration.stopAtEnd = true
    configuration.isolation = .readCommitted
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: [topic], from: .earliest)
    var values: [Int32: [String]] = [:]
    for try await record in consumer.records { values[record.partition, default: []].append(record.text) }
    await consumer.close()
    return values
  }

  private func write(_ transaction: Transaction, _ values: String..., to partition: Int32 = 0) async throws {
    for value in values {
      try await transaction.enqueue(
        ProducerRecord(topic: "t", partition: partition, value: ByteBuffer(string: value)))
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `committed transactions are seen whole, aborted ones not at all`(_ version: Int16) async throws {
    try await run(version) { cluster in
      try await cluster.create("t", partitions: 2)
      let producer = try await producer(cluster)
      for round in 0..<6 {
        do {
          try await producer.withTransaction { transaction in
            try await write(transaction, "\(round)a", "\(round)b")
            try await write(transaction, "\(round)c", to: 1)
            if round % 3 == 1 { throw Refused() }
            if round % 3 == 2 {
              _ = try await transaction.send(ProducerRecord(topic: "t", partition: 0, value: nil))
              throw Refused()
            }
          }
          #expect(round % 3 == 0)
        } catch is Refused {
          #expect(round % 3 != 0)
        }
      }
      await producer.close()
      #expect(try await committed(cluster) == [0: ["0a", "0b", "3a", "3b"], 1: ["0c", "3c"]])
      // The aborted ones that were written are there for those who want to see all.
      #expect(try await cluster.values(of: "t").filter { $0 == "nil" }.count == 2)
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `the version is the cluster's`(_ version: Int16) async throws {
    try await run(version) { cluster in
      let connection = try await Cluster.connect(cluster.client)
      let found = try await connection.transactionVersion(of: "tx")
      connection.close()
      #expect(found == (version == 1 ? .one : .two))
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `empty transactions, and what they return`(_ version: Int16) async throws {
    try await run(version) { cluster in
      try await cluster.create("t")
      let producer = try await producer(cluster)
      let answer = try await producer.withTransaction { _ in 42 }
      #expect(answer == 42)
      await #expect(throws: Refused.self) { try await producer.withTransaction { _ in throw Refused() } }
      try await producer.withTransaction { try await write($0, "a") }
      try await producer.withTransaction { try await $0.commit([:], ofGroup: "g") }
      await producer.close()
      #expect(try await committed(cluster) == [0: ["a"]])
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `offsets are committed with the records or not at all`(_ version: Int16) async throws {
    try await run(version) { cluster in
      try await cluster.create("in")
      try await cluster.create("t")
      try await cluster.fill("in", 30, batches: 6)
      let producer = try await producer(cluster)
      var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
      configuration.autoOffsetReset = .earliest
      configuration.autoCommitInterval = nil
      let partition = TopicPartition("in", 0)
      var seen = 0
      // Every second batch is refused once and comes again to the next member.
      for member in 0..<12 {
        let consumer = try await Consumer(configuration)
        try await consumer.subscribe(to: ["in"])
        var batches = consumer.batches.makeAsyncIterator()
        let batch = try #require(try await batches.next())
        do {
          try await producer.withTransaction { transaction in
            for record in batch { try await write(transaction, record.text) }
            try await transaction.commit(of: consumer)
            if member % 2 == 0 { throw Refused() }
          }
          seen += batch.recordCount
        } catch is Refused {}
        let offset = try await consumer.committed([partition])[partition]?.offset ?? 0
        #expect(offset == Int64(seen))
        await consumer.close()
      }
      await producer.close()
      #expect(seen == 30)
      #expect(try await committed(cluster) == [0: (0..<30).map { "\($0)" }])
    }
  }

  @Test func `a member that its group has left behind cannot commit`() async throws {
    try await run(2) { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 1)
      let producer = try await producer(cluster)
      var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
      configuration.autoOffsetReset = .earliest
      configuration.autoCommitInterval = nil
      let consumer = try await Consumer(configuration)
      try await consumer.subscribe(to: ["t"])
      var batches = consumer.batches.makeAsyncIterator()
      _ = try await batches.next()
      await consumer.close()
      let error = await #expect(throws: KafkaError.self) {
        try await producer.withTransaction { transaction in
          try await write(transaction, "never")
          try await transaction.commit([TopicPartition("t", 0): OffsetAndMetadata(offset: 1)], of: consumer)
        }
      }
      #expect(error?.brokerCode == .unknownMemberId)
      try await producer.withTransaction { try await write($0, "after") }
      await producer.close()
      #expect(try await committed(cluster) == [0: ["0", "after"]])
    }
  }

  @Test(arguments: [GroupProtocol.classic, .consumer])
  func `a member that lost a partition while it worked cannot commit what it had of it`(
    _ groupProtocol: GroupProtocol
  ) async throws {
    try await run(2) { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 1)
      let producer = try await producer(cluster)
      var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
      configuration.groupProtocol = groupProtocol
      configuration.autoOffsetReset = .earliest
      configuration.autoCommitInterval = nil
      configuration.heartbeatInterval = .milliseconds(50)
      configuration.sessionTimeout = .seconds(2)
      configuration.maxPollInterval = .seconds(2)
      let consumer = try await Consumer(configuration)
      try await consumer.subscribe(to: ["t"])
      var batches = consumer.batches.makeAsyncIterator()
      _ = try await batches.next()
      let error = await #expect(throws: KafkaError.self) {
        try await producer.withTransaction { transaction in
          try await write(transaction, "never")
          #expect(try await eventually { consumer.assignment.isEmpty })
          try await transaction.commit(of: consumer)
        }
      }
      #expect(error?.brokerCode == .unknownMemberId)
      await consumer.close()
      await producer.close()
      #expect(try await committed(cluster) == [0: ["0"]])
    }
  }

  @Test func `a consumer that commits periodically cannot commit in transactions`() async throws {
    try await run(2) { cluster in
      let producer = try await producer(cluster)
      let consumer = try await Consumer(ConsumerConfiguration(cluster.client, groupId: "g"))
      let error = await #expect(throws: KafkaError.self) {
        try await producer.withTransaction { try await $0.commit(of: consumer) }
      }
      #expect(error?.code == .invalidArgument)
      await consumer.close()
      await producer.close()
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `a zombie is fenced, and what it had open is aborted`(_ version: Int16) async throws {
    try await run(version) { cluster in
      try await cluster.create("t")
      let zombie = try await producer(cluster)
      try await zombie.withTransaction { try await write($0, "before") }
      let error = await #expect(throws: KafkaError.self) {
        try await zombie.withTransaction { transaction in
          _ = try await transaction.send(ProducerRecord(topic: "t", value: "open"))
          let heir = try await producer(cluster)
          try await heir.withTransaction { try await write($0, "heir") }
          await heir.close()
          try await write(transaction, "undead")
        }
      }
      #expect(error?.code == .fenced)
      let again = await #expect(throws: KafkaError.self) {
        try await zombie.withTransaction { try await write($0, "more") }
      }
      #expect(again?.code == .fenced)
      await zombie.close()
      #expect(try await committed(cluster) == [0: ["before", "heir"]])
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `a record that is refused aborts the transaction, and the next one is whole`(_ version: Int16) async throws {
    try await run(version) { cluster in
      try await cluster.create("t", configs: ["max.message.bytes": "1000"])
      let producer = try await producer(cluster)
      for round in 0..<3 {
        let error = await #expect(throws: KafkaError.self) {
          try await producer.withTransaction { transaction in
            _ = try await transaction.send(ProducerRecord(topic: "t", value: "small"))
            try await write(transaction, String(repeating: "x", count: 5000))
          }
        }
        #expect(error?.brokerCode == .messageTooLarge)
        try await producer.withTransaction { try await write($0, "\(round)") }
      }
      await producer.close()
      #expect(try await committed(cluster) == [0: ["0", "1", "2"]])
    }
  }

  @Test(arguments: [Int16(1), 2])
  func `transactions come through lost connections and a restart`(_ version: Int16) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    try await run(version) { cluster in
      try await cluster.create("t", partitions: 2)
      let producer = try await producer(cluster)
      let chaos = Task {
        var generator = SplitMix64(seed: seed)
        for round in 0..<12 {
          try await Task.sleep(for: .milliseconds(Int.random(in: 5...40, using: &generator)))
          if round == 6 { try await cluster.restart() } else { cluster.line.cut() }
        }
      }
      var expected: [Int32: [String]] = [:]
      for round in 0..<60 {
        do {
          try await producer.withTransaction { transaction in
            try await write(transaction, "\(round)a", "\(round)b")
            try await write(transaction, "\(round)c", to: 1)
            if round % 5 == 4 { throw Refused() }
          }
          expected[0, default: []] += ["\(round)a", "\(round)b"]
          expected[1, default: []] += ["\(round)c"]
        } catch is Refused {}
      }
      try await chaos.value
      await producer.close()
      #expect(try await committed(cluster) == expected, "seed \(seed)")
    }
  }

  @Test func `a transaction does not end while partitions are being announced, and afterwards none are`() async throws {
    try await run(1) { cluster in
      try await cluster.create("t")
      let connection = try await Cluster.connect(cluster.client)
      defer { connection.close() }
      let session = TransactionSession("tx", timeout: .seconds(60), connection)
      _ = try await session.prepare()
      try await session.begin()
      let done = Deferred<Void>()
      #expect(session.startAnnouncing(done))
      let events = Mutex<[String]>([])
      let end = Task {
        _ = try await session.commit()
        events.withLock { $0.append("ended") }
      }
      while !session.isEnding { try await Task.sleep(for: .milliseconds(1)) }
      #expect(!session.startAnnouncing(Deferred()))
      await #expect(throws: KafkaError.self) { try await session.announce([TopicPartition("t", 0)]) }
      events.withLock { $0.append("announced") }
      done.fulfil(.success(()))
      _ = await end.result
      #expect(events.withLock { $0.first } == "announced")
      #expect(!session.startAnnouncing(Deferred()))
    }
  }

  @Test func `a cancelled transaction is aborted`() async throws {
    try await run(2) { cluster in
      try await cluster.create("t")
      let producer = try await producer(cluster)
      let written = Deferred<Void>()
      let task = Task {
        try await producer.withTransaction { transaction in
          _ = try await transaction.send(ProducerRecord(topic: "t", value: "cancelled"))
          written.fulfil(.success(()))
          try await Task.sleep(for: .seconds(60))
        }
      }
      try await written.value()
      task.cancel()
      await #expect(throws: CancellationError.self) { try await task.value }
      try await producer.withTransaction { try await write($0, "next") }
      await producer.close()
      #expect(try await committed(cluster) == [0: ["next"]])
    }
  }

  @Test func `closing aborts what is open, and afterwards nothing begins`() async throws {
    try await run(2) { cluster in
      try await cluster.create("t")
      let producer = try await producer(cluster)
      let error = await #expect(throws: KafkaError.self) {
        try await producer.withTransaction { transaction in
          _ = try await transaction.send(ProducerRecord(topic: "t", value: "open"))
          await producer.close()
          try await write(transaction, "late")
        }
      }
      #expect(error?.code == .closed)
      let after = await #expect(throws: KafkaError.self) { try await producer.withTransaction { _ in } }
      #expect(after?.code == .closed)
      #expect(try await committed(cluster) == [:])
    }
  }

  @Test func `a second transaction at a time is refused, and the first goes on`() async throws {
    try await run(2) { cluster in
      try await cluster.create("t")
      let producer = try await producer(cluster)
      try await producer.withTransaction { transaction in
        let error = await #expect(throws: KafkaError.self) { try await producer.withTransaction { _ in } }
        #expect(error?.code == .invalidArgument)
        try await write(transaction, "first")
      }
      await producer.close()
      #expect(try await committed(cluster) == [0: ["first"]])
    }
  }

  @Test func `a transaction that takes too long is aborted by the coordinator`() async throws {
    try await TestCluster.run(
      Self.settings.merging(["transaction.abort.timed.out.transaction.cleanup.interval.ms": "50"]) { $1 }
    ) { cluster in
      try await cluster.create("t")
      let admin = try await Admin(cluster.client)
      let producer = try await TransactionalProducer(
        ProducerConfiguration(cluster.client), transactionalId: "tx", transactionTimeout: .seconds(5))
      let error = await #expect(throws: KafkaError.self) {
        try await producer.withTransaction { transaction in
          _ = try await transaction.send(ProducerRecord(topic: "t", value: "slow"))
          let isAborted = try await eventually {
            try await admin.describeTransactions(["tx"])["tx"]?.get().state == "CompleteAbort"
          }
          #expect(isAborted)
        }
      }
      await admin.close()
      // By then the coordinator has raised the epoch, which looks like a commit that comes again after an abort.
      #expect(error?.brokerCode == .invalidTxnState)
      let after = await #expect(throws: KafkaError.self) { try await producer.withTransaction { _ in } }
      #expect(after?.brokerCode == .invalidTxnState)
      await producer.close()
      #expect(try await committed(cluster) == [:])
    }
  }

  @Test func `a configuration without idempotence is refused`() async throws {
    var configuration = ProducerConfiguration(ClientConfiguration(bootstrapServers: []))
    configuration.acks = .leader
    let error = await #expect(throws: KafkaError.self) {
      _ = try await TransactionalProducer(configuration, transactionalId: "tx")
    }
    #expect(error?.code == .configuration)
  }
}
