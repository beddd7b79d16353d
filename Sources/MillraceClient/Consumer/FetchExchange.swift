// A Fetch request from a plan, and what its answer says of each partition.

import MillraceProtocol
import MillraceRecords
import NIOCore

extension FetchRequest {
  init(_ plan: Assignment.FetchPlan, version: Int16, _ configuration: ConsumerConfiguration) {
    let entries = Dictionary(plan.wanted.map { ($0.partition, $0.entry) }, uniquingKeysWith: { first, _ in first })
    // Neighbours of one topic share an entry; the order of partitions is the plan's.
    var topics: [FetchTopic] = []
    var last: String?
    for partition in plan.session.partitions {
      guard let entry = entries[partition] else { continue }
      if partition.topic != last {
        topics.append(version > 12 ? FetchTopic(topicId: entry.topicId) : FetchTopic(topic: partition.topic))
        last = partition.topic
      }
      topics[topics.count - 1].partitions.append(
        FetchPartition(
          partition: partition.partition, currentLeaderEpoch: entry.leaderEpoch, fetchOffset: entry.offset,
          partitionMaxBytes: entry.maxBytes))
    }
    let forgotten = Dictionary(grouping: plan.session.forgotten, by: \.partition.topic).map { topic, parts in
      let indexes = parts.map(\.partition.partition)
      return version > 12
        ? ForgottenTopic(topicId: parts[0].topicId, partitions: indexes)
        : ForgottenTopic(topic: topic, partitions: indexes)
    }
    // Who stops at the end wants to hear of it soon, and then does not ask again.
    let wait = configuration.stopAtEnd ? min(configuration.fetchMaxWait, .milliseconds(10)) : configuration.fetchMaxWait
    self.init(
      maxWaitMs: wait.clampedMilliseconds, minBytes: Int32(clamping: configuration.fetchMinBytes),
      maxBytes: Int32(clamping: plan.maxBytes), isolationLevel: configuration.isolation.rawValue,
      sessionId: plan.session.sessionId, sessionEpoch: plan.session.epoch, topics: topics,
      forgottenTopicsData: forgotten, rackId: configuration.rack ?? "")
  }
}

extension Assignment.FetchPlan {
  /// The answer by partition, and the partitions whose bytes are no batches.
  func read(
    _ response: FetchResponse
  ) -> (answers: [Assignment.FetchedPartition], failures: [(TopicPartition, KafkaError)]) {
    let names = Dictionary(
      wanted.map { ($0.entry.topicId, $0.partition.topic) }, uniquingKeysWith: { first, _ in first })
    let offsets = Dictionary(wanted.map { ($0.partition, $0.entry.offset) }, uniquingKeysWith: { first, _ in first })
    var answers: [Assignment.FetchedPartition] = []
    var failures: [(TopicPartition, KafkaError)] = []
    for topic in response.responses {
      guard let name = topic.topic.isEmpty ? names[topic.topicId] : topic.topic else { continue }
      for answer in topic.partitions {
        let partition = TopicPartition(name, answer.partitionIndex)
        var records = ByteBuffer()
        if case .bytes(let bytes)? = answer.records { records = bytes }
        var end: Int64?
        do throws(BatchError) {
          end = try FetchedChunk.endOffset(of: records)
        } catch {
          failures.append((partition, .corrupt(partition, at: offsets[partition] ?? -1, error)))
        }
        answers.append(
          Assignment.FetchedPartition(
            partition: partition, error: ErrorCode(rawValue: answer.errorCode), highWatermark: answer.highWatermark,
            lastStableOffset: answer.lastStableOffset, records: records, endOffset: end,
            aborted: AbortedTransactions((answer.abortedTransactions ?? []).map { ($0.producerId, $0.firstOffset) }),
            preferredReplica: answer.preferredReadReplica < 0 ? nil : answer.preferredReadReplica))
      }
    }
    return (answers, failures)
  }
}
