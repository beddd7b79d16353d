// Data directories, and the broker's defaults for topics.

extension BrokerConfigs {
  static let logs: [ConfigDefinition] = [
    fixed(
      "log.dir", .list, "./data", .distinct(emptyAllowed: false), .high,
      "The data directory; used when log.dirs is not set."),
    fixed(
      "log.dirs", .list, nil, .distinct(emptyAllowed: false), .high,
      "The data directories, separated by commas. A new partition goes where the fewest are."),
    dynamic(
      "log.durability", .string, "commit", .oneOf(["commit", "buffered"]), .high,
      """
      The default of the topic config durability: 'commit' acknowledges after an fsync, 'buffered' from the page \
      cache.
      """),
    fixed(
      "log.flush.policy", .string, "automatic", .oneOf(["automatic", "files"]), .medium,
      """
      How files are flushed. 'automatic' flushes up to two one by one and more with one call for the whole file system; \
      'files' always one by one, for a file system that a busy neighbour shares, or Linux before 5.8.
      """),
    dynamic("log.segment.bytes", .int, "1073741824", .atLeast(1_048_576), .high, "The default of segment.bytes."),
    dynamic(
      "log.roll.ms", .long, nil, .atLeast(1), .high, weaker: [ConfigSynonym("log.roll.hours", .hoursToMilliseconds)],
      "The default of segment.ms; stronger than log.roll.hours."),
    fixed("log.roll.hours", .int, "168", .atLeast(1), .high, "The default of segment.ms, in hours."),
    dynamic(
      "log.roll.jitter.ms", .long, nil, .atLeast(0), .high,
      weaker: [ConfigSynonym("log.roll.jitter.hours", .hoursToMilliseconds)],
      "The default of segment.jitter.ms; stronger than log.roll.jitter.hours."),
    fixed("log.roll.jitter.hours", .int, "0", .atLeast(0), .high, "The default of segment.jitter.ms, in hours."),
    dynamic(
      "log.retention.ms", .long, nil, .atLeast(-1), .high,
      weaker: [
        ConfigSynonym("log.retention.minutes", .minutesToMilliseconds),
        ConfigSynonym("log.retention.hours", .hoursToMilliseconds),
      ],
      "The default of retention.ms; stronger than log.retention.minutes and log.retention.hours. -1 keeps everything."),
    fixed(
      "log.retention.minutes", .int, nil, .any, .high,
      "The default of retention.ms, in minutes; stronger than log.retention.hours."),
    fixed("log.retention.hours", .int, "168", .any, .high, "The default of retention.ms, in hours."),
    dynamic("log.retention.bytes", .long, "-1", .any, .high, "The default of retention.bytes."),
    fixed(
      "log.retention.check.interval.ms", .long, "300000", .atLeast(1), .medium,
      "How often the broker looks for segments that are old or too many."),
    dynamic(
      "log.cleanup.policy", .list, "delete", .subset(of: ["compact", "delete"], emptyAllowed: true), .medium,
      "The default of cleanup.policy."),
    dynamic("log.index.size.max.bytes", .int, "10485760", .atLeast(4), .medium, "The default of segment.index.bytes."),
    dynamic("log.index.interval.bytes", .int, "4096", .atLeast(0), .medium, "The default of index.interval.bytes."),
    dynamic(
      "log.flush.interval.messages", .long, "9223372036854775807", .atLeast(1), .high,
      "The default of flush.messages."),
    dynamic(
      "log.flush.interval.ms", .long, nil, .atLeast(0), .high,
      weaker: [ConfigSynonym("log.flush.scheduler.interval.ms")],
      "The default of flush.ms; stronger than log.flush.scheduler.interval.ms."),
    fixed(
      "log.flush.scheduler.interval.ms", .long, "9223372036854775807", .atLeast(0), .high,
      "How often Kafka looks for logs to flush; here the default of flush.ms."),
    fixed(
      "log.flush.offset.checkpoint.interval.ms", .int, "60000", .atLeast(0), .high,
      "How often the recovery points are written down; recovery after a crash reads from there."),
    fixed(
      "log.flush.start.offset.checkpoint.interval.ms", .int, "60000", .atLeast(0), .high,
      "How often the first offsets of the logs are written down."),
    dynamic("log.segment.delete.delay.ms", .long, "60000", .atLeast(0), .high, "The default of file.delete.delay.ms."),
    dynamic("log.preallocate", .boolean, "false", .any, .medium, "The default of preallocate."),
    dynamic(
      "log.message.timestamp.type", .string, "CreateTime", .oneOf(TopicConfigs.timestampTypes), .medium,
      "The default of message.timestamp.type."),
    dynamic(
      "log.message.timestamp.before.max.ms", .long, "9223372036854775807", .atLeast(0), .medium,
      "The default of message.timestamp.before.max.ms."),
    dynamic(
      "log.message.timestamp.after.max.ms", .long, "3600000", .atLeast(0), .medium,
      "The default of message.timestamp.after.max.ms."),
    dynamic("log.local.retention.bytes", .long, "-2", .atLeast(-2), .medium, "The default of local.retention.bytes."),
    dynamic("log.local.retention.ms", .long, "-2", .atLeast(-2), .medium, "The default of local.retention.ms."),
    fixed(
      "log.dir.failure.timeout.ms", .long, "30000", .atLeast(1), .low,
      "How long Kafka waits to tell the controller of a failed directory. Has no effect with one broker."),
    fixed(
      "log.initial.task.delay.ms", .long, "30000", .atLeast(0), .low,
      "How long after the start the first round of retention waits."),
    dynamic(
      "num.recovery.threads.per.data.dir", .int, "8", .between(1, 1000), .high,
      "How many threads recover the logs of one data directory after an unclean stop. Kafka's default is 2."),
  ]

