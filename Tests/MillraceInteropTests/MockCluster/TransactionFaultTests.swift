// Transactions whose coordinators refuse, move and go away. The mock cluster has no markers: it is checked what is
// written, in which order, and what the producer says of it.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct TransactionFaultTests {
  private struct ChangedMind: Error {}

  /// Runs `body` with a producer whose coordinator is broker 1, of group "g" broker 2, and topic "t" led by broker 3.
  private func run(_ body: (MockCluster, TransactionalProducer) async throws -> Void) async throws {
    try await MockCluster.run { cluster in
      try await prepare(cluster)
      let producer = try await makeProducer(cluster)
      try await body(cluster, producer)
      await producer.close()
    }
  }

  private func prepare(_ cluster: MockCluster) async throws {
    try await cluster.create("t", leaders: [3])
    try await cluster.coordinate(.transaction("tx"), by: 1)
    try await cluster.coordinate(.group("g"), by: 2)
  }

  private func makeProducer(_ cluster: MockCluster) async throws -> TransactionalProducer {
    var configuration = ProducerConfiguration(cluster.client)
    configuration.linger = .milliseconds(1)
    return try await TransactionalProducer(configuration, transactionalId: "tx")
  }

  private func write(_ value: String, _ transaction: Transaction) async throws {
    try await transaction.enqueue(ProducerRecord(topic: "t", partition: 0, value: value))
  }

  private func commitOffset(_ transaction: Transaction) async throws {
    try await transaction.commit([TopicPartition("in", 0): OffsetAndMetadata(offset: 7)], ofGroup: "g")
  }

  private static let passing: [MockCluster.Fault] = [
    .error(.coordinatorLoadInProgress), .disconnect, .error(.notCoordinator), .error(.coordinatorNotAvailable),
  ]

  @Test func `a transaction comes through whatever passing error its coordinators answer`() async throws {
    try await MockCluster.run { cluster in
      try await prepare(cluster)
      let concurrent: [MockCluster.Fault] = [.error(.concurrentTransactions), .error(.concurrentTransactions)]
      let faults: [(ApiKey, Int32, [MockCluster.Fault])] = [
        (.initProducerId, 1, Self.passing + concurrent), (.addPartitionsToTxn, 1, Self.passing + concurrent),
        (.addOffsetsToTxn, 1, Self.passing + concurrent), (.txnOffsetCommit, 2, Self.passing),
        (.endTxn, 1, Self.passing + concurrent), (.produce, 3, [.disconnect, .error(.concurrentTransactions)]),
      ]
      for (api, broker, faults) in faults { try await cluster.inject(faults, into: api, at: broker) }
      let producer = try await makeProducer(cluster)
      for round in 0..<3 {
        try await producer.withTransaction { transaction in
          try await write("\(round)", transaction)
          try await commitOffset(transaction)
        }
      }
      await producer.close()
      for (api, broker, _) in faults { #expect(try await cluster.faultsLeft(in: api, at: broker) == 0, "\(api)") }
      #expect(try await cluster.contents(of: "t") == [0: ["0", "1", "2"]])
    }
  }

  @Test func `a transaction that is aborted is, whatever passing error the coordinator answers`() async throws {
    try await run { cluster, producer in
      try await cluster.inject(Self.passing + [.error(.concurrentTransactions)], into: .endTxn, at: 1)
      await #expect(throws: ChangedMind.self) {
        try await producer.withTransaction { transaction in
          _ = try await transaction.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
          throw ChangedMind()
        }
      }
      #expect(try await cluster.faultsLeft(in: .endTxn, at: 1) == 0)
      try await producer.withTransaction { try await write("b", $0) }
      #expect(try await cluster.contents(of: "t") == [0: ["a", "b"]])
    }
  }

  @Test func `a transaction goes on at its next coordinator`() async throws {
    try await run { cluster, producer in
      for round in Int32(0)..<4 {
        let next = (round + 1) % 2 + 1
        try await producer.withTransaction { transaction in
          _ = try await transaction.send(ProducerRecord(topic: "t", partition: 0, value: "\(round)a"))
          try await cluster.coordinate(.transaction("tx"), by: next)
          // The old one is still there at first, and then it is not.
          if round >= 2 { try await cluster.takeDown(3 - next) }
          try await cluster.coordinate(.group("g"), by: next)
          try await commitOffset(transaction)
          try await write("\(round)b", transaction)
        }
        try await cluster.bringUp(3 - next)
      }
      let expected = (0..<4).flatMap { ["\($0)a", "\($0)b"] }
      #expect(try await cluster.contents(of: "t") == [0: expected])
    }
  }

  @Test func `a transaction follows its partitions to other leaders`() async throws {
    try await run { cluster, producer in
      for round in Int32(0)..<6 {
        try await producer.withTransaction { transaction in
          try await write("\(round)a", transaction)
          try await cluster.lead("t", by: round % 3 + 1)
          try await write("\(round)b", transaction)
        }
      }
      let expected = (0..<6).flatMap { ["\($0)a", "\($0)b"] }
      #expect(try await cluster.contents(of: "t") == [0: expected])
    }
  }

  // MARK: Errors that do not pass

  @Test(arguments: [
    (ApiKey.endTxn, ErrorCode.producerFenced, KafkaError.Code.fenced),
    (.addPartitionsToTxn, .producerFenced, .fenced), (.addOffsetsToTxn, .invalidProducerEpoch, .fenced),
    (.endTxn, .invalidProducerEpoch, .fenced), (.addPartitionsToTxn, .invalidProducerIdMapping, .fenced),
    (.addPartitionsToTxn, .transactionalIdAuthorizationFailed, .broker),
    (.endTxn, .clusterAuthorizationFailed, .broker),
  ])
  func `a producer that may not go on says so, and says it again`(
    _ api: ApiKey, _ code: ErrorCode, _ kind: KafkaError.Code
  ) async throws {
    try await run { cluster, producer in
      try await cluster.inject(code, into: api, at: 1)
      for _ in 0..<2 {
        let error = await #expect(throws: KafkaError.self) {
          try await producer.withTransaction { transaction in
            try await write("a", transaction)
            try await commitOffset(transaction)
          }
        }
        #expect(error?.brokerCode == code)
        #expect(error?.code == kind)
        #expect(error?.isRetriable == false)
      }
    }
  }

  @Test(arguments: [
    (ApiKey.addPartitionsToTxn, Int32(1), ErrorCode.topicAuthorizationFailed),
    (.addOffsetsToTxn, 1, .groupAuthorizationFailed), (.txnOffsetCommit, 2, .groupAuthorizationFailed),
    (.txnOffsetCommit, 2, .illegalGeneration), (.produce, 3, .topicAuthorizationFailed),
    (.produce, 3, .messageTooLarge), (.produce, 3, .invalidProducerEpoch), (.produce, 3, .outOfOrderSequenceNumber),
    (.produce, 3, .unknownProducerId),
  ])
  func `a transaction that something did not work in is aborted, and the next one is not`(
    _ api: ApiKey, _ broker: Int32, _ code: ErrorCode
  ) async throws {
    try await run { cluster, producer in
      try await producer.withTransaction { try await write("a", $0) }
      try await cluster.inject(code, into: api, at: broker)
      let error = await #expect(throws: KafkaError.self) {
        try await producer.withTransaction { transaction in
          try await commitOffset(transaction)
          _ = try await transaction.send(ProducerRecord(topic: "t", partition: 0, value: "b"))
        }
      }
      #expect(error?.brokerCode == code)
      try await producer.withTransaction { transaction in
        try await write("c", transaction)
        try await commitOffset(transaction)
      }
      #expect(try await cluster.contents(of: "t") == [0: ["a", "c"]])
    }
  }

  @Test func `a transactional id that may not be used is an error at once`() async throws {
    try await MockCluster.run { cluster in
      try await prepare(cluster)
      try await cluster.inject(.transactionalIdAuthorizationFailed, into: .initProducerId, at: 1)
      let error = await #expect(throws: KafkaError.self) { _ = try await makeProducer(cluster) }
      #expect(error?.brokerCode == .transactionalIdAuthorizationFailed)
    }
  }
}
