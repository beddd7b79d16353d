import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupReplayTests {
  @Test func `a stable group goes on after a restart as if nothing had been`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    #expect(stage.commit("g", ids[0], generation, offset: 11) == .none)
    try stage.restart()
    #expect(stage.group("g")?.state == .stable)
    #expect(stage.heartbeat("g", ids[0], generation) == .none)
    #expect(stage.commit("g", ids[1], generation, partition: 1, offset: 12) == .none)
    let sync = stage.sync("g", ids[1], generation)
    #expect(stage.assignment(sync) == "part of \(ids[1])")
    #expect(stage.committed("g").committedOffset == 11)
    #expect(stage.deleteOffset("g", topic: "orders") == (.none, .groupSubscribedToTopic))
  }

  @Test func `sessions begin anew with the restart`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    stage.pass(ms: 9_000)
    try stage.restart()
    stage.pass(ms: 9_000)
    #expect(stage.heartbeat("g", ids[0], generation) == .none)
    stage.pass(ms: 1_000)
    #expect(stage.group("g")?.members.keys.elements == [ids[0]])
  }

  @Test func `a rebalance that a restart cut short begins again from the last stable generation`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    _ = stage.join("g", memberId: ids[0])
    _ = stage.join("g", memberId: ids[1])
    #expect(stage.group("g")?.generation == generation + 1)
    try stage.restart()
    #expect(stage.group("g")?.generation == generation)
    let early = stage.sync("g", ids[0], generation + 1)
    #expect(stage.error(early) == .illegalGeneration)
    _ = stage.join("g", memberId: ids[0])
    let again = stage.join("g", memberId: ids[1])
    #expect(stage.answer(again)?.generationId == generation + 1)
  }

  @Test func `a group that has outgrown a lowered limit rebalances after the restart`() throws {
    var stage = GroupStage()
    let (ids, _) = try stage.stableGroup("g", members: 3)
    stage.shard.config.maxSize = 2
    try stage.restart()
    #expect(stage.group("g")?.state == .preparingRebalance)
    let tickets = ids.map { stage.join("g", memberId: $0) }
    #expect(stage.error(tickets[2]) == .groupMaxSizeReached)
    #expect(stage.error(tickets[0]) == ErrorCode.none)
    #expect(stage.group("g")?.members.count == 2)
  }

  @Test func `the records are the bytes that Kafka writes`() throws {
    let group = GroupRecord.group(
      GroupMetadataKey(group: "g"),
      GroupMetadataValue(
        protocolType: "consumer", generation: 1, protocol: "range", leader: "m", currentStateTimestamp: 2,
        members: [
          .init(
            memberId: "m", groupInstanceId: nil, clientId: "c", clientHost: "/h", rebalanceTimeout: 3,
            sessionTimeout: 4, subscription: ByteBuffer(bytes: [5]), assignment: ByteBuffer(bytes: [6, 7]))
        ]))
    let (key, value) = try group.encode()
    #expect(Array(key.readableBytesView) == [0, 2, 0, 1, 0x67])
    var expected: [UInt8] = [0, 3]
    expected += [0, 8] + Array("consumer".utf8) + [0, 0, 0, 1]
    expected += [0, 5] + Array("range".utf8) + [0, 1, 0x6D]
    expected += [0, 0, 0, 0, 0, 0, 0, 2]
    expected += [0, 0, 0, 1] + [0, 1, 0x6D] + [0xFF, 0xFF] + [0, 1, 0x63] + [0, 2, 0x2F, 0x68]
    expected += [0, 0, 0, 3] + [0, 0, 0, 4] + [0, 0, 0, 1, 5] + [0, 0, 0, 2, 6, 7]
    #expect(value.map { Array($0.readableBytesView) } == expected)

    let offset = GroupRecord.offset(
      OffsetCommitKey(group: "g", topic: "t", partition: 3),
      OffsetCommitValue(offset: 4, leaderEpoch: 5, metadata: "m", commitTimestamp: 6, topicId: .zero))
    let commit = try offset.encode()
    #expect(Array(commit.key.readableBytesView) == [0, 1, 0, 1, 0x67, 0, 1, 0x74, 0, 0, 0, 3])
    #expect(
      commit.value.map { Array($0.readableBytesView) }
        == [0, 4] + [0, 0, 0, 0, 0, 0, 0, 4] + [0, 0, 0, 5] + [2, 0x6D] + [0, 0, 0, 0, 0, 0, 0, 6] + [0])
  }

  @Test func `records of other kinds of groups are left alone`() throws {
    for type in [9, 17, 999] as [Int16] {
      var key = ByteBuffer()
      key.writeInteger(type)
      key.writeBytes([0, 1, 0x67])
      #expect(try GroupRecord.decode(key: key, value: ByteBuffer(bytes: [0, 0])) == nil)
    }
  }

  @Test func `a legacy offset key says the same as a current one`() throws {
    var key = ByteBuffer(bytes: [0, 0, 0, 1, 0x67, 0, 1, 0x74, 0, 0, 0, 3])
    let decoded = try GroupRecord.decode(key: key, value: nil)
    #expect(decoded == .offset(OffsetCommitKey(group: "g", topic: "t", partition: 3), nil))
    key = ByteBuffer(bytes: [0, 0, 0, 1])
    #expect(throws: GroupRecordError.self) { try GroupRecord.decode(key: key, value: nil) }
  }

  @Test func `records that cannot be read are errors, not traps`() {
    let key = ByteBuffer(bytes: [0, 2, 0, 1, 0x67])
    #expect(throws: GroupRecordError.truncated) { try GroupRecord.decode(key: ByteBuffer(bytes: [0]), value: nil) }
    #expect(throws: GroupRecordError.truncated) { try GroupRecord.decode(key: key, value: ByteBuffer(bytes: [0])) }
    #expect(throws: GroupRecordError.unknownValueVersion(type: 2, version: 9)) {
      try GroupRecord.decode(key: key, value: ByteBuffer(bytes: [0, 9, 1, 2, 3]))
    }
    #expect(throws: GroupRecordError.self) { try GroupRecord.decode(key: key, value: ByteBuffer(bytes: [0, 3, 1])) }
  }

  @Test func `a journaled group that contradicts itself is taken as far as it makes sense`() {
    var shard = GroupShard(config: GroupConfig())
    let member = GroupMetadataValue.MemberMetadata(memberId: "a", groupInstanceId: "i", sessionTimeout: 1)
    let twin = GroupMetadataValue.MemberMetadata(memberId: "b", groupInstanceId: "i", sessionTimeout: 1)
    shard.replay(
      .group(
        GroupMetadataKey(group: "g"),
        GroupMetadataValue(
          protocolType: "consumer", generation: .max, protocol: nil, leader: "nobody", members: [member, member, twin]))
    )
    let group = shard.classicGroups["g"]
    #expect(group?.members.keys.elements == ["a", "b"])
    #expect(group?.leader == "a")
    #expect(group?.members["b"]?.groupInstanceId == nil)
    let now = Moment(wallMs: 0, uptimeMs: 0)
    let decision = shard.loaded(topics: TopicImage(), now: now)
    #expect(decision.timers.count == 2)
    let later = Moment(wallMs: 10, uptimeMs: 10)
    for timer in decision.timers { _ = shard.timerFired(timer, topics: TopicImage(), now: later) }
    #expect(shard.classicGroups["g"]?.state == .empty)
    #expect(shard.classicGroups["g"]?.generation == 0, "generations start over rather than overflow")
  }
}
