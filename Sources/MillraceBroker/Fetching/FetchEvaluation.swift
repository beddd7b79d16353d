// One look at the partitions of a fetch: what could be sent now. Whole batches up to the limits of KIP-74: the first
// batch that there is goes out whole even if it is larger than every limit, so that a consumer always makes progress.
// No record is read here: a result refers to a range of a file.

import MillraceLog
import MillraceProtocol
import NIOCore

package struct FetchResult: Sendable {
  package var key: FetchKey
  /// Everything but the records.
  package var data: FetchResponse.PartitionData
  package var plan: ReadPlan?

  package var byteCount: Int { plan?.byteCount ?? 0 }
  package var isDiverging: Bool { data.divergingEpoch.epoch >= 0 || data.divergingEpoch.endOffset >= 0 }

  init(key: FetchKey, data: FetchResponse.PartitionData, plan: ReadPlan? = nil) {
    self.key = key
    self.data = data
    self.plan = plan
  }

  init(key: FetchKey, error: ErrorCode) {
    self.init(
      key: key,
      data: FetchResponse.PartitionData(
        partitionIndex: key.partition, errorCode: error.rawValue, highWatermark: -1, lastStableOffset: -1,
        logStartOffset: -1, records: .bytes(ByteBuffer())))
  }
}

struct FetchEvaluation {
  var results: [FetchResult]
  var byteCount = 0
  /// A partition that exists answered with an error: the consumer should hear of it at once.
  var hasError = false
  /// No partition of the request exists: there is nothing to wait for.
  var isHopeless = true

  init(_ targets: [FetchTarget], maxBytes: Int, isolation: Isolation, version: Int16, brokerId: Int32) {
    results = []
    results.reserveCapacity(targets.count)
    var left = maxBytes
    for target in targets {
      guard let partition = target.partition else {
        results.append(FetchResult(key: target.request.key, error: target.error))
        continue
      }
      isHopeless = false
      let result = Self.read(
        target.request, partition, maxBytes: min(left, Int(max(0, target.request.maxBytes))),
        minOneBatch: byteCount == 0, isolation, version, brokerId)
      if result.data.errorCode != ErrorCode.none.rawValue || result.isDiverging { hasError = true }
      byteCount += result.byteCount
      left = max(0, left - result.byteCount)
      results.append(result)
    }
  }

  private static func read(
    _ request: FetchedPartition, _ partition: Partition, maxBytes: Int, minOneBatch: Bool, _ isolation: Isolation,
    _ version: Int16, _ brokerId: Int32
  ) -> FetchResult {
    let epoch = partition.leaderEpoch
    if let code = epochError(request.currentLeaderEpoch, current: epoch) {
      var result = FetchResult(key: request.key, error: code)
      if code == .fencedLeaderEpoch, version >= 16 {
        result.data.currentLeader = .init(leaderId: brokerId, leaderEpoch: epoch)
      }
      return result
    }
    do {
      let log = partition.log
      if request.lastFetchedEpoch >= 0, let diverging = divergence(of: request, in: log) {
        let offsets = log.offsets
        return FetchResult(
          key: request.key,
          data: FetchResponse.PartitionData(
            partitionIndex: request.key.partition, highWatermark: offsets.highWatermark,
            lastStableOffset: offsets.lastStableOffset, logStartOffset: offsets.logStartOffset,
            divergingEpoch: diverging, records: .bytes(ByteBuffer())))
      }
      let plan = try log.read(
        from: request.fetchOffset, maxBytes: maxBytes, minOneBatch: minOneBatch, isolation: isolation)
      return FetchResult(
        key: request.key,
        data: FetchResponse.PartitionData(
          partitionIndex: request.key.partition, highWatermark: plan.offsets.highWatermark,
          lastStableOffset: plan.offsets.lastStableOffset, logStartOffset: plan.offsets.logStartOffset,
          abortedTransactions: isolation == .readCommitted
            ? plan.abortedTransactions.map { .init(producerId: $0.producerId, firstOffset: $0.firstOffset) } : nil,
          records: .bytes(ByteBuffer())),
        plan: plan.byteCount > 0 ? plan : nil)
    } catch {
      var code = ErrorCode(error)
      // Consumers up to version 5 take the storage error for final; this one makes them look for the leader again.
      if code == .kafkaStorageError, version <= 5 { code = .notLeaderOrFollower }
      return FetchResult(key: request.key, error: code)
    }
  }

  /// KIP-595: the client's last record is of an epoch that ends earlier here, so it has something that was never
  /// committed.
  private static func divergence(of request: FetchedPartition, in log: PartitionLog) -> FetchResponse.EpochEndOffset? {
    guard let end = log.endOffset(forLeaderEpoch: request.lastFetchedEpoch),
      end.epoch < request.lastFetchedEpoch || end.endOffset < request.fetchOffset
    else { return nil }
    return FetchResponse.EpochEndOffset(epoch: end.epoch, endOffset: end.endOffset)
  }
}

/// KIP-320: what the client believes the leader's epoch to be, against what it is. -1 believes nothing.
func epochError(_ believed: Int32, current: Int32) -> ErrorCode? {
  if believed < 0 || believed == current { return nil }
  return believed < current ? .fencedLeaderEpoch : .unknownLeaderEpoch
}

/// One partition of a fetch, resolved.
struct FetchTarget: Sendable {
  var request: FetchedPartition
  var partition: Partition?
  /// Why there is no partition.
  var error = ErrorCode.none

  init(_ request: FetchedPartition, in topics: TopicTable) {
    self.request = request
    if request.key.topicId != .zero {
      guard let topic = topics.topic(id: request.key.topicId) else {
        error = .unknownTopicId
        return
      }
      partition = topic.partition(request.key.partition)
    } else {
      partition = topics.topic(named: request.key.topic)?.partition(request.key.partition)
    }
    if partition == nil { error = .unknownTopicOrPartition }
  }
}
