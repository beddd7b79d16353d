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
      let missing: [OffsetCommitRequest.OffsetCommitRequestPartition]
      (existing.partitions, missing) = Optional(found).split(topic.partitions) { $0.partitionIndex }
      if !existing.partitions.isEmpty { known.topics.append(existing) }
      if !missing.isEmpty || topic.partitions.isEmpty {
        refused.append(Self.refusal(existing, missing, .unknownTopicOrPartition))
      }
    }
    guard !known.topics.isEmpty else { return reply.send(OffsetCommitResponse(topics: refused)) }
    context.broker.groups.commit(known, version: context.version) { [refused] response in
      // Not on the thread that makes the journal durable: others wait for it.
      context.connection.execute {
        var response = response
        response.topics =
          usesIds ? response.topics.merging(refused) { $0.topicId } : response.topics.merging(refused) { $0.name }
        reply.send(response)
      }
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
