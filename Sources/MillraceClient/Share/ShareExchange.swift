// Share fetches and acknowledgements as the broker wants them, and what the answers say.

import MillraceProtocol
import NIOCore

extension ShareFetchRequest {
  init(_ request: ShareAssignment.Request, _ configuration: ShareConsumerConfiguration, memberId: String) {
    var change = ShareSession.Change(epoch: 0)
    if case .fetch(let asked) = request.kind { change = asked }
    let maxRecords = Int32(clamping: configuration.maxRecords)
    let partitions = change.added.union(request.acknowledgements.keys)
    self.init(
      groupId: configuration.groupId, memberId: memberId, shareSessionEpoch: change.epoch,
      maxWaitMs: configuration.fetchMaxWait.clampedMilliseconds, minBytes: Int32(clamping: configuration.fetchMinBytes),
      maxBytes: Int32(clamping: configuration.fetchMaxBytes), maxRecords: maxRecords, batchSize: maxRecords,
      shareAcquireMode: configuration.acquireMode == .recordLimit ? 1 : 0,
      topics: partitions.byTopic.map { topic, indexes in
        FetchTopic(
          topicId: topic,
          partitions: indexes.map { index in
            let batches = request.acknowledgements[ShareSession.Partition(topicId: topic, index: index)]?.batches ?? []
            return FetchPartition(
              partitionIndex: index,
              acknowledgementBatches: batches.map {
                .init(firstOffset: $0.first, lastOffset: $0.last, acknowledgeTypes: $0.types)
              })
          })
      },
      forgottenTopicsData: change.forgotten.byTopic.map { ForgottenTopic(topicId: $0.topic, partitions: $0.indexes) })
  }
}

extension ShareAcknowledgeRequest {
  init(_ request: ShareAssignment.Request, epoch: Int32, groupId: String, memberId: String) {
    self.init(
      groupId: groupId, memberId: memberId, shareSessionEpoch: epoch,
      isRenewAck: request.acknowledgements.values.contains { $0.hasRenewals },
      topics: request.acknowledgements.keys.byTopic.map { topic, indexes in
        AcknowledgeTopic(
          topicId: topic,
          partitions: indexes.map { index in
            let batches = request.acknowledgements[ShareSession.Partition(topicId: topic, index: index)]?.batches ?? []
            return AcknowledgePartition(
              partitionIndex: index,
              acknowledgementBatches: batches.map {
                .init(firstOffset: $0.first, lastOffset: $0.last, acknowledgeTypes: $0.types)
              })
          })
      })
  }
}

extension Sequence<ShareSession.Partition> {
  fileprivate var byTopic: [(topic: Uuid, indexes: [Int32])] {
    Dictionary(grouping: self, by: \.topicId)
      .map { (topic: $0.key, indexes: $0.value.map(\.index).sorted()) }
      .sorted { ($0.topic.high, $0.topic.low) < ($1.topic.high, $1.topic.low) }
  }
}

extension ShareFetchResponse {
  var partitions: [ShareAssignment.FetchedPartition] {
    responses.flatMap { topic in
      topic.partitions.map { answer in
        var records = ByteBuffer()
        if case .bytes(let bytes)? = answer.records { records = bytes }
        return ShareAssignment.FetchedPartition(
          partition: ShareSession.Partition(topicId: topic.topicId, index: answer.partitionIndex),
          error: ErrorCode(rawValue: answer.errorCode),
          acknowledgeError: ErrorCode(rawValue: answer.acknowledgeErrorCode), records: records,
          acquired: answer.acquiredRecords.compactMap { range in
            guard range.firstOffset >= 0, range.firstOffset <= range.lastOffset else { return nil }
            return ShareDelivery.Acquired(
              offsets: range.firstOffset...range.lastOffset, deliveryCount: Int(range.deliveryCount))
          })
      }
    }
  }
}

extension ShareAcknowledgeResponse {
  var partitions: [(ShareSession.Partition, ErrorCode)] {
    responses.flatMap { topic in
      topic.partitions.map { answer in
        (
          ShareSession.Partition(topicId: topic.topicId, index: answer.partitionIndex),
          ErrorCode(rawValue: answer.errorCode)
        )
      }
    }
  }
}
