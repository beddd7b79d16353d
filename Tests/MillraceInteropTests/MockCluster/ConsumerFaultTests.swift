// The consumer against brokers that refuse, fall silent, move leaders and go away.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct ConsumerFaultTests {
  private func consumer(
    _ cluster: MockCluster, partitions: Int32 = 1, from start: StartPosition = .offset(0),
    _ change: (inout ConsumerConfiguration) -> Void = { _ in }
  ) async throws -> Consumer {
    var configuration = ConsumerConfiguration(cluster.client)
    configuration.fetchMaxWait = .milliseconds(20)
    // So little that a batch is asked for only when the one before was read, and no broker takes the others' room.
    configuration.maxPartitionFetchBytes = 1
    configuration.prefetchBytes = 4
    change(&configuration)
    let consumer = try await Consumer(configuration)
    try await consumer.assign(
      Dictionary(uniqueKeysWithValues: (0..<partitions).map { (TopicPartition("t", $0), start) }))
    return consumer
  }

  /// Reads so many records, calls `body` after each, and checks that each came once and in the order of its partition.
  private func read(
    _ count: Int, from consumer: Consumer, partitions: Int32 = 1,
    _ body: (_ read: [Int32: Int]) async throws -> Void = { _ in }
  ) async throws {
    var values: [Int32: [String]] = [:]
    var records = consumer.records.makeAsyncIterator()
    for _ in 0..<count {
      let record = try #require(try await records.next())
      values[record.partition, default: []].append(record.text)
      try await body(values.mapValues(\.count))
    }
    for partition in 0..<partitions {
      let expected = stride(from: Int(partition), to: count, by: Int(partitions)).map { "\($0)" }
      #expect(values[partition] == expected, "partition \(partition)")
    }
  }

  /// What reading one more record throws.
  private func failure(of consumer: Consumer) async -> KafkaError? {
    var records = consumer.records.makeAsyncIterator()
    do throws(KafkaError) {
      _ = try await records.next()
      return nil
    } catch {
      return error
    }
  }

  @Test func `reading follows the leaders`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await cluster.fill("t", 1000, partitions: 2)
      let consumer = try await consumer(cluster, partitions: 2)
      var count = 0
      try await read(1000, from: consumer, partitions: 2) { _ in
        count += 1
        guard count % 50 == 0 else { return }
        let broker = Int32(count / 50)
        try await cluster.lead("t", 0, by: broker % 3 + 1)
        try await cluster.lead("t", 1, by: (broker + 1) % 3 + 1)
      }
      await consumer.close()
    }
  }

  /// Up to version 6 an error is about one partition, afterwards about the whole answer.
  @Test(arguments: [Int16(6), 11])
  func `reading goes on after whatever passing error a broker answers`(_ version: Int16) async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.fetch, to: 4...version)
      try await cluster.create("t", leaders: [1, 2])
      try await cluster.fill("t", 1000, partitions: 2)
      let faults: [MockCluster.Fault] = [
        .error(.notLeaderOrFollower), .disconnect, .error(.unknownTopicOrPartition), .error(.leaderNotAvailable),
        .error(.replicaNotAvailable), .error(.kafkaStorageError), .disconnect, .disconnect,
        .error(.offsetNotAvailable), .error(.fencedLeaderEpoch), .error(.unknownLeaderEpoch),
        .error(.fetchSessionIdNotFound), .error(.invalidFetchSessionEpoch), .error(.requestTimedOut),
        .error(.corruptMessage),
      ]
      for broker in [Int32(1), 2] { try await cluster.inject(faults, into: .fetch, at: broker) }
      let consumer = try await consumer(cluster, partitions: 2)
      try await read(1000, from: consumer, partitions: 2)
      await consumer.close()
      for broker in [Int32(1), 2] {
        #expect(try await cluster.faultsLeft(in: .fetch, at: broker) == 0, "broker \(broker)")
      }
    }
  }

  @Test func `a server that failed over one partition is asked again`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.fetch, to: 4...6)
      try await cluster.create("t", leaders: [1])
      try await cluster.fill("t", 10)
      try await cluster.inject(.unknownServerError, .unknownServerError, into: .fetch, at: 1)
      let consumer = try await consumer(cluster)
      try await read(10, from: consumer)
      await consumer.close()
      #expect(try await cluster.faultsLeft(in: .fetch, at: 1) == 0)
    }
  }

  @Test func `a broker that is away does not keep the others from being read, and is read when it is back`()
    async throws
  {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await cluster.fill("t", 1000, partitions: 2)
      try await cluster.takeDown(1)
      let consumer = try await consumer(cluster, partitions: 2)
      try await read(1000, from: consumer, partitions: 2) { read in
        if read == [1: 500] { try await cluster.bringUp(1) }
      }
      await consumer.close()
    }
  }

  @Test func `partitions of a broker that is lost are read at the next leader`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.fill("t", 300)
      let consumer = try await consumer(cluster)
      try await read(300, from: consumer) { read in
        guard let count = read[0], count == 100 || count == 200 else { return }
        let broker = Int32(count / 100)
        try await cluster.takeDown(broker)
        try await cluster.lead("t", by: broker + 1)
      }
      await consumer.close()
    }
  }

  @Test func `an answer that does not come is asked for again`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.fill("t", 100)
      try await cluster.inject([.silence, .silence], into: .fetch, at: 1)
      let consumer = try await consumer(cluster) { $0.client.requestTimeout = .milliseconds(300) }
      try await read(100, from: consumer)
      await consumer.close()
      #expect(try await cluster.faultsLeft(in: .fetch, at: 1) == 0)
    }
  }

  @Test func `an error that does not pass is told, and reading goes on when it is resumed`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.fetch, to: 4...6)
      try await cluster.create("t", leaders: [1])
      try await cluster.fill("t", 10)
      try await cluster.inject(.topicAuthorizationFailed, into: .fetch, at: 1)
      let consumer = try await consumer(cluster)
      let error = await failure(of: consumer)
      #expect(error?.brokerCode == .topicAuthorizationFailed)
      #expect(error?.isRetriable == false)
      try consumer.resume([TopicPartition("t", 0)])
      try await read(10, from: consumer)
      await consumer.close()
    }
  }

  @Test func `an offset that is not there is answered by the reset policy`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.fill("t", 10)
      let patient = try await consumer(cluster, from: .offset(1000)) { $0.autoOffsetReset = .earliest }
      try await read(10, from: patient)
      await patient.close()
      let strict = try await consumer(cluster, from: .offset(1000)) { $0.autoOffsetReset = .none }
      let error = await failure(of: strict)
      #expect(error?.code == .noOffset)
      await strict.close()
    }
  }

  /// Of version 4 and later the mock cluster writes answers that are too long.
  @Test func `where to begin is asked until somebody says`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.limit(.listOffsets, to: 1...3)
      try await cluster.create("t", leaders: [1, 2])
      try await cluster.fill("t", 100, partitions: 2)
      let faults: [MockCluster.Fault] = [
        .error(.notLeaderOrFollower), .disconnect, .error(.leaderNotAvailable), .error(.requestTimedOut),
      ]
      for broker in [Int32(1), 2] { try await cluster.inject(faults, into: .listOffsets, at: broker) }
      let consumer = try await consumer(cluster, partitions: 2, from: .earliest)
      try await read(100, from: consumer, partitions: 2)
      await consumer.close()
      for broker in [Int32(1), 2] {
        #expect(try await cluster.faultsLeft(in: .listOffsets, at: broker) == 0, "broker \(broker)")
      }
    }
  }

  // MARK: Reading from a follower (KIP-392)

  @Test func `records are read from the replica that the leader names`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await cluster.fill("t", 200, partitions: 2)
      try await cluster.follow("t", 0, by: 3)
      let consumer = try await consumer(cluster, partitions: 2) { $0.rack = "here" }
      // The leader that names another gives out nothing itself.
      try await read(200, from: consumer, partitions: 2)
      await consumer.close()
    }
  }

  @Test func `the leader is asked again when the replica that it named does not work`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1])
      try await cluster.fill("t", 300)
      try await cluster.follow("t", by: 2)
      let consumer = try await consumer(cluster) { $0.rack = "here" }
      try await read(300, from: consumer) { read in
        switch read[0] {
        case 100:
          try await cluster.inject(
            [.error(.notLeaderOrFollower), .disconnect], into: .fetch, at: 2)
        case 200:
          try await cluster.takeDown(2)
          try await cluster.follow("t", by: 3)
        default: break
        }
      }
      await consumer.close()
      #expect(try await cluster.faultsLeft(in: .fetch, at: 2) == 0)
    }
  }
}
