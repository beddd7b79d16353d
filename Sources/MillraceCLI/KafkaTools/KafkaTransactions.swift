// kafka-transactions.sh
import ArgumentParser
import MillraceClient

struct KafkaTransactions: KafkaTool {
  static let configuration = hidden("kafka-transactions")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-transactions.sh",
    purpose: "This tool analyzes the transactional state of producers, and finds and ends hanging transactions.",
    options: [
      .bootstrapServer, .commandConfig,
      ToolOption(
        "duration-filter", argument: .required("ms"),
        help: "With list: only transactions that have been open for longer than this; all if negative."),
      ToolOption(
        "transactional-id-pattern", argument: .required("regex"),
        help: "With list: only transactional ids that the regular expression matches."),
      ToolOption("transactional-id", argument: .required("id"), help: "With describe: the transactional id."),
      ToolOption("topic", argument: .required("topic"), help: "The topic."),
      ToolOption("partition", argument: .required("partition"), help: "The partition."),
      ToolOption(
        "broker-id", argument: .required("id"), help: "With find-hanging: the broker whose partitions to look at."),
      ToolOption(
        "start-offset", argument: .required("offset"), help: "With abort: the first offset of the transaction."),
      ToolOption(
        "producer-id", argument: .required("id"), help: "With abort, for brokers before Kafka 3.0: the producer."),
      ToolOption(
        "producer-epoch", argument: .required("epoch"), help: "With abort, for brokers before Kafka 3.0: its epoch."),
      ToolOption(
        "coordinator-epoch", argument: .required("epoch"),
        help: "With abort, for brokers before Kafka 3.0: the epoch of its coordinator."),
      ToolOption(
        "max-transaction-timeout", argument: .required("minutes"),
        help: "With find-hanging: how long a transaction may be open, 15 minutes without it."),
      ToolOption(
        "transactionalId", argument: .required("id"), help: "With forceTerminateTransaction: the transactional id."),
    ], operands: commands.joined(separator: "|"))

  private static let commands = [
    "list", "describe", "describe-producers", "abort", "find-hanging", "forceTerminateTransaction",
  ]

  func run(_ given: ToolArguments) async throws {
    guard given.operands.count == 1, Self.commands.contains(given.operands[0]) else {
      throw ToolUsageFailure("choose one of \(Self.commands.joined(separator: ", "))")
    }
    let client = try clientProperties(given, clientId: "kafka-transactions").client()
    try await Admin.connected(client) { admin in
      switch given.operands[0] {
      case "list": try await list(given, admin)
      case "describe": try await describe(try given.required("transactional-id"), admin)
      case "describe-producers": try await describeProducers(try partition(given), admin)
      case "abort": try await abort(given, admin)
      case "find-hanging": try await findHanging(given, admin)
      default: try await admin.fenceProducer(try given.required("transactionalId"))
      }
    }
  }

  private func partition(_ given: ToolArguments) throws -> TopicPartition {
    guard let index: Int32 = try given.integer("partition"), index >= 0 else {
      throw ToolUsageFailure("Missing required argument \"[partition]\"")
    }
    return TopicPartition(try given.required("topic"), index)
  }

  private func list(_ given: ToolArguments, _ admin: Admin) async throws {
    let filter: Int64 = try given.integer("duration-filter") ?? -1
    let transactions = try await admin.listTransactions(
      runningLongerThan: filter < 0 ? nil : .milliseconds(filter), pattern: given.value("transactional-id-pattern"))
    var table = Table("TransactionalId", "Coordinator", "ProducerId", "TransactionState")
    for transaction in transactions {
      table.add(
        transaction.transactionalId, "\(transaction.coordinatorId)", "\(transaction.producerId)", transaction.state)
    }
    try show(table)
  }

  private func describe(_ id: String, _ admin: Admin) async throws {
    guard let transaction = try await admin.describeTransactions([id])[id]?.get() else { return }
    let nowMs = Surroundings.nowMs()
    var table = Table(
      "CoordinatorId", "TransactionalId", "ProducerId", "ProducerEpoch", "TransactionState", "TransactionTimeoutMs",
      "CurrentTransactionStartTimeMs", "TransactionDurationMs", "TopicPartitions")
    table.add(
      "\(transaction.coordinatorId)", id, "\(transaction.producerId)", "\(transaction.producerEpoch)",
      transaction.state, "\(transaction.timeoutMs)", text(transaction.startTimeMs),
      text(transaction.startTimeMs.map { nowMs.subtractingReportingOverflow($0).partialValue }),
      transaction.partitions.map { "\($0.topic)-\($0.partition)" }.joined(separator: ","))
    try show(table)
  }

  private func describeProducers(_ partition: TopicPartition, _ admin: Admin) async throws {
    var table = Table(
      "ProducerId", "ProducerEpoch", "LatestCoordinatorEpoch", "LastSequence", "LastTimestamp",
      "CurrentTransactionStartOffset")
    for producer in try await admin.describeProducers([partition])[partition]?.get() ?? [] {
      table.add(
        "\(producer.producerId)", "\(producer.producerEpoch)", "\(producer.coordinatorEpoch ?? -1)",
        "\(producer.lastSequence)", "\(producer.lastTimestamp)", text(producer.transactionStartOffset))
    }
    try show(table)
  }

  private func abort(_ given: ToolArguments, _ admin: Admin) async throws {
    let partition = try partition(given)
    if let startOffset: Int64 = try given.integer("start-offset") {
      guard let transaction = try await HangingTransaction.toAbort(admin, partition, startOffset: startOffset) else {
        note(
          "Could not find any open transactions starting at offset \(startOffset) on partition "
            + "\(partition.topic)-\(partition.partition)")
        throw ExitCode(1)
      }
      return try await admin.abortTransaction(transaction)
    }
    guard let producerId: Int64 = try given.integer("producer-id") else {
      throw ToolUsageFailure(
        "The transaction to abort must be identified either with --start-offset (for brokers on 3.0 or above) or with "
          + "--producer-id, --producer-epoch, and --coordinator-epoch (for older brokers)")
    }
    _ = (try given.required("producer-epoch"), try given.required("coordinator-epoch"))
    try await admin.abortTransaction(
      TransactionToAbort(
        partition: partition, producerId: producerId, producerEpoch: try given.integer("producer-epoch") ?? 0,
        coordinatorEpoch: max(0, try given.integer("coordinator-epoch") ?? 0)))
  }

  private func findHanging(_ given: ToolArguments, _ admin: Admin) async throws {
    let brokerId: Int32? = try given.integer("broker-id")
    guard given.has("topic") || brokerId != nil else {
      throw ToolUsageFailure(
        "The find-hanging command requires either --topic or --broker-id to limit the scope of the search")
    }
    guard given.has("topic") || !given.has("partition") else {
      throw ToolUsageFailure("The --partition argument requires --topic to be provided")
    }
    let partitions: [TopicPartition]
    if given.has("partition") {
      partitions = [try partition(given)]
    } else {
      let names =
        if let topic = given.value("topic") { [topic] } else {
          try await admin.listTopics(includeInternal: true).map(\.name)
        }
      partitions = try await admin.describeTopics(names).values.flatMap { result in
        let topic = try result.get()
        return topic.partitions.filter { brokerId.map($0.replicas.contains) ?? true }
          .map { TopicPartition(topic.name, $0.index) }
      }.sorted()
    }
    let minutes: Int64 = try given.integer("max-transaction-timeout") ?? 15
    let nowMs = Surroundings.nowMs()
    let hanging = try await HangingTransaction.find(
      admin, in: partitions, olderThanMs: minutes.multipliedReportingOverflow(by: 60_000).partialValue, nowMs: nowMs)
    var table = Table(
      "Topic", "Partition", "ProducerId", "ProducerEpoch", "CoordinatorEpoch", "StartOffset", "LastTimestamp",
      "Duration(min)")
    for transaction in hanging {
      let producer = transaction.producer
      table.add(
        transaction.partition.topic, "\(transaction.partition.partition)", "\(producer.producerId)",
        "\(producer.producerEpoch)", "\(producer.coordinatorEpoch ?? -1)", "\(producer.transactionStartOffset ?? -1)",
        "\(producer.lastTimestamp)", "\(transaction.minutes(nowMs: nowMs))")
    }
    try show(table)
  }

  private func text(_ value: Int64?) -> String { value.map { "\($0)" } ?? "None" }

  private func show(_ table: Table) throws {
    for line in table.lines() { try Output.standard.line(line) }
  }
}
