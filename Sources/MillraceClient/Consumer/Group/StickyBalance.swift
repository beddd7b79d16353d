// The assignment of the sticky assignors: as even as the subscriptions allow, and as much of it as before as that allows.
//
//    keep what members had ──▶ fill: the rest goes to whoever has least ──▶ even: from those with most to those with least
//
// Each step of `even` takes two from the difference of two members, so it ends; and it takes no more steps than there are
// partitions too many somewhere.

struct StickyBalance {
  private let members: [GroupCandidate]
  private let counts: [String: Int]
  /// Who may read each topic, as indexes into `members`.
  private let subscribers: [String: [Int]]
  /// Of each member.
  private(set) var partitions: [[TopicPartition]]

  /// - Parameter members: in the order in which they are preferred when nothing else decides.
  init(_ members: [GroupCandidate], _ counts: [String: Int]) {
    self.members = members
    self.counts = counts
    var subscribers: [String: [Int]] = [:]
    for (index, member) in members.enumerated() {
      for topic in member.topics where counts[topic] != nil { subscribers[topic, default: []].append(index) }
    }
    self.subscribers = subscribers
    partitions = Array(repeating: [], count: members.count)
    for (partition, owner) in Self.owners(members) {
      guard let owner, let count = counts[partition.topic], (0..<count).contains(Int(partition.partition)),
        members[owner].topics.contains(partition.topic)
      else { continue }
      partitions[owner].append(partition)
    }
    // A dictionary's order is chance, and `even` takes from the end.
    for index in partitions.indices { partitions[index].sort() }
  }

  /// Who had a partition last; nil when two members say so with the same right.
  private static func owners(_ members: [GroupCandidate]) -> [TopicPartition: Int?] {
    var claims: [TopicPartition: (owner: Int?, generation: Int32)] = [:]
    for (index, member) in members.enumerated() {
      for partition in Set(member.owned) {
        guard let other = claims[partition], other.generation >= member.ownedGeneration else {
          claims[partition] = (index, member.ownedGeneration)
          continue
        }
        if other.generation == member.ownedGeneration { claims[partition]?.owner = nil }
      }
    }
    return claims.mapValues(\.owner)
  }

  /// Gives every partition that has no reader to the one that has least, first those for which few come into question.
  mutating func fill() {
    let taken = Set(partitions.joined())
    for topic in subscribers.keys.sorted(by: { (choices($0), $0) < (choices($1), $1) }) {
      for index in 0..<(counts[topic] ?? 0) {
        let partition = TopicPartition(topic, Int32(index))
        guard !taken.contains(partition), let reader = leastLoaded(of: topic) else { continue }
        partitions[reader].append(partition)
      }
    }
  }

  /// Moves partitions until none has two more than another who could read one of them.
  mutating func even() {
    while moveOne() {}
  }

  private mutating func moveOne() -> Bool {
    for giver in partitions.indices.sorted(by: { partitions[$0].count > partitions[$1].count }) {
      let load = partitions[giver].count
      var isHopeless: [String: Bool] = [:]
      for place in partitions[giver].indices.reversed() {
        let topic = partitions[giver][place].topic
        guard isHopeless[topic] != true, let taker = leastLoaded(of: topic) else { continue }
        guard partitions[taker].count + 2 <= load else {
          isHopeless[topic] = true
          continue
        }
        partitions[taker].append(partitions[giver].remove(at: place))
        return true
      }
    }
    return false
  }

  private func choices(_ topic: String) -> Int { subscribers[topic]?.count ?? 0 }

  private func leastLoaded(of topic: String) -> Int? {
    subscribers[topic]?.min { partitions[$0].count < partitions[$1].count }
  }
}
