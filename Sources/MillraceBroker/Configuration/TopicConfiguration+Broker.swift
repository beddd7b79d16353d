// From a topic's configs to what the log and the produce path act on.

import MillraceCoordination
import MillraceLog
import MillraceRecords

extension LogConfig {
  package init(_ topic: TopicConfiguration, producerIdExpirationMs: Int64) {
    self.init(
      segmentBytes: topic.segmentBytes, segmentMs: topic.segmentMs, segmentJitterMs: topic.segmentJitterMs,
      segmentIndexBytes: topic.segmentIndexBytes, indexIntervalBytes: topic.indexIntervalBytes,
      durability: topic.commitsToDisk ? .commit : .buffered, flushMessages: topic.flushMessages,
      flushMs: topic.flushMs, timestampType: topic.timestampType, retentionMs: topic.isDeleted ? topic.retentionMs : -1,
      retentionBytes: topic.isDeleted ? topic.retentionBytes : -1, fileDeleteDelayMs: topic.fileDeleteDelayMs,
      producerIdExpirationMs: producerIdExpirationMs, isCompacted: topic.isCompacted,
      deleteRetentionMs: topic.deleteRetentionMs, minCompactionLagMs: topic.minCompactionLagMs,
      maxCompactionLagMs: topic.maxCompactionLagMs, minCleanableDirtyRatio: topic.minCleanableDirtyRatio)
  }
}

extension TopicSettings {
  package init(_ topic: TopicConfiguration) {
    self.init(
      produceRules: ProduceRules(
        maxMessageBytes: Int(topic.maxMessageBytes), timestampType: topic.timestampType,
        timestampBeforeMaxMs: topic.timestampBeforeMaxMs, timestampAfterMaxMs: topic.timestampAfterMaxMs,
        isCompacted: topic.isCompacted, compression: topic.compression),
      isDeleted: topic.isDeleted, minInsyncReplicas: topic.minInsyncReplicas,
      takesDeadLetters: topic.takesDeadLetters)
  }
}

extension TopicConfiguration {
  fileprivate var timestampType: TimestampType { usesLogAppendTime ? .logAppendTime : .createTime }

  fileprivate var compression: TopicCompression {
    switch compressionType {
    case .producer: .producer
    case .uncompressed: .codec(.none, level: nil)
    case .snappy: .codec(.snappy, level: nil)
    case .gzip: .codec(.gzip, level: gzipLevel < 0 ? nil : Int32(gzipLevel))
    case .lz4: .codec(.lz4, level: Int32(lz4Level))
    case .zstd: .codec(.zstd, level: Int32(zstdLevel))
    }
  }
}