  static let cleaner: [ConfigDefinition] = [
    fixed(
      "log.cleaner.enable", .boolean, "true", .any, .medium,
      "Whether topics are compacted. Kafka 5.0 will drop it; leave it on."),
    dynamic("log.cleaner.threads", .int, "1", .atLeast(0), .medium, "How many threads compact."),
    dynamic(
      "log.cleaner.io.max.bytes.per.second", .double, "1.7976931348623157E308", .any, .medium,
      "How fast compaction may read and write."),
    dynamic(
      "log.cleaner.dedupe.buffer.size", .long, "134217728", .any, .medium,
      "The memory for the map of keys while compacting."),
    dynamic("log.cleaner.io.buffer.size", .int, "524288", .atLeast(0), .medium, "The memory for I/O while compacting."),
    dynamic("log.cleaner.io.buffer.load.factor", .double, "0.9", .any, .medium, "How full the map of keys may become."),
    dynamic(
      "log.cleaner.backoff.ms", .long, "15000", .atLeast(0), .medium,
      "The pause when there is nothing to compact."),
    dynamic(
      "log.cleaner.min.cleanable.ratio", .double, "0.5", .fraction, .medium,
      "The default of min.cleanable.dirty.ratio."),
    dynamic(
      "log.cleaner.delete.retention.ms", .long, "86400000", .atLeast(0), .medium,
      "The default of delete.retention.ms."),
    dynamic(
      "log.cleaner.min.compaction.lag.ms", .long, "0", .atLeast(0), .medium,
      "The default of min.compaction.lag.ms."),
    dynamic(
      "log.cleaner.max.compaction.lag.ms", .long, "9223372036854775807", .atLeast(1), .medium,
      "The default of max.compaction.lag.ms."),
  ]

  static let topics: [ConfigDefinition] = [
    fixed("num.partitions", .int, "1", .atLeast(1), .medium, "How many partitions a topic gets when nobody says."),
    fixed(
      "default.replication.factor", .int, "1", .atLeast(1), .medium,
      "How many replicas a topic gets when nobody says. One broker keeps one, whatever this says."),
    fixed(
      "auto.create.topics.enable", .boolean, "true", .any, .high,
      "Whether asking for the metadata of a topic that is not there creates it."),
    fixed("delete.topic.enable", .boolean, "true", .any, .high, "Whether topics can be deleted."),
    dynamic("message.max.bytes", .int, "1048588", .atLeast(0), .high, "The default of max.message.bytes."),
    dynamic(
      "compression.type", .string, "producer", .oneOf(TopicConfigs.compressionTypes), .high,
      "The default of the topic config of the same name."),
    dynamic(
      "compression.gzip.level", .int, "-1", .betweenOr(1, 9, -1), .medium,
      "The default of the topic config of the same name."),
    dynamic(
      "compression.lz4.level", .int, "9", .between(1, 17), .medium,
      "The default of the topic config of the same name."),
    dynamic(
      "compression.zstd.level", .int, "3", .between(-131_072, 22), .medium,
      "The default of the topic config of the same name."),
    dynamic("min.insync.replicas", .int, "1", .atLeast(1), .high, "The default of the topic config of the same name."),
    dynamic(
      "unclean.leader.election.enable", .boolean, "false", .any, .high,
      "The default of the topic config of the same name."),
  ]
}
