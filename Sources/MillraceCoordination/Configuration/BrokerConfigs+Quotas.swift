// Quotas and metrics.

extension BrokerConfigs {
  static let quotas: [ConfigDefinition] = [
    fixed("quota.window.num", .int, "11", .atLeast(1), .low, "How many samples a client quota is measured over."),
    fixed("quota.window.size.seconds", .int, "1", .atLeast(1), .low, "The length of such a sample."),
    fixed(
      "replication.quota.window.num", .int, "11", .atLeast(1), .low,
      "How many samples the replication quota is measured over. Has no effect with one broker."),
    fixed(
      "replication.quota.window.size.seconds", .int, "1", .atLeast(1), .low,
      "The length of such a sample. Has no effect with one broker."),
    fixed(
      "alter.log.dirs.replication.quota.window.num", .int, "11", .atLeast(1), .low,
      "How many samples the quota for moves between directories is measured over. Has no effect with one broker."),
    fixed(
      "alter.log.dirs.replication.quota.window.size.seconds", .int, "1", .atLeast(1), .low,
      "The length of such a sample. Has no effect with one broker."),
    fixed(
      "controller.quota.window.num", .int, "11", .atLeast(1), .low,
      "How many samples the quota for changes of topics is measured over."),
    fixed("controller.quota.window.size.seconds", .int, "1", .atLeast(1), .low, "The length of such a sample."),
    dynamic(
      "leader.replication.throttled.rate", .long, "9223372036854775807", .atLeast(0), .medium,
      "Bytes a second for throttled replicas on the leader's side. Has no effect with one broker."),
    dynamic(
      "follower.replication.throttled.rate", .long, "9223372036854775807", .atLeast(0), .medium,
      "Bytes a second for throttled replicas on the follower's side. Has no effect with one broker."),
    dynamic(
      "replica.alter.log.dirs.io.max.bytes.per.second", .long, "9223372036854775807", .atLeast(0), .medium,
      "Bytes a second for moves between data directories. Has no effect: partitions are not moved."),
  ]

  static let metrics: [ConfigDefinition] = [
    fixed("metrics.num.samples", .int, "2", .atLeast(1), .low, "How many samples a metric is measured over."),
    fixed("metrics.sample.window.ms", .long, "30000", .atLeast(1), .low, "The length of such a sample."),
    fixed(
      "metrics.recording.level", .string, "INFO", .oneOf(["INFO", "DEBUG", "TRACE"]), .low,
      "How much Kafka measures. Has no effect."),
    dynamic(
      "metric.reporters", .list, "", .distinct(emptyAllowed: true), .low,
      "Kafka's classes that report metrics. Has no effect: classes cannot be loaded."),
    fixed(
      "kafka.metrics.reporters", .list, "", .distinct(emptyAllowed: true), .low,
      "Kafka's older classes that report metrics. Has no effect: classes cannot be loaded."),
    fixed(
      "kafka.metrics.polling.interval.secs", .int, "10", .atLeast(1), .low,
      "How often those classes are asked. Has no effect."),
    fixed(
      "telemetry.max.bytes", .int, "1048576", .atLeast(1), .low,
      "The largest report that a client may push (KIP-714)."),
  ]
}
