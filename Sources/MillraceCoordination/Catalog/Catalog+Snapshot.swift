// What a snapshot of the metadata says: the facts that lead from nothing to here, without the way that was gone.

import MillraceProtocol

extension Catalog {
  /// Facts from which an empty catalog becomes this one, in an order that does not depend on how it came to be. How often
  /// the broker was fenced is in the leader epochs.
  package func snapshotRecords() -> [MetadataRecord] {
    var records: [MetadataRecord] = []
    for (name, level) in featureLevels.sorted(by: { $0.key < $1.key }) {
      records.append(.featureLevel(FeatureLevelRecord(name: name, featureLevel: level)))
    }
    if let registration { records.append(.registerBroker(registration)) }
    if nextProducerId > 0 {
      records.append(
        .producerIds(
          ProducerIdsRecord(
            brokerId: settings.nodeId, brokerEpoch: registration?.brokerEpoch ?? -1, nextProducerId: nextProducerId)))
    }
    for topic in topics.values.sorted(by: { $0.name < $1.name }) {
      records.append(.topic(TopicRecord(name: topic.name, topicId: topic.id)))
      for index in 0..<topic.partitionCount {
        records.append(newPartitionRecord(topic.id, Int32(index), leaderEpoch: leaderEpoch(topic, index)))
      }
    }
    for (resource, values) in configs.sorted(by: {
      ($0.key.kind.rawValue, $0.key.name) < ($1.key.kind.rawValue, $1.key.name)
    }) {
      for (key, value) in values.sorted(by: { $0.key < $1.key }) { records.append(configRecord(resource, key, value)) }
    }
    return records
  }
}
