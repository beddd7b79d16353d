// The `uniform` assignor. If all members subscribe to the same topics, each gets the same number of partitions, give or
// take one, and no partition moves that could have stayed: those who have most keep the odd ones. Otherwise it keeps
// what it may, gives what is left to those who have least, and evens out where that is possible.

import MillraceProtocol

struct UniformAssignment {
  private struct Place: Hashable {
    var topic: Uuid
    var partition: Int32
  }

  /// Subscriptions that overlap in odd ways even out slowly; usually the second round has nothing left to do.
  private static let maxBalancingRounds = 16

  private let subscribers: [Subscriber]
  private let partitionCounts: [Uuid: Int32]
  /// In order.
  private let topics: [Uuid]
  /// Indices of subscribers by topic.
  private let subscribersOfTopic: [Uuid: [Int]]
  /// By topic and partition; -1 where there is none.
  private var owners: [Uuid: [Int]]
  private var loads: [Int]

  static func compute(_ subscribers: [Subscriber], _ partitionCounts: [Uuid: Int32]) -> [PartitionsByTopic] {
    var assignment = UniformAssignment(subscribers, partitionCounts)
    let isHomogeneous = subscribers.dropFirst().allSatisfy { $0.topics == subscribers[0].topics }
    if isHomogeneous { assignment.assignEvenly() } else { assignment.assignByLoad() }
    return assignment.result
  }

  private init(_ subscribers: [Subscriber], _ partitionCounts: [Uuid: Int32]) {
    self.subscribers = subscribers
    self.partitionCounts = partitionCounts
    var subscribersOfTopic: [Uuid: [Int]] = [:]
    for (member, subscriber) in subscribers.enumerated() {
      for topic in subscriber.topics { subscribersOfTopic[topic, default: []].append(member) }
    }
    self.subscribersOfTopic = subscribersOfTopic
    topics = subscribersOfTopic.keys.sorted { $0.precedes($1) }
    owners = subscribersOfTopic.keys.reduce(into: [:]) {
      $0[$1] = Array(repeating: -1, count: Int(partitionCounts[$1] ?? 0))
    }
    loads = Array(repeating: 0, count: subscribers.count)
    keepCurrent()
  }

  /// Everybody keeps what exists and what they still subscribe to.
  private mutating func keepCurrent() {
    for (member, subscriber) in subscribers.enumerated() {
      for topic in subscriber.topics {
        for partition in subscriber.current[topic] {
          guard let count = owners[topic]?.count, partition >= 0, Int(partition) < count,
            owners[topic]?[Int(partition)] == -1
          else { continue }
          owners[topic]?[Int(partition)] = member
          loads[member] += 1
        }
      }
    }
  }

  private var result: [PartitionsByTopic] {
    var partitions: [[Uuid: Set<Int32>]] = Array(repeating: [:], count: subscribers.count)
    for topic in topics {
      for (partition, owner) in (owners[topic] ?? []).enumerated() where owner >= 0 {
        partitions[owner][topic, default: []].insert(Int32(partition))
      }
    }
    return partitions.map(PartitionsByTopic.init)
  }

  // MARK: The same topics for all

  private mutating func assignEvenly() {
    guard !subscribers.isEmpty else { return }
    let total = owners.values.reduce(0) { $0 + $1.count }
    let (share, extra) = total.quotientAndRemainder(dividingBy: subscribers.count)
    // Whoever has most takes an odd one, since it would have to give up one more without it.
    let order = subscribers.indices.sorted {
      loads[$0] != loads[$1] ? loads[$0] > loads[$1] : subscribers[$0].memberId < subscribers[$1].memberId
    }
    var quotas = Array(repeating: share, count: subscribers.count)
    for member in order.prefix(extra) { quotas[member] += 1 }

    var left: [Place] = []
    for topic in topics {
      for index in (owners[topic] ?? []).indices {
        let owner = owners[topic]![index]
        if owner >= 0 && loads[owner] > quotas[owner] {
          loads[owner] -= 1
          owners[topic]![index] = -1
        }
        if owners[topic]![index] == -1 { left.append(Place(topic: topic, partition: Int32(index))) }
      }
    }
    // One to each in turn, so that a topic's partitions do not all go to one member.
    var needy = order.filter { loads[$0] < quotas[$0] }
    var next = 0
    for place in left {
      if next >= needy.count {
        needy.removeAll { loads[$0] >= quotas[$0] }
        next = 0
      }
      give(place, to: needy[next])
      next += 1
    }
  }

