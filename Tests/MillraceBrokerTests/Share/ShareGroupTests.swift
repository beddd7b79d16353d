import MillraceCoordination
import MillraceProtocol
import Synchronization
import Testing

@testable import MillraceBroker

@Suite struct `Share groups over the wire` {
  private func start(_ settings: [String: String] = [:]) async throws -> ShareGroupClient {
    let broker = try GroupBroker(
      settings.merging(["share.coordinator.state.topic.num.partitions": "3"]) { given, _ in given })
    try await broker.makeTopic("orders")
    let client = ShareGroupClient(broker: broker)
    _ = try await GroupClient(broker: broker).findCoordinator()
    return client
  }

  private func state(_ client: ShareGroupClient, partition: Int32 = 0) throws -> ShareStateClient {
    let topic = try #require(client.broker.broker.topics.topic(named: "orders"))
    return ShareStateClient(
      broker: client.broker, topicId: topic.id, groupId: client.groupId, partition: partition)
  }

  @Test func `a member joins, its partitions get state, it is described and listed, and all of it survives a crash`()
    async throws
  {
    let client = try await start()
    let joined = try await client.join("a")
    #expect(joined.assignment?.topicPartitions.first?.partitions == [0, 1])
    #expect(joined.heartbeatIntervalMs == 5_000)
    #expect(try await state(client).read().startOffset == -1)

    try client.broker.crashAndStart()
    try await eventually { try await client.describe().errorCode == 0 }
    let group = try await client.describe()
    #expect(group.groupState == "Stable" && group.assignorName == "simple")
    #expect(group.members.map(\.memberId) == ["a"])
    #expect(group.members.first?.clientId == "test")
    #expect(group.members.first?.assignment.topicPartitions.first?.topicName == "orders")
    let listed = try await client.broker.send(ListGroupsRequest(typesFilter: ["share"]))
    #expect(listed.groups.map(\.groupId) == ["g"])
    let stays = try await client.heartbeat("a", epoch: joined.memberEpoch)
    #expect(stays.errorCode == 0 && stays.assignment == nil)
    #expect(try await client.heartbeat("a", epoch: 77).errorCode.code == .fencedMemberEpoch)
    #expect(try await client.heartbeat("b", epoch: 3).errorCode.code == .unknownMemberId)
    #expect(try await client.leave("a") == .none)
    #expect(try await client.describe().groupState == "Empty")
    client.broker.stop()
  }

  @Test func `initialization that failed is begun again`() async throws {
    let client = try await start()
    func stateOfGroup() -> ShareStatePartitions? {
      client.broker.broker.groups.shard(for: "g")?.state.withLock { $0.shard.share.groups["g"]?.statePartitions }
    }
    client.broker.disk.trouble.withLock { $0 = .init(path: "__share_group_state", isFull: true) }
    let first = try await client.heartbeat("a", topics: ["orders"])
    #expect(first.errorCode == 0 && first.assignment?.topicPartitions.isEmpty == true)
    try await eventually { stateOfGroup()?.isEmpty == true }
    client.broker.disk.trouble.withLock { $0.isFull = false }
    #expect(try await client.join("a").assignment?.topicPartitions.first?.partitions == [0, 1])
    #expect(stateOfGroup()?.initialized.count == 2)
    client.broker.stop()
  }

  @Test func `a member that falls silent is put out, and those who listen are told`() async throws {
    let client = try await start([
      "group.share.session.timeout.ms": "300", "group.share.min.session.timeout.ms": "300",
      "group.share.heartbeat.interval.ms": "100", "group.share.min.heartbeat.interval.ms": "100",
    ])
    let fenced = Mutex<[ShareSessionKey]>([])
    client.broker.broker.groups.onFenced { member in fenced.withLock { $0.append(member) } }
    _ = try await client.join("a")
    try await eventually { try await client.describe().groupState == "Empty" }
    try await eventually { fenced.withLock { $0.contains(ShareSessionKey(groupId: "g", memberId: "a")) } }
    client.broker.stop()
  }

  @Test func `offsets are described with lag, altered and deleted`() async throws {
    let client = try await start()
    #expect(try await client.offsets().topics.isEmpty)
    _ = try await client.join("a")
    var offsets = try await client.offsets()
    #expect(offsets.topics.map(\.topicName) == ["orders"])
    #expect(offsets.topics[0].partitions.map(\.startOffset) == [-1, -1])
    #expect(offsets.topics[0].partitions.map(\.lag) == [-1, -1])
    #expect(try await client.alter(5).errorCode.code == .nonEmptyGroup)
    #expect(try await client.deleteOffsets().errorCode.code == .nonEmptyGroup)
    #expect(try await client.leave("a") == .none)

    let altered = try await client.alter(0)
    #expect(altered.errorCode == 0 && altered.responses[0].partitions[0].errorCode == 0)
    let described = try await state(client).read()
    #expect(described.startOffset == 0)
    #expect(
      try await state(client).write(
        [.range(0, 2, .acknowledged, 1)], epoch: described.stateEpoch, startOffset: 0) == .none)
    offsets = try await client.offsets([("orders", [0, 7]), ("nowhere", [0])])
    #expect(offsets.topics.map { $0.partitions.map(\.startOffset) } == [[0, -1], [-1]])
    #expect(offsets.topics.map { $0.partitions.map(\.lag) } == [[0, -1], [-1]])
    #expect(offsets.topics[1].topicId == .zero)

