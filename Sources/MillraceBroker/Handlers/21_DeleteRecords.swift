// DeleteRecords, key 21 (KIP-107). v2 flexible.
//
// Moves the log's start up to an offset (-1: the high watermark). Refused where records leave by compaction only.

import MillraceLog
import MillraceProtocol

struct DeleteRecordsHandler: Handler {
  func handle(_ request: DeleteRecordsRequest, _ context: RequestContext, _ reply: Reply<DeleteRecordsResponse>) {
    let topics = request.topics.map { asked in
      let topic = context.broker.topics.topic(named: asked.name)
      return DeleteRecordsResponse.DeleteRecordsTopicResult(
        name: asked.name,
        partitions: asked.partitions.map { partition in
          let result = Self.delete(partition, from: topic, nowMs: context.receivedMs)
          return .init(
            partitionIndex: partition.partitionIndex, lowWatermark: result.lowWatermark,
            errorCode: result.code.rawValue)
        })
    }
    reply.send(DeleteRecordsResponse(topics: topics))
  }

  private static func delete(
    _ asked: DeleteRecordsRequest.DeleteRecordsPartition, from topic: Topic?, nowMs: Int64
  ) -> (lowWatermark: Int64, code: ErrorCode) {
    guard let topic, let partition = topic.partition(asked.partitionIndex) else {
      return (-1, .unknownTopicOrPartition)
    }
    guard !topic.isInternal else { return (-1, .invalidTopicException) }
    guard topic.settings.isDeleted else { return (-1, .policyViolation) }
    do {
      let offset = asked.offset == -1 ? partition.log.offsets.highWatermark : asked.offset
      return (try partition.log.deleteRecords(before: offset, nowMs: nowMs), .none)
    } catch {
      return (-1, ErrorCode(error))
    }
  }
}
