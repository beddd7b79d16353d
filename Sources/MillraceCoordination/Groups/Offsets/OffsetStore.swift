// Committed offsets by group, topic and partition. A group without offsets has no entry.

package struct OffsetStore: Sendable, Equatable {
  package typealias Partitions = [Int32: CommittedOffset]

  private var groups: [String: [String: Partitions]] = [:]

  package init() {}

  package var groupIds: Dictionary<String, [String: Partitions]>.Keys { groups.keys }

  package func topics(of groupId: String) -> [String: Partitions] { groups[groupId] ?? [:] }

  package subscript(groupId: String, topic: String, partition: Int32) -> CommittedOffset? {
    groups[groupId]?[topic]?[partition]
  }

  mutating func put(_ offset: CommittedOffset, groupId: String, topic: String, partition: Int32) {
    groups[groupId, default: [:]][topic, default: [:]][partition] = offset
  }

  mutating func remove(groupId: String, topic: String, partition: Int32) {
    guard groups[groupId]?[topic]?.removeValue(forKey: partition) != nil else { return }
    if groups[groupId]?[topic]?.isEmpty == true { groups[groupId]?[topic] = nil }
    if groups[groupId]?.isEmpty == true { groups[groupId] = nil }
  }

  /// The groups that have offsets in the topic, and in which partitions, in a fixed order.
  func groups(of topic: String) -> [(groupId: String, partitions: [Int32])] {
    groups.compactMap { groupId, topics in topics[topic].map { (groupId, $0.keys.sorted()) } }
      .sorted { $0.groupId < $1.groupId }
  }

  /// All partitions in a fixed order, so that the journal and the answers do not depend on hashing.
  func sortedPartitions(of groupId: String) -> [(topic: String, partitions: [(index: Int32, offset: CommittedOffset)])]
  {
    topics(of: groupId).sorted { $0.key < $1.key }.map { topic, partitions in
      (topic, partitions.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
    }
  }
}
