import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ConsumerStaticMemberTests {
  @Test func `a static member that comes back in time gets its partitions and nobody else notices`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 4)
    var members = [TestConsumer("g", "a", instance: "i1"), TestConsumer("g", "b", instance: "i2")]
    members.settle(&stage)
    let had = members[0].owned
    let epoch = try #require(stage.consumerGroup("g")).epoch
    members[0].leave(&stage, forNow: true)
    #expect(stage.consumerGroup("g")?.members["a"]?.epoch == -2)

    members[0] = TestConsumer("g", "a2", instance: "i1")
    members[0].heartbeat(&stage)
    #expect(members[0].owned == had)
    #expect(stage.consumerGroup("g")?.epoch == epoch)
    #expect(stage.consumerGroup("g")?.members.keys.sorted() == ["a2", "b"])
    try stage.checkConsumerGroups()
  }

  @Test func `a static member that stays away is removed when its session is over`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 4)
    var members = [TestConsumer("g", "a", instance: "i1"), TestConsumer("g", "b")]
    members.settle(&stage)
    members[0].leave(&stage, forNow: true)
    members.removeFirst()
    for _ in 0..<10 {
      stage.pass(ms: 5_000)
      members.settle(&stage, rounds: 1)
    }
    #expect(members[0].partitionCount == 4)
  }

  @Test func `an instance id in use is not given away`() {
    var stage = GroupStage()
    var first = TestConsumer("g", "a", instance: "i")
    first.heartbeat(&stage)
    var second = TestConsumer("g", "b", instance: "i")
    second.heartbeat(&stage)
    #expect(second.lastError == .unreleasedInstanceId)
    #expect(stage.consumerHeartbeat("g", "b", epoch: 1, instance: "i").errorCode == ErrorCode.fencedInstanceId.rawValue)
    #expect(
      stage.consumerHeartbeat("g", "b", epoch: -1, instance: "i").errorCode == ErrorCode.fencedInstanceId.rawValue)
    #expect(stage.consumerHeartbeat("g", "b", epoch: 1, instance: "x").errorCode == ErrorCode.unknownMemberId.rawValue)
  }

  @Test func `the old id of a replaced static member is unknown`() {
    var stage = GroupStage()
    var first = TestConsumer("g", "a", instance: "i")
    first.heartbeat(&stage)
    first.leave(&stage, forNow: true)
    var second = TestConsumer("g", "b", instance: "i")
    second.heartbeat(&stage)
    #expect(second.lastError == .none)
    #expect(stage.consumerHeartbeat("g", "a", epoch: 1).errorCode == ErrorCode.unknownMemberId.rawValue)
    #expect(stage.consumerHeartbeat("g", "a", epoch: 1, instance: "i").errorCode == ErrorCode.fencedInstanceId.rawValue)
  }

  @Test func `a static member may come back under its own id`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders", partitions: 2)
    var member = TestConsumer("g", "a", instance: "i")
    member.heartbeat(&stage)
    member.leave(&stage, forNow: true)
    member.heartbeat(&stage)
    #expect(member.lastError == .none)
    #expect(member.partitionCount == 2)
    try stage.checkConsumerGroups()
  }
}
