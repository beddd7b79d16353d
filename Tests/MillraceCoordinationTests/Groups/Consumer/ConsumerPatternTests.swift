import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct ConsumerPatternTests {
  @Test func `a regular expression counts when its topics are known`() throws {
    var stage = GroupStage()
    let one = stage.addTopic("orders-1", partitions: 2)
    _ = stage.addTopic("payments", partitions: 2)
    var members = [TestConsumer("g", "a", topics: [], regex: "orders-.*")]
    members.settle(&stage, rounds: 2)
    #expect(members[0].owned.isEmpty)
    #expect(stage.patternQueries.count == 1)
    stage.resolvePatterns()
    members.settle(&stage)
    #expect(members[0].owned == [one: [0, 1]])
    try stage.checkConsumerGroups()
  }

  @Test func `a topic that is born later is found, and one that dies is let go`() throws {
    var stage = GroupStage()
    let one = stage.addTopic("orders-1", partitions: 1)
    var members = [TestConsumer("g", "a", topics: [], regex: "orders-.*")]
    members.settle(&stage, rounds: 1)
    stage.resolvePatterns()
    members.settle(&stage)
    let two = stage.addTopic("orders-2", partitions: 1)
    members.settle(&stage, rounds: 1)
    #expect(stage.patternQueries.isEmpty, "not more often than every ten seconds")
    stage.pass(ms: 10_000)
    members.settle(&stage, rounds: 1)
    stage.resolvePatterns()
    members.settle(&stage)
    #expect(Set(members[0].owned.keys) == [one, two])
    stage.removeTopic("orders-1")
    members.settle(&stage)
    #expect(Set(members[0].owned.keys) == [two])
    try stage.checkConsumerGroups()
  }

  @Test func `what nobody asks for any more is forgotten`() throws {
    var stage = GroupStage()
    _ = stage.addTopic("orders-1", partitions: 2)
    var members = [
      TestConsumer("g", "a", topics: [], regex: "orders-.*"), TestConsumer("g", "b", topics: ["orders-1"]),
    ]
    members.settle(&stage, rounds: 1)
    stage.resolvePatterns()
    members.settle(&stage)
    #expect(members.map(\.partitionCount) == [1, 1])
    members[0].leave(&stage)
    #expect(stage.consumerGroup("g")?.resolvedPatterns.isEmpty == true)
    #expect(try stage.replayed().consumerGroups["g"]?.resolvedPatterns.isEmpty == true)
  }

  @Test func `names and an expression add up`() throws {
    var stage = GroupStage()
    let one = stage.addTopic("orders-1", partitions: 1)
    let two = stage.addTopic("payments", partitions: 1)
    var members = [TestConsumer("g", "a", topics: ["payments"], regex: "orders-.*")]
    members.settle(&stage, rounds: 1)
    stage.resolvePatterns()
    members.settle(&stage)
    #expect(Set(members[0].owned.keys) == [one, two])
    #expect(stage.deleteOffset("g", topic: "orders-1").1 == .groupSubscribedToTopic)
  }

  @Test func `an answer that comes when the group has gone does no harm`() {
    var stage = GroupStage()
    _ = stage.addTopic("orders-1", partitions: 1)
    var members = [TestConsumer("g", "a", topics: [], regex: "orders-.*")]
    members.settle(&stage, rounds: 1)
    members[0].leave(&stage)
    stage.resolvePatterns()
    #expect(stage.consumerGroup("g")?.resolvedPatterns.isEmpty == true)
    _ = stage.delete("g")
    stage.patternQueries = []
    stage.resolvePatterns()
    #expect(stage.consumerGroup("g") == nil)
  }
}
