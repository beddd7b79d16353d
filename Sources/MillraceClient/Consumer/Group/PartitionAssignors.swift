// How a group's leader gives partitions to members. Pure, and the same for every client of the group: what a member
// gets must not depend on whose client leads.

/// A member as its leader sees it.
struct GroupCandidate: Sendable, Equatable {
  var memberId: String
  var groupInstanceId: String?
  var topics: Set<String>
  /// What it read before, and since which generation; -1 when it does not say.
  var owned: [TopicPartition] = []
  var ownedGeneration: Int32 = -1
}

extension GroupAssignor {
  /// The partitions of each member.
  ///
  /// - Parameter partitionCounts: of topics that exist; others are left out.
  func assign(
    _ members: [GroupCandidate], partitionCounts: [String: Int]
  ) -> [String: [TopicPartition]] {
    let sorted = members.sorted { $0.precedes($1) }
    var assignment = Dictionary(
      members.map { ($0.memberId, [TopicPartition]()) }, uniquingKeysWith: { first, _ in first })
    switch self {
    case .range: Self.assignRanges(sorted, partitionCounts, &assignment)
    case .roundRobin: Self.assignInTurn(sorted, partitionCounts, &assignment)
    case .sticky, .cooperativeSticky:
      var balance = StickyBalance(sorted, partitionCounts)
      balance.fill()
      balance.even()
      for (member, partitions) in zip(sorted, balance.partitions) {
        assignment[member.memberId] = partitions.sorted()
      }
      if isCooperative { Self.holdBackOwned(sorted, &assignment) }
    }
    return assignment
  }

  /// What another member still reads is left out until that member has given it up: it joins again then.
  private static func holdBackOwned(
    _ members: [GroupCandidate], _ assignment: inout [String: [TopicPartition]]
  ) {
    var readers: [TopicPartition: Set<String>] = [:]
    for member in members {
      for partition in member.owned { readers[partition, default: []].insert(member.memberId) }
    }
    for member in members {
      assignment[member.memberId]?.removeAll { partition in
        guard let readers = readers[partition] else { return false }
        return !readers.contains(member.memberId)
      }
    }
  }

  /// Of n partitions and m members each gets n / m in a row, and the first n % m one more.
  private static func assignRanges(
    _ members: [GroupCandidate], _ counts: [String: Int], _ assignment: inout [String: [TopicPartition]]
  ) {
    for (topic, count) in counts.sorted(by: { $0.key < $1.key }) {
      let subscribed = members.filter { $0.topics.contains(topic) }
      guard !subscribed.isEmpty else { continue }
      var next = 0
      for (index, member) in subscribed.enumerated() {
        let share = count / subscribed.count + (index < count % subscribed.count ? 1 : 0)
        assignment[member.memberId, default: []] += (next..<(next + share)).map { TopicPartition(topic, Int32($0)) }
        next += share
      }
    }
  }

  /// All partitions in order, to one member after the other; who is not subscribed to the topic is passed over.
  private static func assignInTurn(
    _ members: [GroupCandidate], _ counts: [String: Int], _ assignment: inout [String: [TopicPartition]]
  ) {
    guard !members.isEmpty else { return }
    var turn = 0
    for (topic, count) in counts.sorted(by: { $0.key < $1.key })
    where members.contains(where: { $0.topics.contains(topic) }) {
      for partition in 0..<count {
        while !members[turn % members.count].topics.contains(topic) { turn += 1 }
        assignment[members[turn % members.count].memberId, default: []].append(TopicPartition(topic, Int32(partition)))
        turn += 1
      }
    }
  }
}

extension GroupCandidate {
  /// Static members first, by their names, so that a restart under another member id changes nothing.
  fileprivate func precedes(_ other: GroupCandidate) -> Bool {
    switch (groupInstanceId, other.groupInstanceId) {
    case (let mine?, let theirs?): mine < theirs
    case (_?, nil): true
    case (nil, _?): false
    case (nil, nil): memberId < other.memberId
    }
  }
}
