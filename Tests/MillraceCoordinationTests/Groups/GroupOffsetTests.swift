import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupOffsetTests {
  @Test func `a member commits and anybody reads it`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(stage.commit("g", ids[0], generation, offset: 42, metadata: "here", leaderEpoch: 3) == .none)
    let committed = stage.committed("g")
    #expect(committed.committedOffset == 42)
    #expect(committed.committedLeaderEpoch == 3)
    #expect(committed.metadata == "here")
    let other = stage.committed("g", partition: 1)
    #expect(other.committedOffset == -1 && other.committedLeaderEpoch == -1 && other.metadata == "")
    #expect(other.errorCode == 0)
  }

  @Test func `commits of strangers and of other generations are refused`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(stage.commit("g", "stranger", generation, offset: 1) == .unknownMemberId)
    #expect(stage.commit("g", ids[0], generation - 1, offset: 1) == .illegalGeneration)
    #expect(stage.commit("g", ids[0], generation + 1, offset: 1) == .illegalGeneration)
    #expect(stage.commit("g", ids[0], -1, offset: 1) == .illegalGeneration)
    #expect(stage.commit("g", "", -1, offset: 1) == .unknownMemberId)
    #expect(stage.committed("g").committedOffset == -1)
  }

  @Test func `between join and sync a commit is answered with a rebalance in progress`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    stage.passInitialDelay()
    #expect(stage.commit("g", a.memberId, 1, offset: 1) == .rebalanceInProgress)
    #expect(stage.committed("g").committedOffset == -1)
  }

  @Test func `while members join again they may still commit for the generation that ends`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    _ = stage.join("g", memberId: ids[0])
    #expect(stage.group("g")?.state == .preparingRebalance)
    #expect(stage.commit("g", ids[1], generation, offset: 7) == .none)
  }

  @Test func `a commit keeps the session of its member alive`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    for offset in 0..<10 {
      stage.pass(ms: 9_000)
      #expect(stage.commit("g", ids[0], generation, offset: Int64(offset)) == .none)
    }
  }

  @Test func `a client without membership commits to an empty or unknown group`() throws {
    var stage = GroupStage()
    #expect(stage.commit("simple", offset: 5) == .none)
    #expect(stage.group("simple")?.state == .empty)
    #expect(stage.group("simple")?.protocolType == nil)
    #expect(stage.committed("simple").committedOffset == 5)
    let (ids, _) = try stage.stableGroup("g", members: 1)
    #expect(stage.commit("g", offset: 5) == .unknownMemberId)
    #expect(stage.leave("g", ids[0]) == [.none])
    #expect(stage.commit("g", offset: 5) == .none)
  }

  @Test func `a generation in a group that nobody knows is an error that depends on the version`() {
    var stage = GroupStage()
    #expect(stage.commit("g", "m", 3, offset: 1, version: 8) == .illegalGeneration)
    #expect(stage.commit("g", "m", 3, offset: 1, version: 9) == .groupIdNotFound)
    #expect(stage.group("g") == nil)
  }

  @Test func `the empty group id may commit and fetch as it always could`() {
    var stage = GroupStage()
    #expect(stage.commit("", offset: 5) == .none)
    #expect(stage.committed("").committedOffset == 5)
  }

  @Test func `metadata over offset_metadata_max_bytes is refused, one partition at a time`() {
    var stage = GroupStage()
    let request = OffsetCommitRequest(
      groupId: "g", generationIdOrMemberEpoch: -1,
      topics: [
        .init(
          name: "orders",
          partitions: [
            .init(partitionIndex: 0, committedOffset: 1, committedMetadata: String(repeating: "m", count: 4_097)),
            .init(partitionIndex: 1, committedOffset: 2, committedMetadata: String(repeating: "m", count: 4_096)),
            .init(partitionIndex: 2, committedOffset: 3, committedMetadata: nil),
          ])
      ])
    let (response, decision) = stage.shard.commit(request, version: 9, now: stage.now)
    let errors = response.topics[0].partitions.map { ErrorCode(rawValue: $0.errorCode) }
    #expect(errors == [.offsetMetadataTooLarge, .none, .none])
    #expect(decision.records.count == 2)
    #expect(stage.committed("g", partition: 0).committedOffset == -1)
    #expect(stage.committed("g", partition: 2).metadata == "")
  }

  @Test func `an offset that was committed for a topic id is not the offset of a namesake`() {
    var stage = GroupStage()
    let old = Uuid(high: 1, low: 1)
    let new = Uuid(high: 2, low: 2)
    #expect(stage.commit("g", offset: 5, topicId: old, version: 10) == .none)
    #expect(stage.committed("g", topicId: old).committedOffset == 5)
    #expect(stage.committed("g", topicId: new).committedOffset == -1)
    #expect(stage.committed("g").committedOffset == 5)
  }

  @Test func `all offsets of a group come in order, and none for a group that is not there`() {
    var stage = GroupStage()
    for (topic, partition) in [("b", 1), ("a", 2), ("b", 0)] as [(String, Int32)] {
      #expect(stage.commit("g", topic: topic, partition: partition, offset: Int64(partition)) == .none)
    }
    let all = stage.shard.fetchOffsets(.init(groupId: "g", topics: nil))
    #expect(all.topics.map(\.name) == ["a", "b"])
    #expect(all.topics[1].partitions.map(\.partitionIndex) == [0, 1])
    let none = stage.shard.fetchOffsets(.init(groupId: "x", topics: nil))
    #expect(none.topics.isEmpty && none.errorCode == 0)
    let asked = stage.shard.fetchOffsets(.init(groupId: "x", topics: [.init(name: "a", partitionIndexes: [0])]))
    #expect(asked.topics[0].partitions[0].committedOffset == -1)
  }

  @Test func `offsets of topics in use cannot be deleted, others can`() throws {
    var stage = GroupStage()
    #expect(stage.deleteOffset("g", topic: "orders") == (.groupIdNotFound, nil))
    #expect(stage.deleteOffset("", topic: "orders") == (.invalidGroupId, nil))
    let (ids, generation) = try stage.stableGroup("g", members: 1, topics: ["orders"])
    #expect(stage.commit("g", ids[0], generation, topic: "orders", offset: 1) == .none)
    #expect(stage.commit("g", ids[0], generation, topic: "old", offset: 2) == .none)
    #expect(stage.deleteOffset("g", topic: "orders") == (.none, .groupSubscribedToTopic))
    #expect(stage.deleteOffset("g", topic: "old") == (.none, ErrorCode.none))
    #expect(stage.committed("g", topic: "orders").committedOffset == 1)
    #expect(stage.committed("g", topic: "old").committedOffset == -1)
    let records = stage.journal.count
    #expect(stage.deleteOffset("g", topic: "old") == (.none, ErrorCode.none))
    #expect(stage.journal.count == records, "nothing there, nothing to journal")
  }

  @Test func `offsets of a group that is not one of consumers are deleted only while it is empty`() throws {
    var stage = GroupStage()
    let ticket = stage.join("g", version: 3, type: "connect")
    stage.passInitialDelay()
    let memberId = try #require(stage.answer(ticket)).memberId
    _ = stage.sync("g", memberId, 1)
    #expect(stage.deleteOffset("g", topic: "t") == (.nonEmptyGroup, nil))
    #expect(stage.leave("g", memberId) == [.none])
    #expect(stage.deleteOffset("g", topic: "t") == (.none, ErrorCode.none))
  }

  @Test func `when a subscription cannot be read all topics count as in use`() throws {
    var stage = GroupStage()
    let request = JoinGroupRequest(
      groupId: "g", sessionTimeoutMs: 10_000, rebalanceTimeoutMs: 60_000, protocolType: "consumer",
      protocols: [.init(name: "range", metadata: ByteBuffer(string: "?"))])
    let caller = JoinCaller(version: 3, clientId: "c", clientHost: "/h", idSuffix: "1")
    _ = stage.shard.join(request, from: caller, ticket: JoinTicket(id: 99), topics: stage.topics, now: stage.now)
    var group = try #require(stage.shard.classicGroups["g"])
    group.protocolName = "range"
    group.subscribedTopics = group.readSubscribedTopics()
    #expect(group.subscribedTopics == nil)
    #expect(group.isSubscribed(to: "whatever"))
  }

  @Test func `deleting a topic takes the offsets of all groups for it`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(stage.commit("g", ids[0], generation, topic: "orders", offset: 1) == .none)
    #expect(stage.commit("h", topic: "orders", offset: 1) == .none)
    #expect(stage.commit("h", topic: "other", offset: 1) == .none)
    stage.deleteTopic("orders")
    #expect(stage.committed("g", topic: "orders").committedOffset == -1)
    #expect(stage.committed("h", topic: "orders").committedOffset == -1)
    #expect(stage.committed("h", topic: "other").committedOffset == 1)
    #expect(try stage.replayed().offsets == stage.shard.offsets)
  }

  @Test func `offsets expire a retention after the last member left, and then the group`() throws {
    var stage = GroupStage()
    let retention = stage.shard.config.offsetsRetentionMs
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(stage.commit("g", ids[0], generation, offset: 1) == .none)
    stage.expireOffsets()
    #expect(stage.leave("g", ids[0]) == [.none])
    stage.pass(ms: retention - 1)
    stage.expireOffsets()
    #expect(stage.committed("g").committedOffset == 1)
    stage.pass(ms: 1)
    stage.expireOffsets()
    #expect(stage.committed("g").committedOffset == -1)
    #expect(stage.group("g") == nil)
    #expect(try stage.replayed().classicGroups.isEmpty)
  }

  @Test func `a stable group keeps what it subscribes to and loses what it has given up`() throws {
    var stage = GroupStage()
    let retention = stage.shard.config.offsetsRetentionMs
    let (ids, generation) = try stage.stableGroup("g", members: 1, topics: ["orders"])
    #expect(stage.commit("g", ids[0], generation, topic: "orders", offset: 1) == .none)
    #expect(stage.commit("g", ids[0], generation, topic: "given up", offset: 1) == .none)
    #expect(stage.commit("simple", topic: "orders", offset: 1) == .none)
    // The member goes on heartbeating for a week; time is all that matters here.
    for _ in 0..<(retention / 9_000 + 1) {
      stage.pass(ms: 9_000)
      #expect(stage.heartbeat("g", ids[0], generation) == .none)
    }
    stage.expireOffsets()
    #expect(stage.committed("g", topic: "orders").committedOffset == 1)
    #expect(stage.committed("g", topic: "given up").committedOffset == -1)
    #expect(stage.group("simple") == nil, "a simple group counts from its last commit")
  }

  @Test func `a retention that an old client asked for is kept in its own record version`() throws {
    var stage = GroupStage()
    #expect(stage.commit("g", offset: 1, retentionMs: 1_000, version: 2) == .none)
    let value = try #require(stage.journal.last?.value)
    #expect(value.getInteger(at: value.readerIndex, as: Int16.self) == 1)
    #expect(stage.commit("g", partition: 1, offset: 1) == .none)
    let current = try #require(stage.journal.last?.value)
    #expect(current.getInteger(at: current.readerIndex, as: Int16.self) == 4)
    stage.pass(ms: 1_000)
    stage.expireOffsets()
    #expect(stage.committed("g", partition: 0).committedOffset == -1)
    #expect(stage.committed("g", partition: 1).committedOffset == 1)
    #expect(stage.commit("h", offset: 1, retentionMs: .max, version: 2) == .none)
  }
}
