import Foundation
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Testing

@testable import MillraceBroker

extension TestBroker {
  @discardableResult
  func create(_ name: String, partitions: Int32 = 1, configs: [String: String] = [:]) async throws -> Uuid {
    let topic = CreateTopicsRequest.CreatableTopic(
      name: name, numPartitions: partitions, replicationFactor: 1,
      configs: configs.map { .init(name: $0.key, value: $0.value) })
    let result = try #require(try await send(CreateTopicsRequest(topics: [topic])).topics.first)
    #expect(result.errorCode.code == .none, "\(result.errorMessage ?? "")")
    return result.topicId
  }

  func delete(_ name: String) async throws {
    let response = try await send(DeleteTopicsRequest(topics: [.init(name: name)]))
    #expect(response.responses.map(\.errorCode) == [0])
  }

  func metadata(_ names: [String]?, version: Int16? = nil, mayCreate: Bool = true) async throws -> MetadataResponse {
    let request = MetadataRequest(
      topics: names.map { $0.map { .init(name: $0) } }, allowAutoTopicCreation: mayCreate)
    return try await send(request, version: version)
  }
}

@Suite struct `Topics over the wire` {
  @Test func `a created topic is in the metadata and usable at once, and still there after a restart`() async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders", partitions: 3)
    let topic = try #require(try await broker.metadata(["orders"]).topics.first)
    #expect(topic.topicId == id)
    #expect(topic.partitions.map(\.partitionIndex) == [0, 1, 2])
    #expect(topic.partitions.allSatisfy { $0.leaderId == 1 && $0.replicaNodes == [1] && $0.isrNodes == [1] })
    #expect(broker.directory.names.isSuperset(of: ["orders-0", "orders-1", "orders-2"]))
    broker.stop()

