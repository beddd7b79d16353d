// Consumer groups, committed offsets, share groups.

extension BrokerConfigs {
  private static let oneReplica = "One broker keeps one, whatever this says."

  static let groups: [ConfigDefinition] = [
    fixed(
      "group.min.session.timeout.ms", .int, "6000", .any, .medium,
      "The shortest session time-out that a member of a classic group may ask for."),
    fixed(
      "group.max.session.timeout.ms", .int, "1800000", .any, .medium,
      "The longest session time-out that a member of a classic group may ask for."),
    fixed(
      "group.initial.rebalance.delay.ms", .int, "3000", .any, .medium,
      "How long an empty classic group waits for more members before its first rebalance."),
    fixed("group.max.size", .int, "2147483647", .atLeast(1), .medium, "How many members a classic group may have."),
    fixed(
      "group.coordinator.rebalance.protocols", .list, "classic,consumer,streams",
      .subset(of: ["classic", "consumer", "share", "streams"], emptyAllowed: false), .medium,
      "The group protocols switched on; one that this broker does not announce stays off."),
    fixed(
      "group.coordinator.threads", .int, "4", .atLeast(1), .high,
      "Kafka's threads for group coordination. Has no effect: threads are made to measure."),
    fixed(
      "group.coordinator.append.linger.ms", .int, "-1", .atLeast(-1), .medium,
      "How long Kafka's coordinator collects records before it writes. Has no effect: commits are grouped by the log."),
    fixed(
      "group.consumer.session.timeout.ms", .int, "45000", .atLeast(1), .medium,
      "The session time-out of consumer groups (KIP-848)."),
    fixed(
      "group.consumer.min.session.timeout.ms", .int, "45000", .atLeast(1), .medium,
      "The shortest session time-out that a consumer group may be given."),
    fixed(
      "group.consumer.max.session.timeout.ms", .int, "60000", .atLeast(1), .medium,
      "The longest session time-out that a consumer group may be given."),
    fixed(
      "group.consumer.heartbeat.interval.ms", .int, "5000", .atLeast(1), .medium,
      "The heartbeat interval of consumer groups."),
    fixed(
      "group.consumer.min.heartbeat.interval.ms", .int, "5000", .atLeast(1), .medium,
      "The shortest heartbeat interval that a consumer group may be given."),
    fixed(
      "group.consumer.max.heartbeat.interval.ms", .int, "15000", .atLeast(1), .medium,
      "The longest heartbeat interval that a consumer group may be given."),
    fixed(
      "group.consumer.max.size", .int, "2147483647", .atLeast(1), .medium,
      "How many members a consumer group may have."),
    fixed(
      "group.consumer.assignors", .list, "uniform,range", .subset(of: ["uniform", "range"], emptyAllowed: false),
      .medium,
      "The assignors on the broker's side, the default first."),
    fixed(
      "group.consumer.migration.policy", .string, "bidirectional",
      .oneOfIgnoringCase(["bidirectional", "upgrade", "downgrade", "disabled"]), .medium,
      "Whether a group may change between the classic and the consumer protocol while it runs."),
    fixed(
      "group.consumer.regex.refresh.interval.ms", .int, "600000", .atLeast(10_000), .medium,
      "How often the regular expressions that consumer groups subscribe to are matched with all topics anew."),
    fixed(
      "offsets.topic.num.partitions", .int, "50", .atLeast(1), .high,
      "The partitions of __consumer_offsets; fixed once the topic is there."),
    fixed(
      "offsets.topic.replication.factor", .short, "3", .atLeast(1), .high,
      "The replicas of __consumer_offsets. \(oneReplica)"),
    fixed(
      "offsets.topic.segment.bytes", .int, "104857600", .atLeast(1), .high,
      "The segment size of __consumer_offsets; small, so that compaction keeps up."),
    fixed(
      "offsets.topic.compression.codec", .int, "0", .between(0, 4), .high,
      "The codec for __consumer_offsets by number; 0 is none."),
    fixed(
      "offsets.load.buffer.size", .int, "5242880", .atLeast(1), .high,
      "How much of __consumer_offsets is read at once while loading."),
    fixed(
      "offsets.commit.timeout.ms", .int, "5000", .atLeast(1), .high,
      "How long a commit may wait to become durable before it fails."),
    fixed(
      "offset.metadata.max.bytes", .int, "4096", .atLeast(0), .high,
      "The longest note that a committed offset may carry."),
    fixed(
      "offsets.retention.minutes", .int, "10080", .atLeast(1), .high,
      "How long the offsets of an empty group are kept."),
    fixed(
      "offsets.retention.check.interval.ms", .long, "600000", .atLeast(1), .high,
      "How often expired offsets are looked for."),
  ]

