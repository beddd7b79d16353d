// Who the broker is.

extension BrokerConfigs {
  static let node: [ConfigDefinition] = [
    fixed(
      "node.id", .int, "1", .atLeast(0), .high,
      "The id of this broker. It is written to meta.properties; a data directory belongs to one id."),
    fixed(
      "broker.id", .int, "-1", .atLeast(-1), .high,
      "The older name of node.id; used when node.id is not set."),
    fixed(
      "broker.rack", .string, nil, .any, .medium,
      "The rack that Metadata and DescribeCluster name, for clients that read from the nearest replica."),
    fixed(
      "cluster.id", .string, nil, .any, .medium,
      """
      The cluster id of a new data directory, a base64url UUID; one is made up when it is not set. An existing \
      directory keeps its own.
      """),
    fixed(
      "process.roles", .list, "broker,controller", .subset(of: ["broker", "controller"], emptyAllowed: false), .high,
      """
      The roles of this process. This broker always plays both; the key is accepted so that a file written for Kafka \
      can be read.
      """),
    dynamic(
      "background.threads", .int, "10", .atLeast(1), .high,
      "Kafka's threads for background work. Has no effect: threads are made to measure."),
    dynamic(
      "num.io.threads", .int, "8", .atLeast(1), .high,
      "Kafka's request handler threads. Has no effect: requests are handled on the event loops."),
    fixed(
      "controlled.shutdown.enable", .boolean, "true", .any, .medium,
      "Whether a stopping broker hands its leaders over first. Has no effect with one broker; a stop is always clean."),
    fixed(
      "server.max.startup.time.ms", .long, "9223372036854775807", .atLeast(0), .medium,
      "How long a start may take. Has no effect: a start is never given up."),
    fixed(
      "unstable.api.versions.enable", .boolean, "false", .only("false", because: "unstable versions are not served"),
      .high,
      "Whether versions of the protocol that may still change are announced."),
    fixed(
      "unstable.feature.versions.enable", .boolean, "false",
      .only("false", because: "unstable features are not served"), .high,
      "Whether feature levels that may still change can be set."),
  ]
}
