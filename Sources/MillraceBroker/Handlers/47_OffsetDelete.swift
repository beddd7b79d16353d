// OffsetDelete, key 47 (KIP-496). v0.
//
// Deletes offsets of topics that the group does not subscribe to. Partitions that do not exist are refused here; an
// error about the group as a whole stands alone.

import MillraceProtocol

struct OffsetDeleteHandler: Handler {
  typealias Topic = OffsetDeleteResponse.OffsetDeleteResponseTopic

  func handle(_ request: OffsetDeleteRequest, _ context: RequestContext, _ reply: Reply<OffsetDeleteResponse>) {
    var known = request
    known.topics = []
    var refused: [Topic] = []
    for topic in request.topics {
      var existing = topic
      let (found, missing) = context.broker.topics.topic(named: topic.name)
        .split(topic.partitions) { $0.partitionIndex }
      existing.partitions = found
      if !existing.partitions.isEmpty { known.topics.append(existing) }
      if !missing.isEmpty || topic.partitions.isEmpty {
        refused.append(
          Topic(
            name: topic.name,
            partitions: missing.map {
              .init(partitionIndex: $0.partitionIndex, errorCode: ErrorCode.unknownTopicOrPartition.rawValue)
            }))
      }
    }
    context.broker.groups.deleteOffsets(known) { [refused] response in
      // Not on the thread that makes the journal durable: others wait for it.
      context.connection.execute {
        var response = response
        if response.errorCode == ErrorCode.none.rawValue {
          response.topics = response.topics.merging(refused) { $0.name }
        }
        reply.send(response)
      }
    }
  }
}
