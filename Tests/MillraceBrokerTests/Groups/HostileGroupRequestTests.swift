import Foundation
import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceBroker

@Suite struct `Requests about groups that ask for too much` {
  /// With a search for each topic this is over a billion comparisons.
  @Test func `tens of thousands of refused topics are answered in time in proportion`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    var commit = client.commitRequest(5)
    var delete = OffsetDeleteRequest(groupId: "g")
    delete.topics = [.init(name: "orders", partitions: [.init(partitionIndex: 0)])]
    let count = 50_000
    for index in 0..<count {
      commit.topics.append(.init(name: "missing-\(index)", partitions: [.init(partitionIndex: 0)]))
      delete.topics.append(.init(name: "missing-\(index)", partitions: [.init(partitionIndex: 0)]))
    }
    let began = ContinuousClock.now
    let committed = try await broker.send(commit, version: 9)
    #expect(committed.topics.count == count + 1)
    #expect(committed.topics[0].partitions[0].errorCode == 0)
    #expect(committed.topics[count].partitions[0].errorCode.code == .unknownTopicOrPartition)
    #expect(try await broker.send(delete).topics.count == count + 1)
    #expect(ContinuousClock.now - began < .seconds(60))
  }

  @Test func `the entry of a topic has the partitions that are there and those that are not`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    var request = client.commitRequest(5)
    request.topics[0].partitions.append(.init(partitionIndex: 99, committedOffset: 1))
    let topics = try await broker.send(request, version: 9).topics
    #expect(topics.count == 1)
    #expect(topics[0].partitions.map(\.partitionIndex) == [0, 99])
    #expect(topics[0].partitions.map(\.errorCode.code) == [.none, .unknownTopicOrPartition])
  }

  @Test func `a commit is answered on its connection, not where the journal becomes durable`() async throws {
    let broker = try TestBroker(["offsets.topic.num.partitions": "1"])
    defer { broker.stop() }
    _ = try await broker.send(MetadataRequest(topics: [.init(name: "orders")], allowAutoTopicCreation: true))
    _ = try await broker.send(FindCoordinatorRequest(keyType: 0, coordinatorKeys: ["g"]), version: 6)
    let executed = Atomic<Int>(0)
    let connection = ConnectionInfo(id: 2, clientHost: "/127.0.0.1", listener: "PLAINTEXT") { body in
      executed.add(1, ordering: .relaxed)
      body()
    }
    let request = OffsetCommitRequest(
      groupId: "g", generationIdOrMemberEpoch: -1,
      topics: [.init(name: "orders", partitions: [.init(partitionIndex: 0, committedOffset: 5)])])
    let response = try await broker.send(request, version: 9, on: connection)
    #expect(response.topics[0].partitions[0].errorCode == 0)
    #expect(executed.load(ordering: .relaxed) == 1)
  }

  @Test func `what is named again is not answered again`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let client = GroupClient(broker: broker)
    _ = try await client.findCoordinator()
    #expect(try await client.commit(7) == .none)
    let described = try await broker.send(DescribeGroupsRequest(groups: ["g", "h", "g", "g"]), version: 5)
    #expect(described.groups.map(\.groupId) == ["g", "h"])
    let all = OffsetFetchRequest.OffsetFetchRequestGroup(groupId: "g", topics: nil)
    let fetched = try await broker.send(OffsetFetchRequest(groups: [all, all, all]), version: 9)
    #expect(fetched.groups.map(\.groupId) == ["g"])
    #expect(fetched.groups[0].topics[0].partitions[0].committedOffset == 7)
    let same = OffsetFetchRequest.OffsetFetchRequestTopics(name: "orders", partitionIndexes: [0, 1, 0, 0])
    let one = OffsetFetchRequest.OffsetFetchRequestGroup(groupId: "g", topics: [same, same])
    let topics = try await broker.send(OffsetFetchRequest(groups: [one]), version: 9).groups[0].topics
    #expect(topics.map { $0.partitions.map(\.partitionIndex) } == [[0, 1], []])

    let names: [(Int8, String)] = [(4, "1"), (4, "1"), (4, "01"), (4, "+1"), (2, "orders"), (2, "orders"), (2, "1")]
    let configs = try await broker.send(
      DescribeConfigsRequest(resources: names.map { .init(resourceType: $0.0, resourceName: $0.1) }))
    #expect(configs.results.map(\.resourceName) == ["1", "orders", "1"])
  }

  @Test func `a journal that cannot be opened is read once it can be, and keeps no other from serving`() async throws {
    let broker = try GroupBroker()
    try await broker.makeTopic("orders")
    let clients = ["g", "h", "i", "j", "k", "l", "m", "n"].map { GroupClient(broker: broker, groupId: $0) }
    _ = try await clients[0].findCoordinator()
    for client in clients { #expect(try await client.commit(7) == .none) }
    func isOnFirst(_ client: GroupClient) throws -> Bool {
      try #require(broker.broker.groups.journalPartition(of: client.groupId)).partition == 0
    }
    let onFirst = try #require(try clients.first(where: isOnFirst))
    let elsewhere = try clients.filter { try !isOnFirst($0) }
    #expect(!elsewhere.isEmpty)

    broker.stop()
    broker.disk.trouble.withLock { $0 = .init(path: "__consumer_offsets-0", isUnreadable: true) }
    try broker.startAgain()
    for client in elsewhere { try await eventually { (try? await client.committed()) == 7 } }
    await #expect(throws: ErrorCode.self) { try await onFirst.committed() }
    broker.disk.trouble.withLock { $0.isUnreadable = false }
    try await eventually { (try? await onFirst.committed()) == 7 }
  }
}