  static let shareGroups: [ConfigDefinition] = [
    fixed(
      "group.share.delivery.count.limit", .int, "5", .between(2, 10), .medium,
      "How often a record is delivered to a share group before it is given up."),
    fixed(
      "group.share.record.lock.duration.ms", .int, "30000", .between(1000, 3_600_000), .medium,
      "How long a record stays with the member that acquired it."),
    fixed(
      "group.share.min.record.lock.duration.ms", .int, "15000", .between(1000, 30_000), .medium,
      "The shortest lock that a share group may be given."),
    fixed(
      "group.share.max.record.lock.duration.ms", .int, "60000", .between(30_000, 3_600_000), .medium,
      "The longest lock that a share group may be given."),
    fixed(
      "group.share.partition.max.record.locks", .int, "2000", .between(100, 10_000), .medium,
      "How many records of a partition may be locked at the same time."),
    fixed(
      "group.share.max.share.sessions", .int, "2000", .atLeast(1), .medium,
      "How many share sessions the broker remembers."),
    fixed(
      "share.fetch.purgatory.purge.interval.requests", .int, "1000", .any, .medium,
      "When Kafka tidies up waiting share fetches. Has no effect: one that is answered is gone."),
    fixed(
      "group.share.session.timeout.ms", .int, "45000", .atLeast(1), .medium, "The session time-out of share groups."),
    fixed(
      "group.share.min.session.timeout.ms", .int, "45000", .atLeast(1), .medium,
      "The shortest session time-out that a share group may be given."),
    fixed(
      "group.share.max.session.timeout.ms", .int, "60000", .atLeast(1), .medium,
      "The longest session time-out that a share group may be given."),
    fixed(
      "group.share.heartbeat.interval.ms", .int, "5000", .atLeast(1), .medium,
      "The heartbeat interval of share groups."),
    fixed(
      "group.share.min.heartbeat.interval.ms", .int, "5000", .atLeast(1), .medium,
      "The shortest heartbeat interval that a share group may be given."),
    fixed(
      "group.share.max.heartbeat.interval.ms", .int, "15000", .atLeast(1), .medium,
      "The longest heartbeat interval that a share group may be given."),
    fixed("group.share.max.size", .int, "200", .between(1, 1000), .medium, "How many members a share group may have."),
    fixed(
      "group.share.assignors", .list, "simple", .subset(of: ["simple"], emptyAllowed: false), .medium,
      "The assignor of share groups."),
    fixed(
      "group.share.initialize.retry.interval.ms", .int, "30000", .atLeast(1), .low,
      "After so long an initialization of share group state that was not heard of is begun again."),
    dynamic(
      ConfigResolver.deadLetterPrefix, .string, "dlq.", .any, .medium,
      "What the names of dead-letter topics of share groups have to begin with; empty allows every name (KIP-1191)."),
    dynamic(
      ConfigResolver.createsDeadLetterTopics, .boolean, "true", .any, .medium,
      "Whether a dead-letter topic that is missing is made. Kafka's default is false."),
    fixed(
      "share.coordinator.state.topic.num.partitions", .int, "50", .atLeast(1), .high,
      "The partitions of __share_group_state; fixed once the topic is there."),
    fixed(
      "share.coordinator.state.topic.replication.factor", .short, "3", .atLeast(1), .high,
      "The replicas of __share_group_state. \(oneReplica)"),
    fixed(
      "share.coordinator.state.topic.min.isr", .short, "2", .atLeast(1), .high,
      "The min.insync.replicas of __share_group_state. \(oneReplica)"),
    fixed(
      "share.coordinator.state.topic.segment.bytes", .int, "104857600", .atLeast(1), .high,
      "The segment size of __share_group_state."),
    fixed(
      "share.coordinator.state.topic.compression.codec", .int, "0", .between(0, 4), .high,
      "The codec for __share_group_state by number; 0 is none."),
    fixed(
      "share.coordinator.threads", .int, "1", .atLeast(1), .medium,
      "Kafka's threads for share group state. Has no effect: threads are made to measure."),
    fixed(
      "share.coordinator.snapshot.update.records.per.snapshot", .int, "500", .atLeast(0), .medium,
      "How many updates of share group state are written between two snapshots."),
    fixed(
      "share.coordinator.load.buffer.size", .int, "5242880", .atLeast(1), .high,
      "How much of __share_group_state is read at once while loading."),
    fixed(
      "share.coordinator.append.linger.ms", .int, "-1", .atLeast(-1), .medium,
      "How long Kafka's coordinator collects records before it writes. Has no effect: commits are grouped by the log."),
    fixed(
      "share.coordinator.write.timeout.ms", .int, "5000", .atLeast(1), .high,
      "How long a write of share group state may wait to become durable. Has no effect: it waits until the log says."),
    fixed(
      "share.coordinator.state.topic.prune.interval.ms", .int, "300000", .atLeast(1), .low,
      "How often share group state that newer snapshots have replaced is removed."),
    fixed(
      "share.coordinator.cold.partition.snapshot.interval.ms", .int, "300000", .atLeast(1), .low,
      "After so long without a change share group state is written anew, so that what is before it can be removed."),
  ]
}
