// What a fetch asks of one partition, and how the partition is named: by topic id from version 13 on, by name before.

import Collections
import MillraceProtocol

package struct FetchKey: Hashable, Sendable {
  /// Empty when the request names topics by id.
  package var topic: String
  /// Zero when the request names topics by name.
  package var topicId: Uuid
  package var partition: Int32

  package init(topic: String, topicId: Uuid, partition: Int32) {
    self.topic = topic
    self.topicId = topicId
    self.partition = partition
  }
}

/// The parameters of one partition of a fetch; a session keeps them from one request to the next.
package struct FetchedPartition: Sendable, Equatable {
  package var key: FetchKey
  package var fetchOffset: Int64
  package var maxBytes: Int32
  /// -1 when the client does not say.
  package var currentLeaderEpoch: Int32
  /// The epoch of the client's last record (KIP-595), -1 when it does not say.
  package var lastFetchedEpoch: Int32

  init(topic: FetchRequest.FetchTopic, partition: FetchRequest.FetchPartition) {
    key = FetchKey(topic: topic.topic, topicId: topic.topicId, partition: partition.partition)
    fetchOffset = partition.fetchOffset
    maxBytes = partition.partitionMaxBytes
    currentLeaderEpoch = partition.currentLeaderEpoch
    lastFetchedEpoch = partition.lastFetchedEpoch
  }
}

extension FetchRequest {
  /// Each partition once: of one that is named again, the last word counts.
  var fetchedPartitions: [FetchedPartition] {
    let named = topics.flatMap { topic in topic.partitions.map { FetchedPartition(topic: topic, partition: $0) } }
    guard named.count > 1 else { return named }
    return Array(OrderedDictionary(named.map { ($0.key, $0) }, uniquingKeysWith: { _, last in last }).values)
  }

  var forgottenPartitions: [FetchKey] {
    forgottenTopicsData.flatMap { topic in
      topic.partitions.map { FetchKey(topic: topic.topic, topicId: topic.topicId, partition: $0) }
    }
  }
}
