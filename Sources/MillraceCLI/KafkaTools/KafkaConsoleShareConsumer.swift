// kafka-console-share-consumer.sh
import ArgumentParser
import MillraceClient

struct KafkaConsoleShareConsumer: KafkaTool {
  private static let defaultGroup = "console-share-consumer"

  static let configuration = hidden("kafka-console-share-consumer")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-console-share-consumer.sh",
    purpose: "This tool helps to read data from Kafka topics using share groups and outputs it to standard output.",
    options: [
      .bootstrapServer,
      ToolOption(
        "command-config", "consumer-config", argument: .required("file"),
        help: "A properties file with the consumer's configuration."),
      ToolOption(
        "command-property", "consumer-property", argument: .required("key=value"),
        help: "A setting of the consumer; may be given several times."),
      ToolOption(
        "formatter-property", "property", argument: .required("key=value"),
        help:
          "A setting of the output: print.timestamp, print.key, print.offset, print.delivery, print.epoch, print.partition, print.headers, print.value, key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, header.deserializer."
      ),
      ToolOption(
        "formatter-config", argument: .required("file"), help: "A properties file with settings of the output."),
      ToolOption("formatter", argument: .required("class"), isIgnored: true, help: "Classes cannot be loaded."),
      ToolOption(
        "key-deserializer", argument: .required("class"), help: "How keys are shown: one of Kafka's own deserializers."),
      ToolOption(
        "value-deserializer", argument: .required("class"),
        help: "How values are shown: one of Kafka's own deserializers."),
      ToolOption("topic", argument: .required("topic"), help: "The topic."),
      ToolOption(
        "group", argument: .required("share group id"),
        help: "The share group to be a member of; \(defaultGroup) if none is given."),
      ToolOption("max-messages", argument: .required("n"), help: "End after so many records."),
      ToolOption("timeout-ms", argument: .required("ms"), help: "End when no record came for so long."),
      ToolOption("reject", help: "Reject records when they are shown, instead of accepting them."),
      ToolOption("release", help: "Release records when they are shown, instead of accepting them."),
      ToolOption("reject-message-on-error", isIgnored: true, help: "Records are shown as they are."),
      ToolOption("enable-systest-events", isIgnored: true, help: "For Kafka's system tests."),
    ])

  func run(_ given: ToolArguments) async throws {
    guard let topic = given.value("topic") else { throw ToolUsageFailure("--topic is a required argument") }
    if given.has("reject"), given.has("release") {
      throw ToolUsageFailure("At most one of --reject and --release may be specified.")
    }
    let properties = try clientProperties(given, properties: "command-property", clientId: "console-share-consumer")
    if let group = given.value("group"), let other = properties["group.id"], group != other {
      throw ToolUsageFailure("The group ids provided in different places do not match: '\(group)', '\(other)'")
    }
    let group = given.value("group") ?? properties["group.id"] ?? Self.defaultGroup
    var consuming = Consuming(format: try KafkaConsoleConsumer.format(given))
    consuming.limit = try given.integer("max-messages").flatMap { (n: Int) in n < 0 ? nil : n }
    consuming.idleTimeout = try given.integer("timeout-ms").flatMap { (ms: Int64) in ms < 0 ? nil : .milliseconds(ms) }
    let type: Acknowledgement = given.has("reject") ? .reject : given.has("release") ? .release : .accept
    let outcome = try await consuming.run(
      sharing: try properties.shareConsumer(groupId: group), topics: [topic], type)
    try Output.standard.flush()
    note("Processed a total of \(outcome.count) messages")
  }
}
