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
      .consumerProperty,
      .formatterProperty(
        prints:
          "print.timestamp, print.key, print.offset, print.delivery, print.epoch, print.partition, print.headers, print.value"
      ),
      .formatterConfig, .formatter, .keyDeserializer, .valueDeserializer, .readTopic,
      ToolOption(
        "group", argument: .required("share group id"),
        help: "The share group to be a member of; \(defaultGroup) if none is given."),
      .maxMessages, .idleTimeout,
      ToolOption("reject", help: "Reject records when they are shown, instead of accepting them."),
      ToolOption("release", help: "Release records when they are shown, instead of accepting them."),
      ToolOption("reject-message-on-error", isIgnored: true, help: "Records are shown as they are."),
      .systemTestEvents,
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
    let consuming = try KafkaConsoleConsumer.consuming(given)
    let type: Acknowledgement = given.has("reject") ? .reject : given.has("release") ? .release : .accept
    let outcome = try await consuming.run(
      sharing: try properties.shareConsumer(groupId: group), topics: [topic], type)
    try Output.standard.flush()
    note("Processed a total of \(outcome.count) messages")
  }
}
