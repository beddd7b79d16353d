// The producer against brokers that refuse, fall silent, move leaders and go away.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite struct ProducerFaultTests {
  /// How a producer keeps order. The mock cluster looks at sequences in transactions only, so without one it is up to
  /// the producer not to have two requests on their way.
  enum Mode: CaseIterable {
    case oneInFlight
    case transactional
  }

  private func configuration(_ cluster: MockCluster, maxInFlight: Int = 1) -> ProducerConfiguration {
    var configuration = ProducerConfiguration(cluster.client)
    configuration.linger = .milliseconds(1)
    configuration.batchBytes = 200
    configuration.maxInFlight = maxInFlight
    return configuration
  }

  /// Runs `body` with a function that takes records `0`, `1`, … for partitions in turn, and a check of all in the end.
  private func produce(
    _ cluster: MockCluster, _ mode: Mode, partitions: Int32,
    _ body: ((_ count: Int) async throws -> Void, Reports) async throws -> Void
  ) async throws {
    let reports = Reports()
    var next = 0
    func enqueueAll(_ count: Int, _ enqueue: (ProducerRecord) async throws -> Void) async throws {
      for number in next..<(next + count) {
        let partition = Int32(number) % partitions
        try await enqueue(ProducerRecord(topic: "t", partition: partition, value: ByteBuffer(string: "\(number)")))
      }
      next += count
    }
    switch mode {
    case .oneInFlight:
      let producer = try await Producer(configuration(cluster), onDelivery: reports.take)
      try await body({ try await enqueueAll($0) { try await producer.enqueue($0) } }, reports)
      try await producer.flush()
      await producer.close()
    case .transactional:
      let producer = try await TransactionalProducer(
        configuration(cluster, maxInFlight: 5), transactionalId: "tx", onDelivery: reports.take)
      try await producer.withTransaction { transaction in
        try await body({ try await enqueueAll($0) { try await transaction.enqueue($0) } }, reports)
      }
      await producer.close()
    }
    #expect(reports.failures.isEmpty)
    #expect(reports.recordCount == next)
    let contents = try await cluster.contents(of: "t")
    for partition in 0..<partitions {
      let expected = stride(from: Int(partition), to: next, by: Int(partitions)).map { "\($0)" }
      #expect(contents[partition] == expected, "partition \(partition)")
    }
  }

  @Test(arguments: Mode.allCases)
  func `each record is written once and in order whatever passing error a broker answers`(_ mode: Mode) async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2, 3])
      let faults: [MockCluster.Fault] = [
        .error(.notLeaderOrFollower), .error(.requestTimedOut), .disconnect, .error(.notEnoughReplicas),
        .error(.leaderNotAvailable), .error(.kafkaStorageError), .disconnect, .disconnect,
        .error(.unknownTopicOrPartition), .error(.notEnoughReplicasAfterAppend), .error(.networkException),
        .error(.corruptMessage),
      ]
      for broker in MockCluster.brokerIds { try await cluster.inject(faults, into: .produce, at: broker) }
      try await produce(cluster, mode, partitions: 3) { enqueue, _ in try await enqueue(3000) }
      for broker in MockCluster.brokerIds {
        #expect(try await cluster.faultsLeft(in: .produce, at: broker) == 0, "broker \(broker)")
      }
    }
  }

  @Test(arguments: Mode.allCases)
  func `records follow their leaders while they are being sent`(_ mode: Mode) async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await produce(cluster, mode, partitions: 2) { enqueue, reports in
        for round in Int32(0)..<12 {
          let written = reports.recordCount
          try await enqueue(200)
          try await wait("records written in round \(round)") { reports.recordCount > written }
          // What is on its way to the old leader is refused there.
          try await cluster.lead("t", 0, by: (round + 1) % 3 + 1)
          try await cluster.lead("t", 1, by: (round + 2) % 3 + 1)
        }
      }
    }
  }

  @Test func `records wait for a partition that has no leader, and others do not`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await produce(cluster, .oneInFlight, partitions: 2) { enqueue, reports in
        try await enqueue(20)
        try await wait("the first records") { reports.recordCount == 20 }
        try await cluster.lead("t", 0, by: -1)
        try await enqueue(100)
        try await wait("those of the other partition") { reports.counts[1] == 60 }
        #expect(reports.counts[0] == 10)
        try await cluster.lead("t", 0, by: 3)
      }
    }
  }

  @Test func `records wait for a broker that is away`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await produce(cluster, .oneInFlight, partitions: 2) { enqueue, reports in
        for (round, broker) in [Int32(1), 2, 1].enumerated() {
          // The mock cluster would write what is on its way a second time.
          try await wait("what was there before") { reports.recordCount == 100 * round }
          try await cluster.takeDown(broker)
          try await enqueue(100)
          try await wait("those of the other partition") { reports.counts[2 - broker] == 50 * (round + 1) }
          #expect(reports.counts[broker - 1] ?? 0 == 50 * round)
          try await cluster.bringUp(broker)
        }
      }
    }
  }

  @Test func `records of a broker that is lost go to the next leader`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.coordinate(.transaction("tx"), by: 3)
      try await produce(cluster, .transactional, partitions: 1) { enqueue, reports in
        for broker in MockCluster.brokerIds {
          try await enqueue(20)
          try await wait("all so far") { reports.recordCount == 20 * Int(broker) }
          guard broker < 3 else { break }
          try await cluster.takeDown(broker)
          try await cluster.lead("t", by: broker + 1)
        }
      }
      for broker in MockCluster.brokerIds { try await cluster.bringUp(broker) }
    }
  }

  @Test func `a batch that was written without an answer is written once`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      var configuration = configuration(cluster)
      configuration.client.requestTimeout = .seconds(600)
      let reports = Reports()
      let producer = try await TransactionalProducer(configuration, transactionalId: "tx", onDelivery: reports.take)
      try await producer.withTransaction { transaction in
        for number in 0..<5 {
          try await cluster.inject([.silence], into: .produce, at: 1)
          try await transaction.enqueue(ProducerRecord(topic: "t", partition: 0, value: "\(number)"))
          try await wait("the record, unanswered") { try await cluster.contents(of: "t")[0]?.count == number + 1 }
          #expect(reports.recordCount == number)
          try await cluster.takeDown(1)
          try await cluster.bringUp(1)
          try await wait("its answer") { reports.recordCount == number + 1 }
        }
      }
      await producer.close()
      #expect(reports.failures.isEmpty)
      #expect(try await cluster.contents(of: "t") == [0: ["0", "1", "2", "3", "4"]])
    }
  }

  @Test func `a broker that does not answer in time is given up`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      var configuration = configuration(cluster)
      configuration.client.requestTimeout = .milliseconds(300)
      configuration.deliveryTimeout = .seconds(300)
      let producer = try await TransactionalProducer(configuration, transactionalId: "tx")
      try await cluster.inject([.silence, .silence], into: .produce, at: 1)
      try await producer.withTransaction { transaction in
        _ = try await transaction.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
      }
      await producer.close()
      #expect(try await cluster.faultsLeft(in: .produce, at: 1) == 0)
      #expect(try await cluster.contents(of: "t") == [0: ["a"]])
    }
  }

  // MARK: Errors that do not pass

  @Test(arguments: [ErrorCode.topicAuthorizationFailed, .messageTooLarge, .invalidRecord, .unsupportedForMessageFormat])
  func `a batch that is refused for good fails, and those behind it are written`(_ code: ErrorCode) async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      let producer = try await Producer(configuration(cluster))
      _ = try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
      try await cluster.inject(code, into: .produce, at: 1)
      let error = await #expect(throws: KafkaError.self) {
        try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "b"))
      }
      #expect(error?.brokerCode == code)
      #expect(error?.isRetriable == false)
      _ = try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "c"))
      await producer.close()
      #expect(try await cluster.contents(of: "t") == [0: ["a", "c"]])
    }
  }

  @Test(arguments: [ErrorCode.unknownProducerId, .invalidProducerEpoch, .invalidProducerIdMapping])
  func `a producer that the broker does not know any more begins anew and loses nothing`(
    _ code: ErrorCode
  ) async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await produce(cluster, .oneInFlight, partitions: 2) { enqueue, reports in
        try await enqueue(20)
        try await wait("the first records") { reports.recordCount == 20 }
        try await cluster.inject(code, code, into: .produce, at: 1)
        try await enqueue(200)
      }
      #expect(try await cluster.faultsLeft(in: .produce, at: 1) == 0)
    }
  }

  @Test func `a batch before which records are missing fails, and those behind it are written`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      let producer = try await Producer(configuration(cluster))
      _ = try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
      try await cluster.inject(.outOfOrderSequenceNumber, into: .produce, at: 1)
      let error = await #expect(throws: KafkaError.self) {
        try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "b"))
      }
      #expect(error?.brokerCode == .outOfOrderSequenceNumber)
      _ = try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "c"))
      await producer.close()
      #expect(try await cluster.contents(of: "t") == [0: ["a", "c"]])
    }
  }

  @Test func `a producer without a producer id waits for one, or says why it gets none`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      for broker in MockCluster.brokerIds {
        try await cluster.inject(
          [.error(.coordinatorLoadInProgress), .disconnect, .error(.coordinatorNotAvailable)], into: .initProducerId,
          at: broker)
      }
      let patient = try await Producer(configuration(cluster))
      _ = try await patient.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
      await patient.close()

      for broker in MockCluster.brokerIds {
        // Behind what the first has left of them.
        try await cluster.inject(.clusterAuthorizationFailed, into: .initProducerId, at: broker)
      }
      let refused = try await Producer(configuration(cluster))
      let error = await #expect(throws: KafkaError.self) {
        try await refused.send(ProducerRecord(topic: "t", partition: 0, value: "b"))
      }
      #expect(error?.brokerCode == .clusterAuthorizationFailed)
      await refused.close()
      #expect(try await cluster.contents(of: "t") == [0: ["a"]])
    }
  }

  @Test func `a topic that may not be written is an error at once`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.deny("t", .topicAuthorizationFailed)
      let producer = try await Producer(configuration(cluster))
      let error = await #expect(throws: KafkaError.self) {
        try await producer.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
      }
      #expect(error?.brokerCode == .topicAuthorizationFailed)
      await producer.close()
    }
  }

  @Test func `a topic that has no leader anywhere yet is waited for`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.deny("t", .leaderNotAvailable)
      let producer = try await Producer(configuration(cluster))
      async let written = producer.send(ProducerRecord(topic: "t", partition: 0, value: "a"))
      try await Task.sleep(for: .milliseconds(200))
      try await cluster.deny("t", .none)
      #expect(try await written.offset == 0)
      await producer.close()
    }
  }
}

/// What deliveries came.
final class Reports: Sendable {
  private let reports = Mutex<[DeliveryReport]>([])

  var take: @Sendable (DeliveryReport) -> Void { { report in self.reports.withLock { $0.append(report) } } }
  var failures: [KafkaError] { reports.withLock { $0.compactMap(\.error) } }
  /// How many records were written.
  var recordCount: Int { counts.values.reduce(0, +) }
  /// By partition.
  var counts: [Int32: Int] {
    reports.withLock { reports in
      reports.filter { $0.error == nil }.reduce(into: [:]) { $0[$1.partition, default: 0] += $1.recordCount }
    }
  }
}
