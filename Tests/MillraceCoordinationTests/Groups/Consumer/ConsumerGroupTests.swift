import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ConsumerGroupTests {
  private func error(_ response: ConsumerGroupHeartbeatResponse) -> ErrorCode {
    ErrorCode(rawValue: response.errorCode)
  }

  // MARK: Coming

  @Test func `the first member gets all partitions in its first answer`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 3)
    let answer = stage.consumerHeartbeat(
      "g", "a", epoch: 0, rebalanceMs: 60_000, topics: ["orders", "unborn"], owned: [:])
    #expect(error(answer) == .none)
    #expect(answer.memberEpoch == 1)
    #expect(answer.memberId == "a")
    #expect(answer.heartbeatIntervalMs == 5_000)
    #expect(answer.assignment?.topicPartitions == [.init(topicId: orders, partitions: [0, 1, 2])])
    #expect(stage.consumerGroup("g")?.state == .stable)
    try stage.checkConsumerGroups()
  }

  @Test func `a heartbeat that says nothing new journals nothing and repeats nothing`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 3)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    let count = stage.journal.count
    let answer = stage.consumerHeartbeat("g", "a", epoch: 1)
    #expect(answer.assignment == nil)
    #expect(answer.memberEpoch == 1)
    #expect(stage.journal.count == count)
  }

  @Test func `a member that says everything is told everything`() {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 1)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    let answer = stage.consumerHeartbeat(
      "g", "a", epoch: 1, rebalanceMs: 60_000, topics: ["orders"], owned: [orders: [0]])
    #expect(answer.assignment?.topicPartitions.count == 1)
  }

  @Test func `a partition moves only after it was given up`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 4)
    var first = TestConsumer("g", "a")
    var second = TestConsumer("g", "b")
    first.heartbeat(&stage)
    second.heartbeat(&stage)
    #expect(second.epoch == 2)
    #expect(second.owned.isEmpty, "everything is still at the first")
    #expect(stage.consumerGroup("g")?.state == .reconciling)
    #expect(stage.consumerGroup("g")?.members["b"]?.placement.state == .unreleasedPartitions)

    // The first is told to give up two, in its old epoch.
    first.heartbeat(&stage)
    #expect(first.epoch == 1)
    #expect(first.partitionCount == 2)
    second.heartbeat(&stage)
    #expect(second.owned.isEmpty, "the first has not confirmed")

    first.heartbeat(&stage)
    #expect(first.epoch == 2)
    second.heartbeat(&stage)
    #expect(second.partitionCount == 2)
    #expect(first.owned[orders]?.isDisjoint(with: second.owned[orders] ?? []) == true)
    #expect(stage.consumerGroup("g")?.state == .stable)
    try stage.checkConsumerGroups()
  }

  @Test func `silence about what it has is not taken for giving up`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b")]
    members[0].heartbeat(&stage)
    members[1].heartbeat(&stage)
    members[0].heartbeat(&stage)
    let answer = stage.consumerHeartbeat("g", "a", epoch: 1)
    #expect(answer.memberEpoch == 1)
    #expect(stage.consumerGroup("g")?.members["a"]?.placement.state == .unrevokedPartitions)
  }

  @Test func `a coordinator of version 0 makes the id`() {
    var stage = GroupStage()
    let answer = stage.consumerHeartbeat("g", "", epoch: 0, rebalanceMs: 1, topics: [], owned: [:], version: 0)
    #expect(answer.memberId == "made-up")
  }

  // MARK: Going

  @Test func `what a leaving member had goes to the others`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 6)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b"), TestConsumer("g", "c")]
    members.settle(&stage)
    #expect(members.map(\.partitionCount) == [2, 2, 2])
    let kept = members[0].owned
    members[2].leave(&stage)
    members.removeLast()
    members.settle(&stage)
    #expect(members.map(\.partitionCount) == [3, 3])
    for (topic, partitions) in kept { #expect(partitions.isSubset(of: members[0].owned[topic] ?? [])) }
    try stage.checkConsumerGroups()
  }

  @Test func `the last member leaves an empty group that can be deleted`() throws {
    var stage = GroupStage()
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    #expect(stage.delete("g") == .nonEmptyGroup)
    member.leave(&stage)
    #expect(stage.consumerGroup("g")?.state == .empty)
    #expect(stage.delete("g") == .none)
    #expect(stage.consumerGroup("g") == nil)
    #expect(try stage.replayed().consumerGroups.isEmpty)
  }

  @Test func `a silent member is removed when its session is over`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b")]
    members.settle(&stage)
    for _ in 0..<10 {
      stage.pass(ms: 5_000)
      members[0].heartbeat(&stage)
    }
    #expect(stage.consumerGroup("g")?.members.keys.sorted() == ["a"])
    members[0].heartbeat(&stage)
    #expect(members[0].partitionCount == 2)
    members[1].heartbeat(&stage)
    #expect(members[1].lastError == .unknownMemberId)
  }

  @Test func `a member that keeps what it should give up is removed after its rebalance time-out`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var first = TestConsumer("g", "a")
    first.rebalanceMs = 10_000
    var second = TestConsumer("g", "b")
    first.heartbeat(&stage)
    second.heartbeat(&stage)
    first.heartbeat(&stage)
    for _ in 0..<4 {
      stage.pass(ms: 3_000)
      _ = stage.consumerHeartbeat("g", "a", epoch: 1)
      second.heartbeat(&stage)
    }
    #expect(stage.consumerGroup("g")?.members.keys.sorted() == ["b"])
    second.heartbeat(&stage)
    #expect(second.partitionCount == 2)
  }

  @Test func `sessions begin anew when the coordinator does`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b")]
    members.settle(&stage)
    try stage.restart()
    members.settle(&stage)
    #expect(members.map(\.lastError) == [.none, .none])
    stage.pass(ms: 46_000)
    #expect(stage.consumerGroup("g")?.state == .empty)
  }

  // MARK: Epochs

  @Test func `an answer that was lost is given again`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var first = TestConsumer("g", "a")
    var second = TestConsumer("g", "b")
    first.heartbeat(&stage)
    second.heartbeat(&stage)
    first.heartbeat(&stage)
    first.heartbeat(&stage, isLost: true)
    #expect(stage.consumerGroup("g")?.members["a"]?.epoch == 2)
    first.heartbeat(&stage)
    #expect(first.lastError == .none)
    #expect(first.epoch == 2)
  }

  @Test func `an epoch that is not the member's is fenced`() {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 2)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    #expect(error(stage.consumerHeartbeat("g", "a", epoch: 7)) == .fencedMemberEpoch)
    #expect(error(stage.consumerHeartbeat("g", "b", epoch: 1)) == .unknownMemberId)
    #expect(error(stage.consumerHeartbeat("none", "a", epoch: 1)) == .groupIdNotFound)
    // The epoch before, with a partition that it has not: that is no lost answer.
    var second = TestConsumer("g", "b")
    second.heartbeat(&stage)
    member.heartbeat(&stage)
    member.heartbeat(&stage)
    #expect(member.epoch == 2)
    #expect(error(stage.consumerHeartbeat("g", "a", epoch: 1, owned: [orders: [0, 1]])) == .fencedMemberEpoch)
  }

  @Test func `offsets are fenced by epochs`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 1)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    #expect(stage.commit("g", "a", 1, offset: 5) == .none)
    #expect(stage.commit("g", "a", 0, offset: 6) == .staleMemberEpoch)
    #expect(stage.commit("g", "b", 1, offset: 6) == .unknownMemberId)
    #expect(stage.commit("g", offset: 6) == .unknownMemberId)
    #expect(stage.commit("g", "a", 1, offset: 6, version: 8) == .unsupportedVersion)
    func fetch(_ memberId: String?, _ epoch: Int32) -> ErrorCode {
      let answer = stage.shard.fetchOffsets(.init(groupId: "g", memberId: memberId, memberEpoch: epoch, topics: nil))
      return ErrorCode(rawValue: answer.errorCode)
    }
    #expect(fetch("a", 1) == .none)
    #expect(fetch("a", 2) == .staleMemberEpoch)
    #expect(fetch("b", 1) == .unknownMemberId)
    #expect(fetch(nil, -1) == .none)
    #expect(stage.deleteOffset("g", topic: "orders").1 == .groupSubscribedToTopic)
    member.leave(&stage)
    #expect(stage.commit("g", offset: 9) == .none)
    #expect(stage.deleteOffset("g", topic: "orders").1 == ErrorCode.none)
  }

  // MARK: Topics

  @Test func `new partitions are given out when their topic grows`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b")]
    members.settle(&stage)
    let epoch = try #require(stage.consumerGroup("g")).epoch
    _ = stage.addTopic("orders", partitions: 6)
    members.settle(&stage)
    #expect(members.map(\.partitionCount) == [3, 3])
    #expect(stage.consumerGroup("g")?.epoch == epoch + 1)
  }

  @Test func `a topic that others use does not move anything`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var members = [TestConsumer("g", "a")]
    members.settle(&stage)
    let count = stage.journal.count
    _ = stage.addTopic("others", partitions: 6)
    members.settle(&stage)
    #expect(stage.journal.count == count)
  }

  @Test func `partitions of a deleted topic are taken away`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    let payments = stage.addTopic("payments", partitions: 2)
    var members = [TestConsumer("g", "a", topics: ["orders", "payments"])]
    members.settle(&stage)
    stage.removeTopic("payments")
    members.settle(&stage)
    #expect(members[0].owned[payments] == nil)
    #expect(members[0].partitionCount == 2)
    try stage.checkConsumerGroups()
  }

  @Test func `a changed subscription takes effect for its member and the others`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 2)
    let payments = stage.addTopic("payments", partitions: 2)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b")]
    members.settle(&stage)
    members[0].subscribe(to: ["payments"])
    members.settle(&stage)
    #expect(members[0].owned == [payments: [0, 1]])
    #expect(members[1].owned == [orders: [0, 1]])
    try stage.checkConsumerGroups()
  }

  @Test func `most votes choose the assignor`() throws {
    var stage = GroupStage()
    let orders = stage.addTopic("orders", partitions: 4)
    for id in ["a", "b"] {
      let answer = stage.consumerHeartbeat(
        "g", id, epoch: 0, rebalanceMs: 1_000, topics: ["orders"], assignor: "range", owned: [:])
      #expect(error(answer) == .none)
    }
    #expect(stage.consumerGroup("g")?.targets["a"]?[orders] == [0, 1])
    #expect(stage.describeConsumerGroup("g").assignorName == "range")
  }

  // MARK: Bad input

  @Test func `what a heartbeat may not say is refused and changes nothing`() {
    typealias Request = ConsumerGroupHeartbeatRequest
    var stage = GroupStage()
    let joins = Request(
      groupId: "g", memberId: "a", rebalanceTimeoutMs: 1, subscribedTopicNames: [], topicPartitions: [])
    func refusal(_ change: (inout Request) -> Void, version: Int16 = 1) -> ErrorCode {
      var request = joins
      change(&request)
      return error(stage.consumerHeartbeat(request, version: version))
    }
    #expect(refusal { $0.memberId = "" } == .invalidRequest)
    #expect(refusal { $0.groupId = "" } == .invalidRequest)
    #expect(refusal { $0.instanceId = "" } == .invalidRequest)
    #expect(refusal { $0.rackId = "" } == .invalidRequest)
    #expect(refusal { $0.rebalanceTimeoutMs = -1 } == .invalidRequest)
    #expect(refusal { $0.topicPartitions = nil } == .invalidRequest)
    #expect(refusal { $0.topicPartitions = [.init()] } == .invalidRequest)
    #expect(refusal { $0.subscribedTopicNames = nil } == .invalidRequest)
    #expect(refusal { $0.memberEpoch = -3 } == .invalidRequest)
    #expect(refusal { $0.memberEpoch = -2 } == .invalidRequest)
    #expect(refusal { $0.memberEpoch = .min } == .invalidRequest)
    #expect(refusal { $0.serverAssignor = "sticky" } == .unsupportedAssignor)
    #expect(refusal { $0.subscribedTopicRegex = "(" } == .invalidRegularExpression)
    #expect(refusal { $0.memberId = String(repeating: "m", count: 40_000) } == .invalidRequest)
    #expect(refusal { $0.groupId = String(repeating: "g", count: 40_000) } == .invalidRequest)
    #expect(
      refusal { $0.subscribedTopicNames = Array(repeating: String(repeating: "t", count: 249), count: 4_000) }
        == .invalidRequest)
    #expect(stage.shard.consumerGroups.isEmpty)
    #expect(stage.journal.isEmpty)
  }

  @Test func `a full group takes nobody else`() {
    var config = GroupConfig()
    config.consumer.maxSize = 2
    var stage = GroupStage(config: config)
    var members = [TestConsumer("g", "a"), TestConsumer("g", "b"), TestConsumer("g", "c")]
    members.settle(&stage, rounds: 2)
    #expect(members.map(\.lastError) == [.none, .none, .groupMaxSizeReached])
  }

  // MARK: Administration

  @Test func `groups are listed and described with their kind`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var members = [TestConsumer("g", "a", instance: "i")]
    members.settle(&stage)
    _ = stage.commit("simple", offset: 1)
    #expect(stage.shard.list(states: [], types: []).map(\.groupType) == ["consumer", "classic"])
    #expect(stage.shard.list(states: ["stable"], types: ["Consumer"]).map(\.groupId) == ["g"])
    #expect(stage.shard.list(states: ["Empty"], types: ["consumer"]).isEmpty)
    let described = stage.describeConsumerGroup("g")
    #expect(described.groupState == "Stable")
    #expect(described.members.first?.instanceId == "i")
    #expect(described.members.first?.assignment.topicPartitions.first?.topicName == "orders")
    #expect(described.members.first?.memberType == 1)
    #expect(stage.describeConsumerGroup("simple").errorCode == ErrorCode.groupIdNotFound.rawValue)
    #expect(stage.shard.describe("g", version: 6).errorCode == ErrorCode.groupIdNotFound.rawValue)
  }

  @Test func `unused offsets of a consumer group expire, and the group with the last`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 1)
    var member = TestConsumer("g", "a")
    member.heartbeat(&stage)
    #expect(stage.commit("g", "a", 1, offset: 5) == .none)
    member.leave(&stage)
    stage.expireOffsets()
    #expect(stage.committed("g").committedOffset == 5)
    stage.pass(ms: stage.shard.config.offsetsRetentionMs + 1)
    stage.expireOffsets()
    #expect(stage.consumerGroup("g") == nil)
    #expect(try stage.replayed().consumerGroups.isEmpty)
  }
}
