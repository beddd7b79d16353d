// kafka-console-consumer.sh
import ArgumentParser
import MillraceClient

struct KafkaConsoleConsumer: KafkaTool {
  static let configuration = hidden("kafka-console-consumer")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-console-consumer.sh",
    purpose: "This tool helps to read data from Kafka topics and outputs it to standard output.",
    options: [
      .bootstrapServer,
      ToolOption(
        "command-config", "consumer.config", argument: .required("file"),
        help: "A properties file with the consumer's configuration."),
      .consumerProperty,
      .formatterProperty(
        prints: "print.timestamp, print.key, print.offset, print.epoch, print.partition, print.headers, print.value"),
      .formatterConfig, .formatter, .keyDeserializer, .valueDeserializer, .readTopic,
      ToolOption(
        "include", "whitelist", argument: .required("regular expression"), help: "The topics whose names match."),
      ToolOption(
        "partition", argument: .required("partition"),
        help: "Only this partition, from its end unless --offset is given."),
      ToolOption("offset", argument: .required("offset"), help: "An offset, earliest or latest; with --partition."),
      ToolOption("from-beginning", help: "Begin at the first record where the group has no offset."),
      ToolOption("group", argument: .required("consumer group id"), help: "The group to read as a member of."),
      .maxMessages, .idleTimeout,
      ToolOption("isolation-level", argument: .required("level"), help: "read_committed or read_uncommitted."),
      ToolOption("skip-message-on-error", isIgnored: true, help: "Records are shown as they are."),
      .systemTestEvents,
    ])

  func run(_ given: ToolArguments) async throws {
    guard given.has("topic") != given.has("include") else {
      throw ToolUsageFailure("Exactly one of the following arguments is required: [topic], [include]")
    }
    if given.has("offset"), !given.has("partition") {
      throw ToolUsageFailure("The partition is required when offset is specified.")
    }
    if given.has("partition"), !given.has("topic") {
      throw ToolUsageFailure("The topic is required when partition is specified.")
    }
    try given.exclude("from-beginning", with: "offset")
    var properties = try clientProperties(given, properties: "command-property", clientId: "console-consumer")
    if let level = given.value("isolation-level") {
      properties.set("isolation.level", level, origin: "--isolation-level")
    }
    let group = given.value("group") ?? properties["group.id"]
    if group != nil, given.has("partition") {
      throw ToolUsageFailure("Options group and partition cannot be specified together.")
    }
    if given.has("from-beginning") {
      if let reset = properties["auto.offset.reset"], reset != "earliest" {
        throw ToolUsageFailure(
          "Can't simultaneously specify --from-beginning and 'auto.offset.reset=\(reset)', please remove one option")
      }
      properties.set("auto.offset.reset", "earliest", origin: "--from-beginning")
    }
    let consuming = try Self.consuming(given)
    let configuration = try properties.consumer(groupId: group)
    let topics: [String]
    if let topic = given.value("topic") {
      topics = [topic]
    } else {
      topics = try await Admin.connected(configuration.client) { admin in
        try await TopicSelection.names(admin, matching: given.value("include"), includeInternal: false)
      }
    }
    let partition: Int32? = try given.integer("partition")
    let start = try Self.start(given, reset: configuration.autoOffsetReset)
    let outcome = try await consuming.run(configuration) { consumer in
      if group != nil {
        try await consumer.subscribe(to: topics)
      } else if let partition {
        try await consumer.assign([TopicPartition(topics[0], partition): start])
      } else {
        try await consumer.assign(topics: topics, from: start)
      }
    }
    try Output.standard.flush()
    note("Processed a total of \(outcome.count) messages")
  }

  private static func start(_ given: ToolArguments, reset: OffsetReset) throws -> StartPosition {
    switch given.value("offset")?.lowercased() {
    case nil: return reset == .earliest ? .earliest : .latest
    case "earliest": return .earliest
    case "latest": return .latest
    case let text?:
      guard let offset = Int64(text), offset >= 0 else {
        throw ToolUsageFailure(
          "The provided offset value '\(text)' is incorrect. Valid values are 'earliest', 'latest', or a non-negative long."
        )
      }
      return .offset(offset)
    }
  }

  /// How many records are shown, how, and how long they are waited for.
  static func consuming(_ given: ToolArguments) throws -> Consuming {
    var consuming = Consuming(format: try format(given))
    consuming.limit = try given.integer("max-messages").flatMap { (n: Int) in n < 0 ? nil : n }
    consuming.idleTimeout = try given.integer("timeout-ms").flatMap { (ms: Int64) in ms < 0 ? nil : .milliseconds(ms) }
    return consuming
  }

  private static func format(_ given: ToolArguments) throws -> RecordFormat {
    var properties: [String: String] = [:]
    if let file = given.value("formatter-config") {
      for property in try Properties.parse(try Input.text(path: file), file: file) {
        properties[property.name] = property.value
      }
    }
    for option in ["key", "value"] {
      properties["\(option).deserializer"] =
        given.value("\(option)-deserializer") ?? properties["\(option).deserializer"]
    }
    properties.merge(try KafkaConsoleProducer.pairs(given.values("formatter-property"))) { _, last in last }
    do { return .columns(try ColumnFormat(properties: properties)) } catch { throw ToolUsageFailure("\(error)") }
  }
}
