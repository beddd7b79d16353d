import Testing

@testable import MillraceClient

@Suite struct StickyAssignorTests {
  private func member(
    _ id: String, _ topics: Set<String> = ["t"], owned: [Int32] = [], generation: Int32 = 1
  ) -> GroupCandidate {
    GroupCandidate(
      memberId: id, topics: topics, owned: owned.map { TopicPartition("t", $0) }, ownedGeneration: generation)
  }

  private func indexes(_ partitions: [TopicPartition]?) -> [Int32]? { partitions?.map(\.partition) }

  @Test func `members keep what they had, and a new one gets what is too much for others`() {
    let assignment = GroupAssignor.sticky.assign(
      [member("a", owned: [0, 2, 4]), member("b", owned: [1, 3, 5]), member("c")], partitionCounts: ["t": 6])
    #expect(indexes(assignment["a"]) == [0, 2])
    #expect(indexes(assignment["b"]) == [1, 3])
    #expect(indexes(assignment["c"]) == [4, 5])
  }

  @Test func `what a member that is gone had is shared out, and nothing else moves`() {
    let assignment = GroupAssignor.sticky.assign(
      [member("a", owned: [0, 3]), member("b", owned: [1, 4])], partitionCounts: ["t": 6])
    #expect(indexes(assignment["a"]) == [0, 2, 3])
    #expect(indexes(assignment["b"]) == [1, 4, 5])
  }

  @Test func `who had it last keeps it, and nobody when two say so of one generation`() {
    let late = GroupAssignor.sticky.assign(
      [member("a", owned: [0, 1], generation: 1), member("b", owned: [0, 1], generation: 2), member("c")],
      partitionCounts: ["t": 2])
    #expect(indexes(late["b"]) == [0])
    let equal = GroupAssignor.cooperativeSticky.assign(
      [member("a", owned: [0]), member("b", owned: [0])], partitionCounts: ["t": 1])
    #expect(equal.values.joined().count == 1)
  }

  @Test func `a cooperative member does not get what another still reads`() {
    let first = GroupAssignor.cooperativeSticky.assign(
      [member("a", owned: [0, 1, 2, 3]), member("b")], partitionCounts: ["t": 4])
    #expect(indexes(first["a"]) == [0, 1])
    #expect(first["b"] == [])
    let second = GroupAssignor.cooperativeSticky.assign(
      [member("a", owned: [0, 1], generation: 2), member("b", generation: 2)], partitionCounts: ["t": 4])
    #expect(indexes(second["a"]) == [0, 1])
    #expect(indexes(second["b"]) == [2, 3])
  }

  @Test func `whatever members say they had, the assignment is even and moves no more than it must`() {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    for _ in 0..<200 {
      let topics = (0..<3).map { "t\($0)" }
      let counts = Dictionary(uniqueKeysWithValues: topics.map { ($0, Int.random(in: 1...12, using: &generator)) })
      let areAlike = Bool.random(using: &generator)
      let members = (0..<Int.random(in: 1...7, using: &generator)).map { index in
        GroupCandidate(
          memberId: "m\(index)",
          topics: Set(topics.filter { _ in areAlike || Int.random(in: 0..<3, using: &generator) > 0 }),
          owned: (0..<Int.random(in: 0...9, using: &generator)).map { _ in
            TopicPartition(topics.randomElement(using: &generator)!, Int32.random(in: -1...13, using: &generator))
          }, ownedGeneration: Int32.random(in: 1...3, using: &generator))
      }
      check(GroupAssignor.sticky.assign(members, partitionCounts: counts), members, areAlike ? counts : nil, seed)
    }
  }

  /// - Parameter counts: of a group whose members all want the same.
  private func check(
    _ assignment: [String: [TopicPartition]], _ members: [GroupCandidate], _ counts: [String: Int]?, _ seed: UInt64
  ) {
    for giver in members {
      for taker in members where taker.memberId != giver.memberId {
        let given = assignment[giver.memberId] ?? []
        let canMove = given.contains { taker.topics.contains($0.topic) }
        #expect(!canMove || given.count <= (assignment[taker.memberId]?.count ?? 0) + 1, "seed \(seed)")
      }
    }
    guard let counts else { return }
    // Kept is as much as fits: everything that nobody else claims, up to an even share.
    let claims = Dictionary(grouping: members.flatMap { Array(Set($0.owned)) }, by: \.self)
    let share = counts.values.reduce(0, +) / members.count
    for member in members {
      let own = Set(member.owned).filter { partition in
        claims[partition]?.count == 1 && (0..<(counts[partition.topic] ?? 0)).contains(Int(partition.partition))
      }
      let kept = Set(assignment[member.memberId] ?? []).intersection(Set(member.owned))
      #expect(kept.count >= min(own.count, share), "seed \(seed)")
    }
  }
}
