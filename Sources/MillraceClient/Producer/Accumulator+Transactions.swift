// What transactions add to an accumulator. In version 1 of transactions the coordinator has to know of a partition before
// the first batch is sent to it (KIP-98); in version 2 that batch is what tells it (KIP-890).

extension Accumulator {
  /// Takes records for a transaction.
  mutating func openTransaction(announces: Bool) {
    isClosed = false
    isUrgent = false
    announcesPartitions = announces
    for queue in queues.indices { queues[queue].isAnnounced = false }
  }

  /// Partitions with records that the coordinator has to be told of.
  var partitionsToAnnounce: [TopicPartition] {
    guard announcesPartitions else { return [] }
    return active.filter { !queues[$0].isAnnounced }
      .map { TopicPartition(topicList[queues[$0].topic].name, queues[$0].partition) }
  }

  /// The coordinator knows of these partitions.
  mutating func announced(_ partitions: [TopicPartition]) {
    for partition in partitions {
      guard let topic = topics[partition.topic],
        let queue = topicList[topic].queues.first(where: { queues[$0].partition == partition.partition })
      else { continue }
      queues[queue].isAnnounced = true
    }
  }
}
