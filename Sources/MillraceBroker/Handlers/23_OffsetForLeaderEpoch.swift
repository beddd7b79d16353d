// OffsetForLeaderEpoch, key 23 (KIP-320). v4 flexible.
//
// Where the given epoch ends in this log: how a consumer notices that what it read was lost in a crash.

import MillraceLog
import MillraceProtocol

struct OffsetForLeaderEpochHandler: Handler {
  typealias Answer = OffsetForLeaderEpochResponse.EpochEndOffset

  func handle(
    _ request: OffsetForLeaderEpochRequest, _ context: RequestContext, _ reply: Reply<OffsetForLeaderEpochResponse>
  ) {
    let topics = request.topics.map { asked in
      let topic = context.broker.topics.topic(named: asked.topic)
      return OffsetForLeaderEpochResponse.OffsetForLeaderTopicResult(
        topic: asked.topic, partitions: asked.partitions.map { Self.answer($0, topic?.partition($0.partition)) })
    }
    reply.send(OffsetForLeaderEpochResponse(topics: topics))
  }

  private static func answer(
    _ asked: OffsetForLeaderEpochRequest.OffsetForLeaderPartition, _ partition: Partition?
  ) -> Answer {
    func failure(_ code: ErrorCode) -> Answer {
      Answer(errorCode: code.rawValue, partition: asked.partition, leaderEpoch: -1, endOffset: -1)
    }
    guard let partition else { return failure(.unknownTopicOrPartition) }
    let current = partition.leaderEpoch
    if let code = epochError(asked.currentLeaderEpoch, current: current) { return failure(code) }
    if asked.leaderEpoch == current {
      return Answer(partition: asked.partition, leaderEpoch: current, endOffset: partition.log.offsets.logEndOffset)
    }
    guard let end = partition.log.endOffset(forLeaderEpoch: asked.leaderEpoch) else {
      return Answer(partition: asked.partition, leaderEpoch: -1, endOffset: -1)
    }
    return Answer(partition: asked.partition, leaderEpoch: end.epoch, endOffset: end.endOffset)
  }
}
