// The controller's and the metadata log's keys. The broker is its own controller, so most say something about Kafka
// only.

extension BrokerConfigs {
  private static let noEffect = "Has no effect: this broker is its own controller."

  static let controller: [ConfigDefinition] = [
    fixed(
      "controller.listener.names", .list, "CONTROLLER", .distinct(emptyAllowed: false), .high,
      "Listener names that belong to Kafka's controller. They are not opened: this broker is its own controller."),
    fixed(
      "controller.quorum.voters", .list, "", .distinct(emptyAllowed: true), .high,
      "The controllers that vote, as id@host:port. \(noEffect)"),
    fixed(
      "controller.quorum.bootstrap.servers", .list, "", .distinct(emptyAllowed: true), .high,
      "Where controllers are found. \(noEffect)"),
    fixed(
      "controller.quorum.election.timeout.ms", .int, "1000", .atLeast(0), .high,
      "How long a controller waits for votes. \(noEffect)"),
    fixed(
      "controller.quorum.fetch.timeout.ms", .int, "2000", .atLeast(0), .high,
      "How long a controller waits for its leader. \(noEffect)"),
    fixed(
      "controller.quorum.election.backoff.max.ms", .int, "1000", .atLeast(0), .high,
      "The longest pause between elections. \(noEffect)"),
    fixed(
      "controller.quorum.append.linger.ms", .int, "25", .atLeast(0), .medium,
      "How long a controller collects changes before it writes. \(noEffect)"),
    fixed(
      "controller.quorum.request.timeout.ms", .int, "2000", .atLeast(0), .medium,
      "How long requests between controllers may take. \(noEffect)"),
    fixed(
      "controller.quorum.retry.backoff.ms", .int, "20", .atLeast(0), .low,
      "The pause before a controller asks again. \(noEffect)"),
    fixed(
      "controller.quorum.auto.join.enable", .boolean, "false", .any, .low,
      "Whether a controller joins the voters by itself. \(noEffect)"),
    fixed(
      "controller.socket.timeout.ms", .int, "30000", .any, .medium,
      "The socket time-out between controllers and brokers. \(noEffect)"),
    fixed(
      "initial.broker.registration.timeout.ms", .int, "60000", .any, .medium,
      "How long a broker tries to register. \(noEffect)"),
    fixed(
      "broker.heartbeat.interval.ms", .int, "2000", .any, .medium,
      "How often a broker reports to the controller. \(noEffect)"),
    fixed(
      "broker.session.timeout.ms", .int, "9000", .any, .medium,
      "How long a silent broker stays a member. \(noEffect)"),
    fixed(
      "metadata.log.dir", .string, nil, .any, .high,
      "Where the metadata log is kept. Has no effect: it is in a data directory, like every log."),
    fixed(
      "metadata.log.segment.bytes", .int, "1073741824", .atLeast(8_388_608), .high,
      "The size of a segment of the metadata log."),
    fixed(
      "metadata.log.segment.ms", .long, "604800000", .atLeast(1), .high,
      "The age at which a segment of the metadata log is closed."),
    fixed(
      "metadata.log.max.record.bytes.between.snapshots", .long, "20971520", .atLeast(1), .high,
      "How much is logged between two snapshots of the metadata."),
    fixed(
      "metadata.log.max.snapshot.interval.ms", .long, "3600000", .atLeast(0), .high,
      "The longest time between two snapshots of metadata that changed; 0 for as long as it takes."),
    fixed(
      "metadata.max.retention.bytes", .long, "104857600", .any, .high,
      "The size of metadata kept. Has no effect: the log is kept from the last snapshot but one on."),
    fixed(
      "metadata.max.retention.ms", .long, "604800000", .any, .high,
      "The age of metadata kept. Has no effect: the log is kept from the last snapshot but one on."),
    fixed(
      "metadata.max.idle.interval.ms", .int, "500", .atLeast(0), .low,
      "How often an idle controller writes a record to show that it is there. \(noEffect)"),
  ]

  private static let noFollowers = "Has no effect with one broker."

  static let replication: [ConfigDefinition] = [
    fixed(
      "replica.lag.time.max.ms", .long, "30000", .any, .high,
      "How far behind a replica may be and still be in sync. \(noFollowers)"),
    fixed("replica.socket.timeout.ms", .int, "30000", .any, .high, "The time-out of a replica's fetch. \(noFollowers)"),
    fixed(
      "replica.socket.receive.buffer.bytes", .int, "65536", .any, .high,
      "The socket buffer of a replica's fetch. \(noFollowers)"),
    fixed(
      "replica.fetch.max.bytes", .int, "1048576", .atLeast(0), .medium,
      "How much a replica fetches of one partition. \(noFollowers)"),
    fixed("replica.fetch.wait.max.ms", .int, "500", .any, .high, "How long a replica's fetch waits. \(noFollowers)"),
    fixed(
      "replica.fetch.backoff.ms", .int, "1000", .atLeast(0), .medium,
      "The pause after a replica's failed fetch. \(noFollowers)"),
    fixed(
      "replica.fetch.min.bytes", .int, "1", .any, .high,
      "How much a replica's fetch waits for. \(noFollowers)"),
    fixed(
      "replica.fetch.response.max.bytes", .int, "10485760", .atLeast(0), .medium,
      "How much a replica fetches at once. \(noFollowers)"),
    dynamic(
      "num.replica.fetchers", .int, "1", .atLeast(1), .high,
      "How many threads fetch from each leader. \(noFollowers)"),
    fixed(
      "num.replica.alter.log.dirs.threads", .int, nil, .any, .high,
      "How many threads move partitions between data directories. \(noFollowers)"),
    fixed(
      "replica.high.watermark.checkpoint.interval.ms", .long, "5000", .any, .high,
      "How often the high watermarks are written down."),
    fixed(
      "fetch.purgatory.purge.interval.requests", .int, "1000", .any, .medium,
      "When Kafka tidies up waiting fetches. Has no effect: a fetch that is answered is gone."),
    fixed(
      "producer.purgatory.purge.interval.requests", .int, "1000", .any, .medium,
      "When Kafka tidies up waiting produces. Has no effect: a produce that is answered is gone."),
    fixed(
      "delete.records.purgatory.purge.interval.requests", .int, "1", .any, .medium,
      "When Kafka tidies up waiting DeleteRecords. Has no effect: one that is answered is gone."),
    fixed(
      "auto.leader.rebalance.enable", .boolean, "true", .any, .high,
      "Whether leaders are moved back to the preferred replica. \(noFollowers)"),
    fixed(
      "leader.imbalance.check.interval.seconds", .long, "300", .atLeast(1), .high,
      "How often leaders are moved back. \(noFollowers)"),
  ]
}