    let again = try TestBroker(in: broker.directory)
    let after = try #require(try await again.metadata(["orders"]).topics.first)
    #expect(after.topicId == id && after.partitions.count == 3)
    #expect(after.partitions.map(\.leaderEpoch) == [0, 0, 0], "a clean stop raises no epoch")
    again.stop()
  }

  @Test(arguments: CreateTopicsRequest.stableVersions)
  func `every version of CreateTopics makes a topic`(version: Int16) async throws {
    let broker = try TestBroker()
    let topic = CreateTopicsRequest.CreatableTopic(name: "t", numPartitions: 1, replicationFactor: 1)
    let response = try await broker.send(CreateTopicsRequest(topics: [topic]), version: version)
    #expect(response.topics.map(\.errorCode) == [0])
    broker.stop()
  }

  @Test func `a deleted topic is gone, by name and by id, and its directories with it`() async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders")
    try await broker.delete("orders")
    let byName = try await broker.metadata(["orders"], mayCreate: false)
    #expect(byName.topics.map(\.errorCode.code) == [.unknownTopicOrPartition])
    let byId = try await broker.send(MetadataRequest(topics: [.init(topicId: id)]))
    #expect(byId.topics.map(\.errorCode.code) == [.unknownTopicId])
    broker.stop()
    #expect(!broker.directory.names.contains("orders-0"))
  }

  @Test func `a name is free again at once`() async throws {
    let broker = try TestBroker()
    var ids: Set<Uuid> = []
    for _ in 0..<20 {
      ids.insert(try await broker.create("orders", partitions: 2))
      try await broker.delete("orders")
    }
    #expect(ids.count == 20)
    broker.stop()
    #expect(!broker.directory.names.contains("orders-0"))
  }

  @Test func `a deletion wakes nobody else's topic of the same name`() async throws {
    let broker = try TestBroker()
    let first = try await broker.create("orders")
    try await broker.delete("orders")
    let second = try await broker.create("orders")
    #expect(broker.broker.topics.topic(id: first) == nil)
    #expect(broker.broker.topics.topic(named: "orders")?.id == second)
    broker.stop()
  }

  @Test func `partitions can be added while the topic is in use`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let before = broker.broker.topics.topic(named: "orders")?.partition(0)
    let response = try await broker.send(
      CreatePartitionsRequest(topics: [.init(name: "orders", count: 4, assignments: nil)]))
    #expect(response.results.map(\.errorCode) == [0])
    let topic = try #require(broker.broker.topics.topic(named: "orders"))
    #expect(topic.partitions.map(\.index) == [0, 1, 2, 3])
    #expect(topic.partition(0) === before)
    broker.stop()
  }

  // MARK: Metadata

  @Test func `metadata for a topic that is not there makes it and answers when it is usable`() async throws {
    let broker = try TestBroker(["num.partitions": "2"])
    let topic = try #require(try await broker.metadata(["fresh"]).topics.first)
    #expect(topic.errorCode == 0)
    #expect(topic.partitions.count == 2)
    broker.stop()
  }

  @Test func `many who ask for the same new topic get one`() async throws {
    let broker = try TestBroker()
    let ids = try await withThrowingTaskGroup(of: Uuid.self) { group in
      for _ in 0..<50 {
        group.addTask { try #require(try await broker.metadata(["fresh"]).topics.first).topicId }
      }
      return try await group.reduce(into: Set<Uuid>()) { $0.insert($1) }
    }
    #expect(ids.count == 1)
    #expect(broker.directory.names.contains("fresh-0"))
    broker.stop()
  }

  @Test func `the client and the broker can each refuse to make topics`() async throws {
    let broker = try TestBroker()
    let refusedByClient = try await broker.metadata(["fresh", "bad name"], mayCreate: false)
    #expect(Set(refusedByClient.topics.map(\.errorCode.code)) == [.unknownTopicOrPartition, .invalidTopicException])
    let badName = try await broker.metadata(["bad name"])
    #expect(badName.topics.map(\.errorCode.code) == [.invalidTopicException])
    broker.stop()
    let strict = try TestBroker(["auto.create.topics.enable": "false"])
    #expect(try await strict.metadata(["fresh"]).topics.map(\.errorCode.code) == [.unknownTopicOrPartition])
    strict.stop()
  }

  @Test func `an empty list is every topic in version 0 and none from version 1 on`() async throws {
    let broker = try TestBroker()
    try await broker.create("a")
    try await broker.create("b")
    #expect(try await broker.metadata([], version: 0).topics.count == 2)
    #expect(try await broker.metadata([], version: 1).topics.isEmpty)
    #expect(try await broker.metadata(nil, version: 1).topics.count == 2)
    #expect(Set(try await broker.metadata(nil).topics.map(\.name)) == ["a", "b"])
    broker.stop()
  }

  @Test func `topics by id are answered from version 12 on`() async throws {
    let broker = try TestBroker()
    let id = try await broker.create("orders")
    let request = MetadataRequest(topics: [.init(topicId: id), .init(topicId: Uuid(high: 1, low: 2))])
    let response = try await broker.send(request, version: 12)
    #expect(response.topics.map(\.name) == ["orders", nil])
    #expect(response.topics.map(\.errorCode.code) == [.none, .unknownTopicId])
    let tooEarly = MetadataRequest(topics: [.init(topicId: id, name: "orders")])
    #expect(try await broker.send(tooEarly, version: 10).topics.map(\.errorCode.code) == [.invalidRequest])
    broker.stop()
  }

  @Test func `a client is sent back to the listener it came in on`() async throws {
    let broker = try TestBroker(["broker.rack": "r1"])
    broker.broker.advertised.set(.init(host: "outside.example.com", port: 443), for: "OUTSIDE")
    let inside = try #require(try await broker.metadata([]).brokers.first)
    #expect(inside.host == "localhost" && inside.port == 9092 && inside.rack == "r1")
    let outside = TestBroker.connection(on: "OUTSIDE")
    let response = try await broker.send(MetadataRequest(topics: []), on: outside)
    #expect(response.brokers.map(\.host) == ["outside.example.com"])
    #expect(response.brokers.map(\.port) == [443])
    let cluster = try await broker.send(DescribeClusterRequest(), on: outside)
    #expect(cluster.brokers.map(\.host) == ["outside.example.com"])
    broker.stop()
  }

  @Test func `authorized operations are answered when they are asked for`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let silent = try await broker.metadata(["orders"])
    #expect(silent.topics.map(\.topicAuthorizedOperations) == [Int32.min])
    let asked = try await broker.send(
      MetadataRequest(
        topics: [.init(name: "orders")], includeClusterAuthorizedOperations: true,
        includeTopicAuthorizedOperations: true), version: 8)
    #expect(asked.topics.map(\.topicAuthorizedOperations) == [0b1101_1111_1000])
    #expect(asked.clusterAuthorizedOperations == 0b1_1111_1010_0000)
    broker.stop()
  }

  // MARK: DescribeTopicPartitions

  @Test(arguments: [1, 2, 3, 7, 100])
  func `pages of any size add up to everything, once and in order`(limit: Int32) async throws {
    let broker = try TestBroker()
    for (name, count) in [("a", 3), ("b", 1), ("c", 5)] { try await broker.create(name, partitions: Int32(count)) }
    var found: [String] = []
    var cursor: DescribeTopicPartitionsRequest.Cursor?
    for _ in 0..<20 {
      let request = DescribeTopicPartitionsRequest(responsePartitionLimit: limit, cursor: cursor)
      let response = try await broker.send(request)
      #expect(response.topics.reduce(0) { $0 + $1.partitions.count } <= Int(limit))
      for topic in response.topics {
        found += topic.partitions.map { "\(topic.name ?? "")-\($0.partitionIndex)" }
      }
      guard let next = response.nextCursor else { break }
      cursor = .init(topicName: next.topicName, partitionIndex: next.partitionIndex)
    }
    #expect(found == ["a-0", "a-1", "a-2", "b-0", "c-0", "c-1", "c-2", "c-3", "c-4"])
    broker.stop()
  }

  @Test func `topics asked for by name are answered in order, missing ones with their error`() async throws {
    let broker = try TestBroker()
    try await broker.create("b")
    let request = DescribeTopicPartitionsRequest(topics: [.init(name: "b"), .init(name: "a"), .init(name: "c d")])
    let response = try await broker.send(request)
    #expect(response.topics.map(\.name) == ["a", "b", "c d"])
    #expect(response.topics.map(\.errorCode.code) == [.unknownTopicOrPartition, .none, .invalidTopicException])
    let negative = DescribeTopicPartitionsRequest(
      topics: [.init(name: "b")], cursor: .init(topicName: "b", partitionIndex: -1))
    #expect(try await broker.send(negative).topics.map(\.errorCode.code) == [.invalidRequest])
    broker.stop()
  }
}
