// After the replay: what the journal says against what is in the data directories. A crash can come between a fact
// and its directories, and the journal itself can be damaged, so both sides may know more than the other. Nothing is
// deleted here but what the journal says was deleted.

import MillraceProtocol

/// A partition's directory: its name, and the topic id in its partition.metadata if there is one.
package struct FoundPartition: Hashable, Sendable {
  package var topic: String
  package var partition: Int32
  package var topicId: Uuid?

  package init(topic: String, partition: Int32, topicId: Uuid?) {
    self.topic = topic
    self.partition = partition
    self.topicId = topicId
  }
}

package struct Reconciliation: Sendable, Equatable {
  /// Facts about directories that the journal did not know: they are adopted.
  package var adopted: [MetadataRecord] = []
  /// Directories of topics whose deletion is in the journal: the deletion is finished.
  package var toDelete: [FoundPartition] = []
  /// Directories that can be neither: kept, out of the way.
  package var toSetAside: [FoundPartition] = []

  package init() {}
}

extension Catalog {
  /// - Parameters:
  ///   - found: every partition directory.
  ///   - removed: the topics whose removal the replay has met.
  package func reconcile(
    with found: [FoundPartition], removed: Set<Uuid>, random: inout some RandomNumberGenerator
  ) -> Reconciliation {
    var result = Reconciliation()
    var strangers: [String: [FoundPartition]] = [:]
    for directory in found.sorted(by: { ($0.topic, $0.partition) < ($1.topic, $1.partition) }) {
      if let topic = topic(named: directory.topic), directory.topicId == nil || directory.topicId == topic.id {
        guard Int(directory.partition) >= topic.partitionCount else { continue }
        adopt(directory, into: topic, &result)
      } else if let id = directory.topicId, removed.contains(id) {
        result.toDelete.append(directory)
      } else if topic(named: directory.topic) != nil || TopicName.objection(to: directory.topic) != nil {
        result.toSetAside.append(directory)
      } else {
        strangers[directory.topic, default: []].append(directory)
      }
    }
    for (name, directories) in strangers.sorted(by: { $0.key < $1.key }) {
      adopt(directories, as: name, &result, &random)
    }
    return result
  }

  /// The topic is known, the fact about this partition is not.
  private func adopt(_ directory: FoundPartition, into topic: CatalogTopic, _ result: inout Reconciliation) {
    guard Int(directory.partition) < Self.maxPartitionsPerTopic else {
      result.toSetAside.append(directory)
      return
    }
    result.adopted.append(newPartitionRecord(topic.id, directory.partition))
  }

  /// The topic is not known: it is made from its directories. Of several incarnations the one with most of them counts.
  private func adopt(
    _ directories: [FoundPartition], as name: String, _ result: inout Reconciliation,
    _ random: inout some RandomNumberGenerator
  ) {
    let counts = Dictionary(directories.compactMap(\.topicId).map { ($0, 1) }, uniquingKeysWith: +)
    let known = counts.max { ($0.value, $1.key.high, $1.key.low) < ($1.value, $0.key.high, $0.key.low) }?.key
    // Directories with the id of a topic that has another name: a rename by hand, or a copy. Not ours to guess.
    if let known, topic(id: known) != nil {
      result.toSetAside += directories
      return
    }
    let id = known ?? Uuid.random(using: &random)
    let own = directories.filter {
      ($0.topicId == nil || $0.topicId == id) && Int($0.partition) < Self.maxPartitionsPerTopic
    }
    result.toSetAside += directories.filter { !own.contains($0) }
    guard let last = own.map(\.partition).max() else { return }
    result.adopted.append(.topic(TopicRecord(name: name, topicId: id)))
    // Without it the topic would be subject to the broker's retention.
    if TopicName.isInternal(name) { result.adopted.append(configRecord(.topic(name), "cleanup.policy", "compact")) }
    result.adopted += (0...last).map { newPartitionRecord(id, $0) }
  }
}
