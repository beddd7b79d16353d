// The options that kafka-console-consumer and kafka-console-share-consumer have in common.

extension ToolOption {
  static let consumerProperty = ToolOption(
    "command-property", "consumer-property", argument: .required("key=value"),
    help: "A setting of the consumer; may be given several times.")
  static let formatterConfig = ToolOption(
    "formatter-config", argument: .required("file"), help: "A properties file with settings of the output.")
  static let formatter = ToolOption(
    "formatter", argument: .required("class"), isIgnored: true, help: "Classes cannot be loaded.")
  static let keyDeserializer = ToolOption(
    "key-deserializer", argument: .required("class"), help: "How keys are shown: one of Kafka's own deserializers.")
  static let valueDeserializer = ToolOption(
    "value-deserializer", argument: .required("class"),
    help: "How values are shown: one of Kafka's own deserializers.")
  static let readTopic = ToolOption("topic", argument: .required("topic"), help: "The topic.")
  static let maxMessages = ToolOption("max-messages", argument: .required("n"), help: "End after so many records.")
  static let idleTimeout = ToolOption(
    "timeout-ms", argument: .required("ms"), help: "End when no record came for so long.")
  static let systemTestEvents = ToolOption(
    "enable-systest-events", isIgnored: true, help: "For Kafka's system tests.")

  /// - Parameter prints: what of a record can be shown.
  static func formatterProperty(prints: String) -> ToolOption {
    ToolOption(
      "formatter-property", "property", argument: .required("key=value"),
      help:
        "A setting of the output: \(prints), key.separator, line.separator, headers.separator, null.literal, key.deserializer, value.deserializer, header.deserializer."
    )
  }
}
