import Testing

@testable import MillraceClient

@Suite struct AssignorTests {
  private func member(_ id: String, _ topics: Set<String>, instance: String? = nil) -> GroupCandidate {
    GroupCandidate(memberId: id, groupInstanceId: instance, topics: topics)
  }

  private func partitions(_ topic: String, _ indexes: Int32...) -> [TopicPartition] {
    indexes.map { TopicPartition(topic, $0) }
  }

  @Test func `range gives neighbours of each topic and the first members one more`() {
    let assignment = GroupAssignor.range.assign(
      [member("b", ["t", "u"]), member("a", ["t", "u"])], partitionCounts: ["t": 3, "u": 3])
    #expect(assignment["a"] == partitions("t", 0, 1) + partitions("u", 0, 1))
    #expect(assignment["b"] == partitions("t", 2) + partitions("u", 2))
  }

  @Test func `range gives a member without a partition nothing`() {
    let assignment = GroupAssignor.range.assign(
      [member("a", ["t"]), member("b", ["t"]), member("c", ["t"])], partitionCounts: ["t": 2])
    #expect(assignment == ["a": partitions("t", 0), "b": partitions("t", 1), "c": []])
  }

  @Test func `round robin gives all partitions in turn`() {
    let assignment = GroupAssignor.roundRobin.assign(
      [member("a", ["t", "u"]), member("b", ["t", "u"])], partitionCounts: ["t": 3, "u": 3])
    #expect(assignment["a"] == partitions("t", 0, 2) + partitions("u", 1))
    #expect(assignment["b"] == partitions("t", 1) + partitions("u", 0, 2))
  }

  @Test func `round robin passes over who is not subscribed`() {
    let assignment = GroupAssignor.roundRobin.assign(
      [member("a", ["t"]), member("b", ["t", "u"]), member("c", ["u"])], partitionCounts: ["t": 2, "u": 2])
    #expect(assignment["a"] == partitions("t", 0))
    #expect(assignment["b"] == partitions("t", 1) + partitions("u", 1))
    #expect(assignment["c"] == partitions("u", 0))
  }

  @Test(arguments: GroupAssignor.allCases)
  func `topics that do not exist or that nobody wants are left out`(_ assignor: GroupAssignor) {
    let assignment = assignor.assign([member("a", ["missing"])], partitionCounts: ["unwanted": 3])
    #expect(assignment == ["a": []])
    #expect(assignor.assign([], partitionCounts: ["t": 1]).isEmpty)
  }

  @Test func `static members keep their partitions under a new member id`() {
    let before = GroupAssignor.range.assign(
      [member("x", ["t"], instance: "one"), member("y", ["t"], instance: "two")], partitionCounts: ["t": 4])
    let after = GroupAssignor.range.assign(
      [member("z", ["t"], instance: "one"), member("y", ["t"], instance: "two")], partitionCounts: ["t": 4])
    #expect(before["x"] == after["z"])
    #expect(before["y"] == after["y"])
  }

  @Test(arguments: GroupAssignor.allCases)
  func `every partition has exactly one member`(_ assignor: GroupAssignor) {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    for _ in 0..<100 {
      let topics = (0..<5).map { "t\($0)" }
      let counts = Dictionary(uniqueKeysWithValues: topics.map { ($0, Int.random(in: 1...9, using: &generator)) })
      let members = (0..<Int.random(in: 1...6, using: &generator)).map { index in
        member("m\(index)", Set(topics.filter { _ in Bool.random(using: &generator) }))
      }
      let assignment = assignor.assign(members, partitionCounts: counts)
      var owners: [TopicPartition: Int] = [:]
      for (id, partitions) in assignment {
        for partition in partitions {
          owners[partition, default: 0] += 1
          #expect(members.first { $0.memberId == id }?.topics.contains(partition.topic) == true, "seed \(seed)")
        }
      }
      for (topic, count) in counts where members.contains(where: { $0.topics.contains(topic) }) {
        for index in 0..<count { #expect(owners[TopicPartition(topic, Int32(index))] == 1, "seed \(seed)") }
      }
    }
  }
}
