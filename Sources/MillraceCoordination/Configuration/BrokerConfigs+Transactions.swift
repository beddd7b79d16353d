// Transactions and producer ids.

extension BrokerConfigs {
  private static let oneReplica = "One broker keeps one, whatever this says."

  static let transactions: [ConfigDefinition] = [
    dynamic(
      "producer.id.expiration.ms", .int, "86400000", .atLeast(1), .low,
      "How long a partition remembers the sequence of a producer that has stopped writing."),
    fixed(
      "producer.id.expiration.check.interval.ms", .int, "600000", .atLeast(1), .low,
      "How often producers that have stopped writing are looked for."),
    fixed(
      "transactional.id.expiration.ms", .int, "604800000", .atLeast(1), .high,
      "How long an idle transactional id is remembered."),
    fixed(
      "transaction.max.timeout.ms", .int, "900000", .atLeast(1), .high,
      "The longest time-out that a transaction may ask for."),
    fixed(
      "transaction.abort.timed.out.transaction.cleanup.interval.ms", .int, "10000", .atLeast(1), .low,
      "How often transactions past their time-out are looked for."),
    fixed(
      "transaction.remove.expired.transaction.cleanup.interval.ms", .int, "3600000", .atLeast(1), .low,
      "How often expired transactional ids are looked for."),
    fixed(
      "transaction.two.phase.commit.enable", .boolean, "false", .any, .low,
      "Whether a producer may prepare a transaction for an outside coordinator (KIP-939). Has no effect: it may not."),
    dynamic(
      "transaction.partition.verification.enable", .boolean, "true", .any, .low,
      "Whether a transactional batch is refused unless its partition belongs to the transaction."),
    fixed(
      "transaction.state.log.num.partitions", .int, "50", .atLeast(1), .high,
      "The partitions of __transaction_state; fixed once the topic is there."),
    fixed(
      "transaction.state.log.replication.factor", .short, "3", .atLeast(1), .high,
      "The replicas of __transaction_state. \(oneReplica)"),
    fixed(
      "transaction.state.log.min.isr", .int, "2", .atLeast(1), .high,
      "The min.insync.replicas of __transaction_state. \(oneReplica)"),
    fixed(
      "transaction.state.log.segment.bytes", .int, "104857600", .atLeast(1), .high,
      "The segment size of __transaction_state."),
    fixed(
      "transaction.state.log.load.buffer.size", .int, "5242880", .atLeast(1), .high,
      "How much of __transaction_state is read at once while loading. Has no effect: it is read by the megabyte."),
    fixed(
      "add.partitions.to.txn.retry.backoff.ms", .int, "20", .atLeast(1), .high,
      "How long to pause before asking again. Has no effect: who waits goes on as soon as the transaction is complete."
    ),
    fixed(
      "add.partitions.to.txn.retry.backoff.max.ms", .int, "100", .atLeast(0), .high,
      "How long a write waits for the outcome of the transaction before to be written everywhere."),
  ]
}
