// A set of partitions, by topic: what a member has, is to have, or is to give up. No topic is in it without partitions.

import MillraceProtocol

package struct PartitionsByTopic: Sendable, Equatable {
  package private(set) var topics: [Uuid: Set<Int32>] = [:]

  package init() {}

  package init(_ topics: [Uuid: Set<Int32>]) { self.topics = topics.filter { !$0.value.isEmpty } }

  package var isEmpty: Bool { topics.isEmpty }
  package var count: Int { topics.values.reduce(0) { $0 + $1.count } }

  package subscript(topic: Uuid) -> Set<Int32> {
    get { topics[topic] ?? [] }
    set { topics[topic] = newValue.isEmpty ? nil : newValue }
  }

  package func contains(_ topic: Uuid, _ partition: Int32) -> Bool { topics[topic]?.contains(partition) == true }

  package mutating func insert(_ topic: Uuid, _ partition: Int32) { topics[topic, default: []].insert(partition) }

  mutating func remove(_ topic: Uuid, _ partition: Int32) {
    guard topics[topic]?.remove(partition) != nil, topics[topic]?.isEmpty == true else { return }
    topics[topic] = nil
  }

  mutating func formUnion(_ other: PartitionsByTopic) {
    topics.merge(other.topics) { $0.union($1) }
  }

  mutating func subtract(_ other: PartitionsByTopic) {
    for (topic, partitions) in other.topics { self[topic].subtract(partitions) }
  }

  /// In a fixed order, so that journals and answers do not depend on hashing.
  package var sorted: [(topic: Uuid, partitions: [Int32])] {
    topics.sorted { $0.key.precedes($1.key) }.map { ($0.key, $0.value.sorted()) }
  }
}

extension Uuid {
  func precedes(_ other: Uuid) -> Bool { (high, low) < (other.high, other.low) }
}

// MARK: - In messages

extension PartitionsByTopic {
  init(_ wire: [ConsumerGroupTargetAssignmentMemberValue.TopicPartition]) {
    for one in wire { self[one.topicId].formUnion(one.partitions) }
  }

  init(_ wire: [ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions]) {
    for one in wire { self[one.topicId].formUnion(one.partitions) }
  }

  var asTarget: [ConsumerGroupTargetAssignmentMemberValue.TopicPartition] {
    sorted.map { .init(topicId: $0.topic, partitions: $0.partitions) }
  }

  var asCurrent: [ConsumerGroupCurrentMemberAssignmentValue.TopicPartitions] {
    sorted.map { .init(topicId: $0.topic, partitions: $0.partitions) }
  }

  var asAnswer: ConsumerGroupHeartbeatResponse.Assignment {
    .init(topicPartitions: sorted.map { .init(topicId: $0.topic, partitions: $0.partitions) })
  }

  /// With names; a topic that is gone has none and is left out.
  func described(_ image: TopicImage) -> ConsumerGroupDescribeResponse.Assignment {
    .init(
      topicPartitions: sorted.compactMap { topic, partitions in
        image[topic].map { .init(topicId: topic, topicName: $0.name, partitions: partitions) }
      })
  }
}
