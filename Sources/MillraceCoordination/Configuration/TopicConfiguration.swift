// A topic's effective configs as typed values, for the parts of the broker that act on them.

package struct TopicConfiguration: Sendable, Equatable {
  package enum CompressionType: String, Sendable { case uncompressed, zstd, lz4, snappy, gzip, producer }

  package var isCompacted = false
  package var isDeleted = true
  package var compressionType = CompressionType.producer
  package var gzipLevel = -1
  package var lz4Level = 9
  package var zstdLevel = 3
  package var deleteRetentionMs: Int64 = 86_400_000
  /// `durability=commit`: durable after an fsync. Otherwise from the page cache on.
  package var commitsToDisk = true
  package var takesDeadLetters = false
  package var fileDeleteDelayMs: Int64 = 60_000
  package var flushMessages = Int64.max
  package var flushMs = Int64.max
  package var indexIntervalBytes: Int32 = 4096
  package var maxCompactionLagMs = Int64.max
  package var maxMessageBytes: Int32 = 1_048_588
  package var timestampAfterMaxMs: Int64 = 3_600_000
  package var timestampBeforeMaxMs = Int64.max
  package var usesLogAppendTime = false
  package var minCleanableDirtyRatio = 0.5
  package var minCompactionLagMs: Int64 = 0
  package var minInsyncReplicas: Int32 = 1
  package var preallocate = false
  package var retentionBytes: Int64 = -1
  package var retentionMs: Int64 = 604_800_000
  package var segmentBytes: Int32 = 1_073_741_824
  package var segmentIndexBytes: Int32 = 10_485_760
  package var segmentJitterMs: Int64 = 0
  package var segmentMs: Int64 = 604_800_000

  package init() {}

  /// The broker's defaults for a topic that sets nothing itself.
  package init(defaults resolver: ConfigResolver) {
    for definition in TopicConfigs.all {
      if let value = resolver.topic(definition, overrides: [:]).value { set(definition.name, to: value) }
    }
  }

  /// These defaults with a topic's own settings over them. One that does not parse is as if it were not there.
  package func overridden(by overrides: [String: String]) -> TopicConfiguration {
    var result = self
    for (name, text) in overrides {
      guard let definition = TopicConfigs.definition(name), let value = try? definition.parse(text) else { continue }
      result.set(name, to: value)
    }
    return result
  }

  /// What two keys may not say together.
  package var conflict: ConfigError? {
    guard minCompactionLagMs > maxCompactionLagMs else { return nil }
    return .conflict(
      "min.compaction.lag.ms (\(minCompactionLagMs)) is more than max.compaction.lag.ms (\(maxCompactionLagMs))."
    )
  }

  private mutating func set(_ name: String, to value: ConfigValue) {
    switch (name, value) {
    case ("cleanup.policy", .list(let items)):
      isCompacted = items.contains("compact")
      isDeleted = items.contains("delete")
    case ("compression.type", .text(let text)): compressionType = CompressionType(rawValue: text) ?? .producer
    case ("compression.gzip.level", .integer(let number)): gzipLevel = Int(number)
    case ("compression.lz4.level", .integer(let number)): lz4Level = Int(number)
    case ("compression.zstd.level", .integer(let number)): zstdLevel = Int(number)
    case ("delete.retention.ms", .integer(let number)): deleteRetentionMs = number
    case ("durability", .text(let text)): commitsToDisk = text == "commit"
    case ("errors.deadletterqueue.group.enable", .boolean(let flag)): takesDeadLetters = flag
    case ("file.delete.delay.ms", .integer(let number)): fileDeleteDelayMs = number
    case ("flush.messages", .integer(let number)): flushMessages = number
    case ("flush.ms", .integer(let number)): flushMs = number
    case ("index.interval.bytes", .integer(let number)): indexIntervalBytes = Int32(clamping: number)
    case ("max.compaction.lag.ms", .integer(let number)): maxCompactionLagMs = number
    case ("max.message.bytes", .integer(let number)): maxMessageBytes = Int32(clamping: number)
    case ("message.timestamp.after.max.ms", .integer(let number)): timestampAfterMaxMs = number
    case ("message.timestamp.before.max.ms", .integer(let number)): timestampBeforeMaxMs = number
    case ("message.timestamp.type", .text(let text)): usesLogAppendTime = text == "LogAppendTime"
    case ("min.cleanable.dirty.ratio", .double(let number)): minCleanableDirtyRatio = number
    case ("min.compaction.lag.ms", .integer(let number)): minCompactionLagMs = number
    case ("min.insync.replicas", .integer(let number)): minInsyncReplicas = Int32(clamping: number)
    case ("preallocate", .boolean(let flag)): preallocate = flag
    case ("retention.bytes", .integer(let number)): retentionBytes = number
    case ("retention.ms", .integer(let number)): retentionMs = number
    case ("segment.bytes", .integer(let number)): segmentBytes = Int32(clamping: number)
    case ("segment.index.bytes", .integer(let number)): segmentIndexBytes = Int32(clamping: number)
    case ("segment.jitter.ms", .integer(let number)): segmentJitterMs = number
    case ("segment.ms", .integer(let number)): segmentMs = number
    default: break
    }
  }
}
