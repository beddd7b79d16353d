// Listeners, connections, and what a connection may cost.

extension BrokerConfigs {
  static let sockets: [ConfigDefinition] = [
    fixed(
      "listeners", .list, "PLAINTEXT://localhost:9092", .distinct(emptyAllowed: false), .high,
      """
      Where the broker listens: NAME://host:port, separated by commas. Without a host, or with 0.0.0.0 or [::], on \
      every address of the machine; port 0 takes a free port.
      """),
    fixed(
      "advertised.listeners", .list, nil, .distinct(emptyAllowed: false), .high,
      """
      What clients are told to connect to, by listener name, when it differs from listeners: behind a proxy, in a \
      container.
      """),
    fixed(
      "listener.security.protocol.map", .string,
      "PLAINTEXT:PLAINTEXT,SSL:SSL,SASL_PLAINTEXT:SASL_PLAINTEXT,SASL_SSL:SASL_SSL", .any, .low,
      "The security protocol of each listener name. A listener in use must map to PLAINTEXT."),
    fixed(
      "inter.broker.listener.name", .string, nil, .any, .medium,
      "The listener that brokers would use among themselves. Has no effect with one broker."),
    fixed(
      "security.inter.broker.protocol", .string, "PLAINTEXT", .oneOf(["PLAINTEXT"]), .medium,
      "The protocol that brokers would use among themselves. Has no effect with one broker."),
    fixed(
      "socket.request.max.bytes", .int, "104857600", .atLeast(1), .high,
      "The largest request; a connection that sends a larger one is closed."),
    fixed(
      "socket.receive.buffer.bytes", .int, "-1", .atLeast(-1), .high,
      "SO_RCVBUF of a connection; -1 lets the system size it to the traffic."),
    fixed(
      "socket.send.buffer.bytes", .int, "-1", .atLeast(-1), .high,
      "SO_SNDBUF of a connection; -1 lets the system size it to the traffic."),
    fixed(
      "socket.listen.backlog.size", .int, "128", .atLeast(1), .medium,
      "How many connections may wait to be accepted."),
    fixed(
      "max.connections", .int, "2147483647", .atLeast(0), .medium,
      "How many connections the broker holds at the same time."),
    fixed(
      "max.connections.per.ip", .int, "2147483647", .atLeast(0), .medium,
      "How many connections one address may hold at the same time."),
    fixed(
      "max.connections.per.ip.overrides", .string, "", .any, .medium,
      "Exceptions to max.connections.per.ip: host:number, separated by commas."),
    fixed(
      "max.connection.creation.rate", .int, "2147483647", .atLeast(0), .medium,
      "How many connections a second the broker accepts."),
    fixed(
      "connections.max.idle.ms", .long, "600000", .any, .medium,
      "A connection that is silent for so long is closed; 0 or less never closes one."),
    fixed(
      "connection.failed.authentication.delay.ms", .int, "100", .atLeast(0), .low,
      "The pause before a connection that failed to authenticate is closed. Has no effect on PLAINTEXT."),
    fixed(
      "queued.max.requests", .int, "500", .atLeast(1), .high,
      "Has no effect: a request is taken up as soon as it is read, there is no queue in between."),
    fixed(
      "queued.max.request.bytes", .long, "-1", .any, .medium,
      """
      How many bytes of requests the broker holds before it stops reading from connections; -1 lets the broker \
      choose.
      """),
    fixed(
      "num.network.threads", .int, "3", .atLeast(1), .high,
      "How many event loops serve connections, at most one per processor core."),
    fixed(
      "fetch.max.bytes", .int, "57671680", .atLeast(1024), .medium,
      "The most a fetch is answered with, whatever it asks for."),
    fixed(
      "max.incremental.fetch.session.cache.slots", .int, "1000", .atLeast(0), .medium,
      "How many incremental fetch sessions (KIP-227) the broker remembers."),
    fixed(
      "max.request.partition.size.limit", .int, "2000", .atLeast(1), .medium,
      "The most partitions in one answer of DescribeTopicPartitions."),
    fixed(
      "request.timeout.ms", .int, "30000", .atLeast(1), .high,
      "How long requests between brokers may take. Has no effect with one broker."),
    fixed(
      "socket.connection.setup.timeout.ms", .long, "10000", .any, .medium,
      "How long the broker waits for a connection to another broker. Has no effect with one broker."),
    fixed(
      "socket.connection.setup.timeout.max.ms", .long, "30000", .any, .medium,
      "The upper end of socket.connection.setup.timeout.ms. Has no effect with one broker."),
  ]
}
