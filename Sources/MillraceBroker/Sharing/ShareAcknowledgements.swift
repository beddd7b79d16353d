// The acknowledgements of one request, from a ShareFetch or a ShareAcknowledge: those of each partition succeed or fail
// together, and all are answered when all are durable.

import Collections
import MillraceCoordination
import MillraceProtocol

struct ShareAcknowledgements: Sendable {
  struct Outcome: Sendable {
    let key: ShareTopicPartition
    let error: ErrorCode
  }

  /// Each partition once: of one that is named again, the last word counts.
  private var batches: OrderedDictionary<ShareTopicPartition, [ShareAcknowledgement]> = [:]

  /// Partitions that are only fetched from carry none.
  init(_ request: ShareFetchRequest) {
    for topic in request.topics {
      for partition in topic.partitions where !partition.acknowledgementBatches.isEmpty {
        batches[ShareTopicPartition(topicId: topic.topicId, partition: partition.partitionIndex)] =
          partition.acknowledgementBatches.map { ShareAcknowledgement($0) }
      }
    }
  }

  init(_ request: ShareAcknowledgeRequest) {
    for topic in request.topics {
      for partition in topic.partitions {
        batches[ShareTopicPartition(topicId: topic.topicId, partition: partition.partitionIndex)] =
          partition.acknowledgementBatches.map { ShareAcknowledgement($0) }
      }
    }
  }

  var isEmpty: Bool { batches.isEmpty }

  /// `then` is called once, on any thread.
  func perform(
    by session: ShareSessionKey, allowsRenew: Bool, in broker: Broker, then: @escaping @Sendable ([Outcome]) -> Void
  ) {
    let gathering = Gathering<Outcome>(count: batches.count, then)
    for (index, (key, batches)) in batches.enumerated() {
      let answer: SharePartitionRuntime.Answer = { gathering.put(Outcome(key: key, error: $0), at: index) }
      guard let topic = broker.topics.topic(id: key.topicId) else {
        answer(.unknownTopicId)
        continue
      }
      guard topic.partition(key.partition) != nil else {
        answer(.unknownTopicOrPartition)
        continue
      }
      if batches.isEmpty {
        answer(.none)
      } else if let runtime = broker.sharePartitions.runtime(session.groupId, key) {
        runtime.acknowledge(batches, by: session.memberId, allowsRenew: allowsRenew, then: answer)
      } else {
        // Nobody fetches it here, so nobody can hold anything of it.
        answer(.unknownTopicOrPartition)
      }
    }
  }
}