  private mutating func give(_ place: Place, to member: Int) {
    let index = Int(place.partition)
    if let old = owners[place.topic]?[index], old >= 0 { loads[old] -= 1 }
    owners[place.topic]![index] = member
    loads[member] += 1
  }

  // MARK: Different topics

  private mutating func assignByLoad() {
    // Topics whose partitions have the fewest places to go to come first.
    let order = topics.sorted { a, b in
      let (left, right) = (pressure(a), pressure(b))
      return left != right ? left > right : a.precedes(b)
    }
    for topic in order {
      var ranking = Ranking(subscribersOfTopic[topic] ?? [], loads)
      for index in (owners[topic] ?? []).indices where owners[topic]![index] == -1 {
        give(Place(topic: topic, partition: Int32(index)), to: ranking.takeLeastLoaded())
      }
    }
    for _ in 0..<Self.maxBalancingRounds {
      var hasMoved = false
      for topic in order where evenOut(topic) { hasMoved = true }
      if !hasMoved { break }
    }
  }

  /// Partitions for each subscriber.
  private func pressure(_ topic: Uuid) -> Double {
    Double(partitionCounts[topic] ?? 0) / Double(max(1, subscribersOfTopic[topic]?.count ?? 0))
  }

  /// Moves partitions of a topic from members to others that have at least two less, the most loaded first.
  private mutating func evenOut(_ topic: Uuid) -> Bool {
    var ranking = Ranking(subscribersOfTopic[topic] ?? [], loads)
    var hasMoved = false
    let indices = (owners[topic] ?? []).indices.sorted {
      let (left, right) = (loads[owners[topic]![$0]], loads[owners[topic]![$1]])
      return left != right ? left > right : $0 < $1
    }
    for index in indices {
      guard let least = ranking.leastLoaded(loads), loads[owners[topic]![index]] - loads[least] >= 2 else { continue }
      give(Place(topic: topic, partition: Int32(index)), to: least)
      ranking.note(least, loads[least])
      hasMoved = true
    }
    return hasMoved
  }
}

/// Members by load, the least first: a binary heap. Entries that a change of load has made wrong are passed over.
private struct Ranking {
  private var heap: [(load: Int, member: Int)] = []

  init(_ members: [Int], _ loads: [Int]) {
    // A sorted array is a heap.
    heap = members.map { (loads[$0], $0) }.sorted { $0 < $1 }
  }

  /// The least loaded member, which has one more from now on.
  mutating func takeLeastLoaded() -> Int {
    let member = heap[0].member
    heap[0].load += 1
    sink()
    return member
  }

  /// The least loaded member by what the loads are now.
  mutating func leastLoaded(_ loads: [Int]) -> Int? {
    while let first = heap.first {
      if loads[first.member] == first.load { return first.member }
      heap[0].load = loads[first.member]
      if heap[0].load > first.load { sink() } else { return first.member }
    }
    return nil
  }

  /// `member` was first and has a new load.
  mutating func note(_ member: Int, _ load: Int) {
    guard heap.first?.member == member else { return }
    heap[0].load = load
    sink()
  }

  private mutating func sink() {
    var parent = 0
    while true {
      var least = parent
      for child in [2 * parent + 1, 2 * parent + 2] where child < heap.count && heap[child] < heap[least] {
        least = child
      }
      if least == parent { return }
      heap.swapAt(parent, least)
      parent = least
    }
  }
}