    let deleted = try await client.deleteOffsets(["orders", "nowhere"])
    #expect(deleted.responses.map(\.errorCode.code) == [.none, .unknownTopicOrPartition])
    #expect(try await state(client).read().errorCode.code == .invalidRequest)
    #expect(try await client.offsets().topics.isEmpty)
    client.broker.stop()
  }

  @Test func `altering offsets founds a group, and deleting the group takes its states`() async throws {
    let client = try await start()
    #expect(try await client.delete() == .groupIdNotFound)
    #expect(
      try await client.alter(3, topic: "nowhere").responses[0].partitions[0].errorCode.code
        == .unknownTopicOrPartition)
    #expect(try await client.alter(3).errorCode == 0)
    #expect(try await state(client).read().startOffset == 3)
    #expect(try await client.describe().groupState == "Empty")
    _ = try await client.join("a")
    #expect(try await client.delete() == .nonEmptyGroup)
    #expect(try await client.leave("a") == .none)
    #expect(try await client.delete() == .none)
    #expect(try await state(client).read().errorCode.code == .invalidRequest)
    #expect(try await state(client, partition: 1).read().errorCode.code == .invalidRequest)
    #expect(try await client.describe().errorCode.code == .groupIdNotFound)
    try client.broker.crashAndStart()
    try await eventually { try await client.describe().errorCode.code == .groupIdNotFound }
    client.broker.stop()
  }

  @Test func `a deleted topic is forgotten, and one of the same name begins anew`() async throws {
    let client = try await start()
    let joined = try await client.join("a")
    try await client.broker.deleteTopic("orders")
    try await eventually { try await client.offsets().topics.isEmpty }
    try await client.broker.makeTopic("orders")
    var epoch = joined.memberEpoch
    let id = try state(client).topicId
    try await eventually {
      let answer = try await client.heartbeat("a", epoch: epoch, topics: ["orders"])
      epoch = answer.memberEpoch
      return answer.assignment?.topicPartitions.first?.topicId == id
    }
    client.broker.stop()
  }

  @Test func `configs of a group are obeyed as they change`() async throws {
    let client = try await start()
    func alter(_ name: String, _ value: String) async throws -> ErrorCode {
      let request = IncrementalAlterConfigsRequest(resources: [
        .init(resourceType: 32, resourceName: "g", configs: [.init(name: name, configOperation: 0, value: value)])
      ])
      return try await client.broker.send(request).responses[0].errorCode.code
    }
    #expect(try await client.heartbeat("a", topics: ["orders"]).heartbeatIntervalMs == 5_000)
    #expect(try await alter("share.heartbeat.interval.ms", "6000") == .none)
    #expect(try await alter("share.auto.offset.reset", "by_duration:PT1H") == .none)
    #expect(try await alter("share.auto.offset.reset", "yesterday") == .invalidConfig)
    #expect(try await alter("share.record.lock.duration.ms", "1000") == .invalidConfig)
    #expect(try await alter("errors.deadletterqueue.topic.name", "orders") == .invalidConfig)
    #expect(try await client.heartbeat("b", topics: ["orders"]).heartbeatIntervalMs == 6_000)
    let groups = client.broker.broker.groups
    #expect(groups.shareConfig(ofGroup: "g").autoOffsetReset == .byDuration(3_600_000))
    #expect(groups.shareConfig(ofGroup: "other").autoOffsetReset == .latest)
    try client.broker.restart()
    #expect(client.broker.broker.groups.shareConfig(ofGroup: "g").autoOffsetReset == .byDuration(3_600_000))
    client.broker.stop()
  }

  @Test func `without the feature there are no share groups`() async throws {
    let client = try await start()
    let update = UpdateFeaturesRequest(featureUpdates: [
      .init(feature: "share.version", maxVersionLevel: 0, upgradeType: 2)
    ])
    #expect(try await client.broker.send(update).errorCode == 0)
    #expect(try await client.heartbeat("a", topics: ["orders"]).errorCode.code == .unsupportedVersion)
    #expect(try await client.describe().errorCode.code == .unsupportedVersion)
    #expect(try await client.offsets().errorCode.code == .unsupportedVersion)
    #expect(try await client.alter(1).errorCode.code == .unsupportedVersion)
    #expect(try await client.deleteOffsets().errorCode.code == .unsupportedVersion)
    client.broker.stop()
  }

  @Test func `a group takes as many members as it may have`() async throws {
    let client = try await start(["group.share.max.size": "2"])
    for member in ["a", "b"] { #expect(try await client.heartbeat(member, topics: ["orders"]).errorCode == 0) }
    #expect(try await client.heartbeat("c", topics: ["orders"]).errorCode.code == .groupMaxSizeReached)
    #expect(
      try await client.heartbeat(String(repeating: "m", count: 37), topics: ["orders"]).errorCode.code
        == .invalidRequest)
    client.broker.stop()
  }
}
