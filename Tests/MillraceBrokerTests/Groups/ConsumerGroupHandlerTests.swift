import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `Groups of the consumer protocol over the wire` {
  private func join(_ memberId: String, _ topics: [String]? = ["orders"], regex: String? = nil)
    -> ConsumerGroupHeartbeatRequest
  {
    ConsumerGroupHeartbeatRequest(
      groupId: "g", memberId: memberId, rebalanceTimeoutMs: 60_000, subscribedTopicNames: topics,
      subscribedTopicRegex: regex, topicPartitions: [])
  }

  private func start(_ settings: [String: String] = [:]) async throws -> GroupBroker {
    let broker = try GroupBroker(settings)
    try await broker.makeTopic("orders")
    _ = try await GroupClient(broker: broker).findCoordinator()
    return broker
  }

  @Test func `a member joins, is described, commits in its epoch, and all of it survives a crash`() async throws {
    let broker = try await start()
    let joined = try await broker.send(join("a"), version: 0)
    #expect(joined.errorCode == 0)
    #expect(joined.assignment?.topicPartitions.first?.partitions == [0, 1])
    let commit = OffsetCommitRequest(
      groupId: "g", generationIdOrMemberEpoch: joined.memberEpoch, memberId: "a",
      topics: [.init(name: "orders", partitions: [.init(partitionIndex: 0, committedOffset: 7)])])
    #expect(try await broker.send(commit, version: 9).topics[0].partitions[0].errorCode == 0)
    try broker.crashAndStart()

    let described = try await eventually { try await broker.send(ConsumerGroupDescribeRequest(groupIds: ["g"])) }
    #expect(described.groups[0].groupState == "Stable")
    #expect(described.groups[0].members.first?.assignment.topicPartitions.first?.topicName == "orders")
    let listed = try await broker.send(ListGroupsRequest(typesFilter: ["consumer"]))
    #expect(listed.groups.map(\.groupType) == ["consumer"])
    let stale = OffsetFetchRequest(groups: [.init(groupId: "g", memberId: "a", memberEpoch: 99, topics: nil)])
    #expect(try await broker.send(stale, version: 9).groups[0].errorCode.code == .staleMemberEpoch)
    let fetch = OffsetFetchRequest(groups: [
      .init(groupId: "g", memberId: "a", memberEpoch: joined.memberEpoch, topics: nil)
    ])
    let fetched = try await broker.send(fetch, version: 9).groups[0]
    #expect(fetched.topics.first?.partitions.first?.committedOffset == 7)
    let heartbeat = ConsumerGroupHeartbeatRequest(groupId: "g", memberId: "a", memberEpoch: joined.memberEpoch)
    #expect(try await broker.send(heartbeat).errorCode == 0)
    broker.stop()
  }

  /// Until the coordinator has read its journal.
  private func eventually(
    _ ask: () async throws -> ConsumerGroupDescribeResponse
  ) async throws -> ConsumerGroupDescribeResponse {
    for _ in 0..<6_000 {
      let answer = try await ask()
      if answer.groups.first?.errorCode.code != .coordinatorLoadInProgress { return answer }
      try await Task.sleep(for: .milliseconds(20))
    }
    return try await ask()
  }

  @Test func `a topic that grows is noticed at the next heartbeat`() async throws {
    let broker = try await start()
    let joined = try await broker.send(join("a"))
    let growth = CreatePartitionsRequest(topics: [.init(name: "orders", count: 5, assignments: nil)], timeoutMs: 5_000)
    #expect(try await broker.send(growth).results[0].errorCode == 0)
    let heartbeat = ConsumerGroupHeartbeatRequest(groupId: "g", memberId: "a", memberEpoch: joined.memberEpoch)
    #expect(try await broker.send(heartbeat).assignment?.topicPartitions.first?.partitions == [0, 1, 2, 3, 4])
    broker.stop()
  }

  @Test func `a regular expression finds its topics`() async throws {
    let broker = try await start()
    var answer = try await broker.send(join("a", nil, regex: "ord.*"))
    #expect(answer.errorCode == 0)
    for _ in 0..<500 where answer.assignment?.topicPartitions.isEmpty != false {
      try await Task.sleep(for: .milliseconds(20))
      answer = try await broker.send(
        ConsumerGroupHeartbeatRequest(groupId: "g", memberId: "a", memberEpoch: answer.memberEpoch))
    }
    #expect(answer.assignment?.topicPartitions.first?.partitions == [0, 1])
    broker.stop()
  }

  @Test func `a group has time-outs of its own, within the broker's bounds`() async throws {
    let broker = try await start()
    func alter(_ name: String, _ value: String, group: String = "g") async throws -> ErrorCode {
      let request = IncrementalAlterConfigsRequest(resources: [
        .init(resourceType: 32, resourceName: group, configs: [.init(name: name, configOperation: 0, value: value)])
      ])
      return try await broker.send(request).responses[0].errorCode.code
    }
    #expect(try await alter("consumer.heartbeat.interval.ms", "7000") == .none)
    #expect(try await alter("consumer.heartbeat.interval.ms", "4999") == .invalidConfig)
    #expect(try await alter("consumer.heartbeat.interval.ms", "15001") == .invalidConfig)
    #expect(try await alter("consumer.session.timeout.ms", "1") == .invalidConfig)
    #expect(try await alter("retention.ms", "1") == .invalidConfig)
    #expect(try await alter("consumer.session.timeout.ms", "50000", group: "") == .invalidRequest)
    #expect(try await broker.send(join("a")).heartbeatIntervalMs == 7_000)
    try broker.crashAndStart()

    let describe = DescribeConfigsRequest(resources: [.init(resourceType: 32, resourceName: "g")])
    let configs = try await broker.send(describe).results[0].configs
    #expect(configs.first { $0.name == "consumer.heartbeat.interval.ms" }?.value == "7000")
    #expect(configs.first { $0.name == "consumer.heartbeat.interval.ms" }?.configSource == 8)
    #expect(configs.first { $0.name == "consumer.session.timeout.ms" }?.value == "45000")
    let resources = try await broker.send(ListConfigResourcesRequest(resourceTypes: [32]))
    #expect(resources.configResources.map(\.resourceName) == ["g"])
    _ = try await eventually { try await broker.send(ConsumerGroupDescribeRequest(groupIds: ["g"])) }
    let heartbeat = ConsumerGroupHeartbeatRequest(groupId: "g", memberId: "a", memberEpoch: 1)
    #expect(try await broker.send(heartbeat).heartbeatIntervalMs == 7_000)
    broker.stop()
  }

  @Test func `the protocol can be switched off`() async throws {
    let broker = try await start(["group.coordinator.rebalance.protocols": "classic"])
    #expect(try await broker.send(join("a")).errorCode.code == .unsupportedVersion)
    broker.stop()
  }

  @Test func `requests that ask for too much harm nobody`() async throws {
    let broker = try await start()
    _ = try await broker.send(join("a"))
    let many = (0..<100_000).map { "topic-\($0)" }
    #expect(try await broker.send(join("b", many)).errorCode.code == .invalidRequest)
    var classic = JoinGroupRequest(
      groupId: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 10_000, memberId: "c", protocolType: "consumer")
    classic.protocols = [.init(name: "range", metadata: ByteBuffer(repeating: 0, count: 1 << 20))]
    #expect(try await broker.send(classic).errorCode.code == .invalidRequest)
    let heartbeat = ConsumerGroupHeartbeatRequest(groupId: "g", memberId: "a", memberEpoch: 1)
    #expect(try await broker.send(heartbeat).errorCode == 0)
    broker.stop()
  }
}
