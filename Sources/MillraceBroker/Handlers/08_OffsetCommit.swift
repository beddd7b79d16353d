// OffsetCommit, key 8. v0 and v1 went with Kafka 4.0.
//
// v2 retention time   v3 throttle time   v5 no retention time (KIP-211)   v6 leader epoch (KIP-320)
// v7 group.instance.id (KIP-345)   v8 flexible   v9 GROUP_ID_NOT_FOUND for an unknown group (KIP-848)
// v10 topics by id (KIP-848)
//
// Partitions that do not exist are refused here, the rest is the group's to decide.

import MillraceCoordination
import MillraceProtocol

struct OffsetCommitHandler: Handler {
  typealias Topic = OffsetCommitResponse.OffsetCommitResponseTopic

  func handle(_ request: OffsetCommitRequest, _ context: RequestContext, _ reply: Reply<OffsetCommitResponse>) {
    let usesIds = context.version >= 10
    var known = request
    known.topics = []
    var refused: [Topic] = []
    for topic in request.topics {
      let found =
        usesIds ? context.broker.topics.topic(id: topic.topicId) : context.broker.topics.topic(named: topic.name)
      guard let found else {
        let error: ErrorCode = usesIds ? .unknownTopicId : .unknownTopicOrPartition
        refused.append(Self.refusal(topic, topic.partitions, error))
        continue
      }
      var existing = topic
      existing.name = found.name
      existing.partitions = topic.partitions.filter { found.partition($0.partitionIndex) != nil }
      let missing = topic.partitions.filter { found.partition($0.partitionIndex) == nil }
      if !existing.partitions.isEmpty { known.topics.append(existing) }
      if !missing.isEmpty || topic.partitions.isEmpty {
        refused.append(Self.refusal(existing, missing, .unknownTopicOrPartition))
      }
    }
    guard !known.topics.isEmpty else { return reply.send(OffsetCommitResponse(topics: refused)) }
    context.broker.groups.commit(known, version: context.version) { [refused] response in
      reply.send(refused.isEmpty ? response : response.merging(refused, byId: usesIds))
    }
  }

  private static func refusal(
    _ topic: OffsetCommitRequest.OffsetCommitRequestTopic,
    _ partitions: [OffsetCommitRequest.OffsetCommitRequestPartition], _ error: ErrorCode
  ) -> Topic {
    Topic(
      name: topic.name, topicId: topic.topicId,
      partitions: partitions.map { .init(partitionIndex: $0.partitionIndex, errorCode: error.rawValue) })
  }
}

extension OffsetCommitResponse {
  /// One entry a topic, as clients expect who make a map of it.
  fileprivate func merging(_ others: [OffsetCommitResponseTopic], byId: Bool) -> OffsetCommitResponse {
    var merged = self
    for other in others {
      let index = merged.topics.firstIndex { byId ? $0.topicId == other.topicId : $0.name == other.name }
      if let index {
        merged.topics[index].partitions += other.partitions
      } else {
        merged.topics.append(other)
      }
    }
    return merged
  }
}
