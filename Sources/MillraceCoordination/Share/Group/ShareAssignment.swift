// The assignor of share groups: `simple`, by the rules of Kafka 4.2 (KIP-932).
//
// Partitions may be shared, so the aim is another than with consumer groups: every partition has somebody, members have
// equally much to do, and little changes. With at least as many partitions as members each partition goes to one member;
// with fewer, as many members share a partition as it takes to give everybody one.
//
// Members that subscribe to the same topics are balanced over all of their partitions together, others topic by topic.
// The result depends on nothing but the arguments.

import MillraceProtocol

package enum ShareAssignment {
  package struct Member: Sendable {
    package var memberId: String
    /// Topics that exist.
    package var topics: Set<Uuid>
    package var current: PartitionsByTopic

    package init(memberId: String, topics: Set<Uuid>, current: PartitionsByTopic) {
      self.memberId = memberId
      self.topics = topics
      self.current = current
    }
  }

  /// - Parameter assignable: the partitions whose state is initialized.
  package static func assign(members: [Member], assignable: PartitionsByTopic) -> [String: PartitionsByTopic] {
    let members = members.sorted { $0.memberId < $1.memberId }
    var result = Dictionary(uniqueKeysWithValues: members.map { ($0.memberId, PartitionsByTopic()) })
    func assign(_ topics: Set<Uuid>, to indices: [Int]) {
      let partitions = topics.sorted(by: { $0.precedes($1) }).flatMap { topic in
        assignable[topic].sorted().map { ShareTopicPartition(topicId: topic, partition: $0) }
      }
      var balance = Balance(partitions: partitions, members: indices.map { members[$0].current })
      balance.run()
      for (position, index) in indices.enumerated() {
        for partition in balance.assigned[position] {
          result[members[index].memberId]?.insert(partition.topicId, partition.partition)
        }
      }
    }
    guard let first = members.first else { return result }
    if members.allSatisfy({ $0.topics == first.topics }) {
      assign(first.topics, to: Array(members.indices))
    } else {
      for topic in members.reduce(into: Set<Uuid>(), { $0.formUnion($1.topics) }) {
        assign([topic], to: members.indices.filter { members[$0].topics.contains(topic) })
      }
    }
    return result
  }
}

/// Distributes partitions over members, all of whom may have all of them.
private struct Balance {
  let partitions: [ShareTopicPartition]
  /// How many members share each partition.
  let sharing: Int
  /// How many partitions each member is to have.
  let desired: [Int]
  var assigned: [Set<ShareTopicPartition>]
  var holders: [ShareTopicPartition: Set<Int>] = [:]

  init(partitions: [ShareTopicPartition], members: [PartitionsByTopic]) {
    self.partitions = partitions
    let (p, m) = (partitions.count, members.count)
    let sharing = p == 0 ? 0 : (m + p - 1) / p
    self.sharing = sharing
    // The slots divided by the members, rounded so that they add up.
    func slots(before member: Int) -> Int { (sharing * p * member + m - 1) / m }
    desired = (0..<m).map { slots(before: $0 + 1) - slots(before: $0) }
    assigned = []
    for partition in partitions { holders[partition] = [] }
    for (member, current) in members.enumerated() {
      var kept: Set<ShareTopicPartition> = []
      for (topic, indices) in current.topics {
        for index in indices {
          let partition = ShareTopicPartition(topicId: topic, partition: index)
          guard holders[partition]?.insert(member).inserted == true else { continue }
          kept.insert(partition)
        }
      }
      assigned.append(kept)
    }
  }

  mutating func run() {
    for member in assigned.indices where assigned[member].count > desired[member] {
      // The partitions that most members have are given up first.
      let mine = partitions.filter { assigned[member].contains($0) }
        .enumerated().sorted { (-holderCount($0.element), $0.offset) < (-holderCount($1.element), $1.offset) }
      for (_, partition) in mine.prefix(assigned[member].count - desired[member]) { take(partition, from: member) }
    }
    for partition in partitions where holderCount(partition) > sharing {
      let surplus = holderCount(partition) - sharing
      for member in (holders[partition] ?? []).sorted().suffix(surplus) { take(partition, from: member) }
    }
    var unfilled = assigned.indices.filter { assigned[$0].count < desired[$0] }
    var turn = 0
    for partition in partitions {
      var passed = 0
      while holderCount(partition) < sharing, passed < unfilled.count {
        turn %= unfilled.count
        let member = unfilled[turn]
        guard holders[partition]?.insert(member).inserted == true else {
          passed += 1
          turn += 1
          continue
        }
        assigned[member].insert(partition)
        if assigned[member].count >= desired[member] { unfilled.remove(at: turn) } else { turn += 1 }
      }
    }
  }

  private func holderCount(_ partition: ShareTopicPartition) -> Int { holders[partition]?.count ?? 0 }

  private mutating func take(_ partition: ShareTopicPartition, from member: Int) {
    assigned[member].remove(partition)
    holders[partition]?.remove(member)
  }
}
