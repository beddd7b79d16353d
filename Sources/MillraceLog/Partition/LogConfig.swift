// The settings of one topic's logs, under Kafka's names and with Kafka's defaults. Values were checked where the config
// came in; the log only bounds what it computes from them.

import MillraceRecords

/// What makes an append durable, and so raises the high watermark.
package enum Durability: String, Sendable, CaseIterable {
  /// A flush shared by everyone who waits for one.
  case commit
  /// The page cache: the append itself. `flush.messages` and `flush.ms` mean what they mean to Kafka.
  case buffered
}

package struct LogConfig: Sendable, Equatable {
  package var segmentBytes: Int32
  package var segmentMs: Int64
  package var segmentJitterMs: Int64
  package var segmentIndexBytes: Int32
  package var indexIntervalBytes: Int32
  package var durability: Durability
  package var flushMessages: Int64
  package var flushMs: Int64
  package var timestampType: TimestampType
  package var retentionMs: Int64
  package var retentionBytes: Int64
  package var fileDeleteDelayMs: Int64
  package var producerIdExpirationMs: Int64
  /// Whether `cleanup.policy` has `compact`. Without `delete` in it the two retentions are -1.
  package var isCompacted: Bool
  package var deleteRetentionMs: Int64
  package var minCompactionLagMs: Int64
  package var maxCompactionLagMs: Int64
  package var minCleanableDirtyRatio: Double

  package init(
    segmentBytes: Int32 = 1 << 30, segmentMs: Int64 = 7 * 24 * 3_600_000, segmentJitterMs: Int64 = 0,
    segmentIndexBytes: Int32 = 10 << 20, indexIntervalBytes: Int32 = 4096, durability: Durability = .commit,
    flushMessages: Int64 = .max, flushMs: Int64 = .max, timestampType: TimestampType = .createTime,
    retentionMs: Int64 = 7 * 24 * 3_600_000, retentionBytes: Int64 = -1, fileDeleteDelayMs: Int64 = 60_000,
    producerIdExpirationMs: Int64 = 24 * 3_600_000, isCompacted: Bool = false, deleteRetentionMs: Int64 = 86_400_000,
    minCompactionLagMs: Int64 = 0, maxCompactionLagMs: Int64 = .max, minCleanableDirtyRatio: Double = 0.5
  ) {
    self.segmentBytes = segmentBytes
    self.segmentMs = segmentMs
    self.segmentJitterMs = segmentJitterMs
    self.segmentIndexBytes = segmentIndexBytes
    self.indexIntervalBytes = indexIntervalBytes
    self.durability = durability
    self.flushMessages = flushMessages
    self.flushMs = flushMs
    self.timestampType = timestampType
    self.retentionMs = retentionMs
    self.retentionBytes = retentionBytes
    self.fileDeleteDelayMs = fileDeleteDelayMs
    self.producerIdExpirationMs = producerIdExpirationMs
    self.isCompacted = isCompacted
    self.deleteRetentionMs = deleteRetentionMs
    self.minCompactionLagMs = minCompactionLagMs
    self.maxCompactionLagMs = maxCompactionLagMs
    self.minCleanableDirtyRatio = minCleanableDirtyRatio
  }
}

extension LogConfig {
  /// How long a segment takes batches: a compacted one has to be closed in time for `max.compaction.lag.ms`.
  var rollAfterMs: Int64 { isCompacted ? min(segmentMs, maxCompactionLagMs) : segmentMs }

  /// A part of `segment.jitter.ms`, to be taken off the time that a segment takes batches.
  func randomJitterMs() -> Int64 {
    let most = min(segmentJitterMs, segmentMs)
    return most > 0 ? Int64.random(in: 0..<most) : 0
  }
}
