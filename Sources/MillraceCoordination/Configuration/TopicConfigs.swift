// The topic configs of Kafka 4.2, and ours. Each names the broker keys that it falls back to, the strongest first.

package enum TopicConfigs {
  package static let all: [ConfigDefinition] = [
    topic(
      "cleanup.policy", .list, "delete", .subset(of: ["compact", "delete"], emptyAllowed: true), ["log.cleanup.policy"],
      """
      What happens to old segments: 'delete' drops them by age or size, 'compact' keeps the last record of each key, \
      both do both; an empty list keeps everything.
      """),
    topic(
      "compression.type", .string, "producer", .oneOf(compressionTypes), ["compression.type"],
      """
      How batches are stored: 'producer' keeps what the producer sent, a codec name recompresses, 'uncompressed' \
      stores plain.
      """),
    topic(
      "compression.gzip.level", .int, "-1", .betweenOr(1, 9, -1), ["compression.gzip.level"],
      "The level for gzip when compression.type is gzip; -1 leaves it to the library."),
    topic(
      "compression.lz4.level", .int, "9", .between(1, 17), ["compression.lz4.level"],
      "The level for lz4 when compression.type is lz4."),
    topic(
      "compression.zstd.level", .int, "3", .between(-131_072, 22), ["compression.zstd.level"],
      "The level for zstd when compression.type is zstd."),
    topic(
      "delete.retention.ms", .long, "86400000", .atLeast(0), ["log.cleaner.delete.retention.ms"],
      "How long a tombstone stays in a compacted topic, so that a reader from the beginning can see the deletion."),
    topic(
      "durability", .string, "commit", .oneOf(["commit", "buffered"]), ["log.durability"],
      """
      When a record counts as durable: 'commit' after an fsync that covers it, 'buffered' once it is in the page \
      cache, where a power cut can still take back a suffix. Consumers and acks=all see durable records only.
      """),
    topic(
      "errors.deadletterqueue.group.enable", .boolean, "false", .any, [],
      "Whether the topic may be the dead-letter topic of share groups (KIP-1191)."),
    topic(
      "file.delete.delay.ms", .long, "60000", .atLeast(0), ["log.segment.delete.delay.ms"],
      "How long a deleted file stays on disk under its .deleted name."),
    topic(
      "flush.messages", .long, "9223372036854775807", .atLeast(1), ["log.flush.interval.messages"],
      "With durability=buffered: an fsync after this many records."),
    topic(
      "flush.ms", .long, "9223372036854775807", .atLeast(0),
      ["log.flush.interval.ms", "log.flush.scheduler.interval.ms"],
      "With durability=buffered: an fsync at the latest after this time."),
    topic(
      "follower.replication.throttled.replicas", .list, "", .throttledReplicas, [],
      """
      The replicas whose catching up is throttled on the follower's side. Kept for tools; one broker has no \
      followers.
      """),
    topic(
      "index.interval.bytes", .int, "4096", .atLeast(0), ["log.index.interval.bytes"],
      "About one index entry per this many bytes of log."),
    topic(
      "leader.replication.throttled.replicas", .list, "", .throttledReplicas, [],
      "The replicas whose catching up is throttled on the leader's side. Kept for tools; one broker has no followers."),
    topic(
      "local.retention.bytes", .long, "-2", .atLeast(-2), ["log.local.retention.bytes"],
      "The local part of a tiered topic by size; -2 is the value of retention.bytes."),
    topic(
      "local.retention.ms", .long, "-2", .atLeast(-2), ["log.local.retention.ms"],
      "The local part of a tiered topic by age; -2 is the value of retention.ms."),
    topic(
      "max.compaction.lag.ms", .long, "9223372036854775807", .atLeast(1), ["log.cleaner.max.compaction.lag.ms"],
      "The longest that a record may wait for compaction."),
    topic(
      "max.message.bytes", .int, "1048588", .atLeast(0), ["message.max.bytes"],
      "The largest record batch accepted, after compression, with its header."),
    topic(
      "message.timestamp.after.max.ms", .long, "3600000", .atLeast(0), ["log.message.timestamp.after.max.ms"],
      "With CreateTime: how far a record's timestamp may lie in the future of the broker's clock."),
    topic(
      "message.timestamp.before.max.ms", .long, "9223372036854775807", .atLeast(0),
      ["log.message.timestamp.before.max.ms"],
      "With CreateTime: how far a record's timestamp may lie in the past of the broker's clock."),
    topic(
      "message.timestamp.type", .string, "CreateTime", .oneOf(timestampTypes), ["log.message.timestamp.type"],
      "Whose timestamp a record carries: the producer's (CreateTime) or the broker's at the append (LogAppendTime)."),
    topic(
      "min.cleanable.dirty.ratio", .double, "0.5", .fraction, ["log.cleaner.min.cleanable.ratio"],
      "Compaction starts when this share of the log has not been compacted yet."),
    topic(
      "min.compaction.lag.ms", .long, "0", .atLeast(0), ["log.cleaner.min.compaction.lag.ms"],
      "The shortest time that a record stays uncompacted."),
    topic(
      "min.insync.replicas", .int, "1", .atLeast(1), ["min.insync.replicas"],
      """
      How many replicas must be in sync for acks=all. One broker has one replica, so a larger number refuses \
      acks=all.
      """),
    topic(
      "preallocate", .boolean, "false", .any, ["log.preallocate"],
      "Whether a new segment reserves its full size on disk."),
    topic(
      "remote.log.copy.disable", .boolean, "false", .only("false", because: noTiers), [],
      "Whether a tiered topic stops copying to the remote tier."),
    topic(
      "remote.log.delete.on.disable", .boolean, "false", .only("false", because: noTiers), [],
      "Whether the remote data goes when tiering is switched off."),
    topic(
      "remote.storage.enable", .boolean, "false", .only("false", because: noTiers), [],
      "Whether the topic is tiered."),
    topic(
      "retention.bytes", .long, "-1", .any, ["log.retention.bytes"],
      "The size a partition may reach before its oldest segments go (cleanup.policy=delete); -1 is without limit."),
    ConfigDefinition(
      "retention.ms", .long, "604800000", .atLeast(-1), .medium, update: .clusterWide,
      synonyms: [
        ConfigSynonym("log.retention.ms"), ConfigSynonym("log.retention.minutes", .minutesToMilliseconds),
        ConfigSynonym("log.retention.hours", .hoursToMilliseconds),
      ],
      "The age at which a segment goes (cleanup.policy=delete); -1 is without limit."),
    topic(
      "segment.bytes", .int, "1073741824", .atLeast(1_048_576), ["log.segment.bytes"],
      "The size of one segment file."),
    topic(
      "segment.index.bytes", .int, "10485760", .atLeast(4), ["log.index.size.max.bytes"],
      "The largest index file; a full index rolls the segment."),
    ConfigDefinition(
      "segment.jitter.ms", .long, "0", .atLeast(0), .medium, update: .clusterWide,
      synonyms: [ConfigSynonym("log.roll.jitter.ms"), ConfigSynonym("log.roll.jitter.hours", .hoursToMilliseconds)],
      "The most that is taken off segment.ms by chance, so that partitions do not all roll together."),
    ConfigDefinition(
      "segment.ms", .long, "604800000", .atLeast(1), .medium, update: .clusterWide,
      synonyms: [ConfigSynonym("log.roll.ms"), ConfigSynonym("log.roll.hours", .hoursToMilliseconds)],
      "The age at which a segment is closed even if it is not full, so that retention and compaction can have it."),
    topic(
      "unclean.leader.election.enable", .boolean, "false", .any, ["unclean.leader.election.enable"],
      "Whether a replica that is not in sync may become leader. Kept for tools; one broker has nobody to elect."),
  ]

  private static let byName = Dictionary(uniqueKeysWithValues: all.map { ($0.name, $0) })

  package static func definition(_ name: String) -> ConfigDefinition? { byName[name] }

  package static let compressionTypes = ["uncompressed", "zstd", "lz4", "snappy", "gzip", "producer"]
  package static let timestampTypes = ["CreateTime", "LogAppendTime"]
  private static let noTiers = "this broker has no remote tier"

  private static func topic(
    _ name: String, _ type: ConfigType, _ defaultText: String, _ rule: ConfigRule, _ synonyms: [String],
    _ documentation: String
  ) -> ConfigDefinition {
    ConfigDefinition(
      name, type, defaultText, rule, .medium, update: .clusterWide,
      synonyms: synonyms.map { ConfigSynonym($0) }, documentation)
  }
}
