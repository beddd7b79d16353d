// The states of the group's share-partitions: initialized with the first subscription, deleted with the group, the topic
// or the offsets. The share coordinator does it; here is written down what it was asked and what it has done, so that
// after a crash nothing is forgotten half-way.

import MillraceProtocol

extension ShareGroupShard {
  /// The share coordinator has these states, durably. The next heartbeat assigns the partitions.
  package mutating func initialized(_ partitions: PartitionsByTopic, ofGroup groupId: String, topics: TopicImage)
    -> GroupDecision
  {
    changeState(ofGroup: groupId) { group in
      guard !partitions.isEmpty else { return false }
      for topicId in partitions.topics.keys {
        group.statePartitions.names[topicId] = topics[topicId]?.name ?? group.statePartitions.names[topicId] ?? ""
      }
      group.statePartitions.initializing.subtract(partitions)
      group.statePartitions.initialized.formUnion(partitions)
      group.hasNewPartitions = true
      return true
    }
  }

  /// The share coordinator could not: the next heartbeat tries again.
  package mutating func initializationFailed(_ partitions: PartitionsByTopic, ofGroup groupId: String)
    -> GroupDecision
  {
    changeState(ofGroup: groupId) { group in
      let before = group.statePartitions.initializing
      group.statePartitions.initializing.subtract(partitions)
      return group.statePartitions.initializing != before
    }
  }

  /// Topics are gone. Their states go without being asked for (`ShareStateShard.delete(topics:)`).
  package mutating func deleted(topics gone: Set<Uuid>) -> GroupDecision {
    var decision = GroupDecision()
    for groupId in groups.keys.sorted() {
      let one = changeState(ofGroup: groupId) { group in
        let before = group.statePartitions
        for topicId in gone {
          group.statePartitions.initializing[topicId] = []
          group.statePartitions.initialized[topicId] = []
          group.statePartitions.deleting.remove(topicId)
        }
        return group.statePartitions != before
      }
      decision.records += one.records
    }
    return decision
  }

  /// Changes a group's account of its states; a change is a fact.
  mutating func changeState(ofGroup groupId: String, _ body: (inout ShareGroup) -> Bool) -> GroupDecision {
    var decision = GroupDecision()
    guard var group = groups.removeValue(forKey: groupId) else { return decision }
    if body(&group) {
      group.statePartitions.tidy()
      decision.records.append(group.statePartitionsRecord)
    }
    groups[groupId] = group
    return decision
  }
}
