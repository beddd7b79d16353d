// ListOffsets, key 2.
//
// v2 isolation level   v4 leader epochs (KIP-320)   v6 flexible   v7 the record with the largest timestamp (KIP-734)
// v8 -4, the earliest local offset (KIP-405)   v9 -5, the last tiered offset (KIP-1005)   v10 time-out (KIP-1075)
// v11 -6, the earliest offset not yet tiered (KIP-1023)
//
// There is no tiered storage here: -4 is the log's start, and nothing answers -5 and -6 (offset -1), as in Kafka.

import MillraceLog
import MillraceProtocol

struct ListOffsetsHandler: Handler {
  typealias Answer = ListOffsetsResponse.ListOffsetsPartitionResponse

  /// The timestamps that are questions of their own.
  enum Question {
    static let latest: Int64 = -1
    static let earliest: Int64 = -2
    static let maxTimestamp: Int64 = -3
    static let earliestLocal: Int64 = -4
    static let latestTiered: Int64 = -5
    static let earliestPendingUpload: Int64 = -6

    /// The first version that may ask it; nil for a timestamp that means nothing.
    static func firstVersion(of timestamp: Int64) -> Int16? {
      switch timestamp {
      case 0..., latest, earliest: 1
      case maxTimestamp: 7
      case earliestLocal: 8
      case latestTiered: 9
      case earliestPendingUpload: 11
      default: nil
      }
    }
  }

  func handle(_ request: ListOffsetsRequest, _ context: RequestContext, _ reply: Reply<ListOffsetsResponse>) {
    let isolation: Isolation = request.isolationLevel == 1 ? .readCommitted : .readUncommitted
    var seen: Set<FetchKey> = []
    var duplicates: Set<FetchKey> = []
    for topic in request.topics {
      for partition in topic.partitions {
        let key = FetchKey(topic: topic.name, topicId: .zero, partition: partition.partitionIndex)
        if !seen.insert(key).inserted { duplicates.insert(key) }
      }
    }
    let topics = request.topics.map { topic in
      ListOffsetsResponse.ListOffsetsTopicResponse(
        name: topic.name,
        partitions: topic.partitions.map { asked in
          let key = FetchKey(topic: topic.name, topicId: .zero, partition: asked.partitionIndex)
          if duplicates.contains(key) { return Self.failure(asked, .invalidRequest) }
          guard let first = Question.firstVersion(of: asked.timestamp), first <= context.version else {
            return Self.failure(asked, .unsupportedVersion)
          }
          guard let partition = context.broker.topics.topic(named: topic.name)?.partition(asked.partitionIndex) else {
            return Self.failure(asked, .unknownTopicOrPartition)
          }
          return Self.answer(asked, partition, isolation, context.version)
        })
    }
    reply.send(ListOffsetsResponse(topics: topics))
  }

  private static func failure(_ asked: ListOffsetsRequest.ListOffsetsPartition, _ code: ErrorCode) -> Answer {
    Answer(
      partitionIndex: asked.partitionIndex, errorCode: code.rawValue, timestamp: -1, offset: -1, leaderEpoch: -1)
  }

  private static func answer(
    _ asked: ListOffsetsRequest.ListOffsetsPartition, _ partition: Partition, _ isolation: Isolation,
    _ version: Int16
  ) -> Answer {
    if let code = epochError(asked.currentLeaderEpoch, current: partition.leaderEpoch) { return failure(asked, code) }
    let log = partition.log
    let offsets = log.offsets
    let end = isolation == .readCommitted ? offsets.lastStableOffset : offsets.highWatermark
    func found(_ offset: Int64, timestamp: Int64 = -1, epoch: Int32) -> Answer {
      Answer(
        partitionIndex: asked.partitionIndex, errorCode: ErrorCode.none.rawValue, timestamp: timestamp,
        offset: offset, leaderEpoch: version >= 4 ? epoch : -1)
    }
    do {
      switch asked.timestamp {
      case Question.latest: return found(end, epoch: partition.leaderEpoch)
      case Question.earliest, Question.earliestLocal:
        return found(offsets.logStartOffset, epoch: log.leaderEpoch(of: offsets.logStartOffset) ?? -1)
      case Question.latestTiered, Question.earliestPendingUpload: return found(-1, epoch: -1)
      default:
        let hit =
          asked.timestamp == Question.maxTimestamp
          ? try log.maxTimestamp() : try log.offset(forTimestamp: asked.timestamp)
        // What is not yet durable does not exist for a consumer.
        guard let hit, hit.offset < end else { return found(-1, epoch: -1) }
        return found(hit.offset, timestamp: hit.timestamp, epoch: hit.leaderEpoch)
      }
    } catch {
      return failure(asked, ErrorCode(error))
    }
  }
}
