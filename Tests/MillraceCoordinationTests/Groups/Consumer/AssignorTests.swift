import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct AssignorTests {
  private static let orders = Uuid(high: 0, low: 1)
  private static let payments = Uuid(high: 0, low: 2)

  private func subscriber(
    _ id: String, _ topics: [Uuid] = [orders], has current: [Uuid: Set<Int32>] = [:], instance: String? = nil
  ) -> Subscriber {
    Subscriber(memberId: id, instanceId: instance, topics: topics, current: PartitionsByTopic(current))
  }

  private func moved(_ before: [Subscriber], _ after: [PartitionsByTopic]) -> Int {
    zip(before, after).reduce(0) { sum, pair in
      sum
        + pair.0.current.topics.reduce(0) { sum, entry in sum + entry.value.subtracting(pair.1[entry.key]).count }
    }
  }

  @Test func `uniform gives everybody the same number, give or take one`() {
    let members = ["a", "b", "c"].map { subscriber($0, [Self.orders, Self.payments]) }
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 7, Self.payments: 4])
    #expect(assigned.map(\.count).sorted() == [3, 4, 4])
    #expect(assigned.reduce(0) { $0 + $1[Self.orders].count } == 7)
  }

  @Test func `a member that comes takes only its share`() {
    var members = [
      subscriber("a", has: [Self.orders: [0, 1, 2, 3, 4, 5, 6, 7]]),
      subscriber("b", has: [Self.orders: [8, 9, 10, 11, 12, 13, 14, 15]]),
      subscriber("c", has: [Self.orders: [16, 17, 18, 19, 20, 21, 22, 23]]),
    ]
    members.append(subscriber("0"))
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 24])
    #expect(assigned.map(\.count) == [6, 6, 6, 6])
    #expect(moved(members, assigned) == 6)
  }

  @Test func `a member that goes leaves the others what they have`() {
    let members = [
      subscriber("a", has: [Self.orders: [0, 1]]), subscriber("b", has: [Self.orders: [2, 3, 4]]),
    ]
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 8])
    #expect(assigned.map(\.count) == [4, 4])
    #expect(moved(members, assigned) == 0)
  }

  @Test func `the odd partition stays where it is`() {
    // Whoever comes first by name would take it otherwise.
    let members = [subscriber("a", has: [Self.orders: [0, 1]]), subscriber("b", has: [Self.orders: [2, 3, 4]])]
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 5])
    #expect(moved(members, assigned) == 0)
  }

  @Test func `partitions that are gone are nobody's`() {
    let members = [subscriber("a", has: [Self.orders: [0, 9, -1], Self.payments: [1]]), subscriber("b")]
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 2])
    #expect(assigned.map { $0[Self.orders] } == [[0], [1]])
    #expect(assigned.allSatisfy { $0[Self.payments].isEmpty })
  }

  @Test func `different subscriptions are evened out as far as they go`() {
    let members = [
      subscriber("a", [Self.orders, Self.payments]), subscriber("b", [Self.orders]),
      subscriber("c", [Self.payments]),
    ]
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 4, Self.payments: 8])
    #expect(assigned.reduce(0) { $0 + $1.count } == 12)
    #expect(assigned[1][Self.payments].isEmpty && assigned[2][Self.orders].isEmpty)
    #expect(assigned.map(\.count) == [4, 4, 4])
  }

  @Test func `a member that alone may read a topic gives up others`() {
    let members = [
      subscriber("a", [Self.orders, Self.payments], has: [Self.orders: [0, 1, 2, 3]]), subscriber("b", [Self.orders]),
    ]
    let assigned = Assignor.uniform.assign(members, partitionCounts: [Self.orders: 4, Self.payments: 4])
    #expect(assigned[0][Self.payments] == [0, 1, 2, 3])
    #expect(assigned.map(\.count) == [4, 4])
  }

  @Test func `range keeps neighbours together and topics alike`() {
    let members = ["b", "a", "c"].map { subscriber($0, [Self.orders, Self.payments]) }
    let assigned = Assignor.range.assign(members, partitionCounts: [Self.orders: 7, Self.payments: 3])
    #expect(assigned.map { $0[Self.orders] } == [[3, 4], [0, 1, 2], [5, 6]])
    #expect(assigned.map { $0[Self.payments] } == [[1], [0], [2]])
  }

  @Test func `range puts static members first, by instance id`() {
    let members = [subscriber("a"), subscriber("z", instance: "i2"), subscriber("y", instance: "i1")]
    let assigned = Assignor.range.assign(members, partitionCounts: [Self.orders: 2])
    #expect(assigned.map { $0[Self.orders] } == [[], [1], [0]])
  }

  @Test(arguments: (1...40).map { UInt64($0) } + [UInt64.random(in: 1_000...UInt64.max)])
  func `every partition goes to one subscriber, whatever the subscriptions`(seed: UInt64) {
    var random = SeededGenerator(state: seed)
    let topics = (1...5).map { Uuid(high: 0, low: $0) }
    let counts = topics.reduce(into: [Uuid: Int32]()) { $0[$1] = Int32.random(in: 1...12, using: &random) }
    let isHomogeneous = Bool.random(using: &random)
    var members: [Subscriber] = []
    for index in 0..<Int.random(in: 1...9, using: &random) {
      let chosen = isHomogeneous ? topics : topics.filter { _ in Bool.random(using: &random) }
      var current: [Uuid: Set<Int32>] = [:]
      for topic in topics {
        current[topic] = Set((0..<4).map { _ in Int32.random(in: 0...15, using: &random) })
      }
      members.append(subscriber("m\(index)", chosen, has: current))
    }
    for assignor in Assignor.allCases {
      let assigned = assignor.assign(members, partitionCounts: counts)
      for topic in topics {
        let expected = members.contains { $0.topics.contains(topic) } ? Set(0..<(counts[topic] ?? 0)) : []
        let all = assigned.flatMap { $0[topic].sorted() }
        #expect(all.sorted() == expected.sorted(), "seed \(seed)")
        for (member, partitions) in zip(members, assigned) where !member.topics.contains(topic) {
          #expect(partitions[topic].isEmpty, "seed \(seed)")
        }
      }
      if isHomogeneous && assignor == .uniform {
        let sizes = assigned.map(\.count)
        #expect((sizes.max() ?? 0) - (sizes.min() ?? 0) <= 1, "seed \(seed)")
        // Nothing moves a second time.
        let settled = zip(members, assigned).map { subscriber($0.memberId, $0.topics, has: $1.topics) }
        #expect(moved(settled, assignor.assign(settled, partitionCounts: counts)) == 0, "seed \(seed)")
      }
    }
  }
}
