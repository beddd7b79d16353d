// kafka-console-producer.sh
import ArgumentParser
import MillraceClient

struct KafkaConsoleProducer: KafkaTool {
  static let configuration = hidden("kafka-console-producer")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-console-producer.sh",
    purpose: "This tool helps to read data from standard input and publish it to Kafka.",
    options: [
      .bootstrapServer,
      ToolOption(
        "command-config", "producer.config", argument: .required("file"),
        help: "A properties file with the producer's configuration."),
      ToolOption(
        "command-property", "producer-property", argument: .required("key=value"),
        help: "A setting of the producer; may be given several times."),
      ToolOption(
        "reader-property", "property", argument: .required("key=value"),
        help:
          "A setting of the line reader: parse.key, key.separator, parse.headers, headers.delimiter, headers.separator, headers.key.separator, ignore.error, null.marker."
      ),
      ToolOption(
        "reader-config", argument: .required("file"), help: "A properties file with settings of the line reader."),
      ToolOption("topic", argument: .required("topic"), help: "REQUIRED: the topic."),
      ToolOption("sync", help: "Wait for each record to be acknowledged before the next."),
      ToolOption(
        "compression-codec", argument: .optional("codec"),
        help: "none, gzip, snappy, lz4 or zstd; gzip if none is named."),
      ToolOption("batch-size", argument: .required("bytes"), help: "The most bytes of a batch (batch.size)."),
      ToolOption("max-partition-memory-bytes", argument: .required("bytes"), help: "The same as --batch-size."),
      ToolOption("timeout", argument: .required("ms"), help: "How long a record waits for others (linger.ms)."),
      ToolOption("request-required-acks", argument: .required("acks"), help: "0, 1 or all (acks)."),
      ToolOption(
        "request-timeout-ms", argument: .required("ms"), help: "How long an answer may take (request.timeout.ms)."),
      ToolOption("retry-backoff-ms", argument: .required("ms"), help: "The pause before a retry (retry.backoff.ms)."),
      ToolOption(
        "metadata-expiry-ms", argument: .required("ms"),
        help: "The age at which metadata is fetched again (metadata.max.age.ms)."),
      ToolOption("max-block-ms", argument: .required("ms"), help: "How long sending may wait (max.block.ms)."),
      ToolOption(
        "max-memory-bytes", argument: .required("bytes"), help: "The memory for records that wait (buffer.memory)."),
      ToolOption(
        "message-send-max-retries", argument: .required("n"), isIgnored: true,
        help: "Retries go on until delivery.timeout.ms."),
      ToolOption(
        "socket-buffer-size", argument: .required("bytes"), isIgnored: true, help: "The size of the socket's buffer."),
      ToolOption("line-reader", argument: .required("class"), isIgnored: true, help: "Classes cannot be loaded."),
    ])

  /// Options of the tool that set a config of the producer.
  private static let shortcuts = [
    ("batch-size", "batch.size"), ("max-partition-memory-bytes", "batch.size"), ("timeout", "linger.ms"),
    ("request-required-acks", "acks"), ("request-timeout-ms", "request.timeout.ms"),
    ("retry-backoff-ms", "retry.backoff.ms"),
    ("metadata-expiry-ms", "metadata.max.age.ms"), ("max-block-ms", "max.block.ms"),
    ("max-memory-bytes", "buffer.memory"),
  ]

  func run(_ given: ToolArguments) async throws {
    let topic = try given.required("topic")
    var properties = try clientProperties(given, properties: "command-property", clientId: "console-producer")
    for (option, config) in Self.shortcuts {
      if let value = given.value(option) { properties.set(config, value, origin: "--\(option)") }
    }
    if given.has("compression-codec") {
      properties.set("compression.type", given.value("compression-codec") ?? "gzip", origin: "--compression-codec")
    }
    let lines: LineFormat
    do { lines = try LineFormat(properties: try Self.readerProperties(given)) } catch let failure as RecordFailure {
      throw ToolUsageFailure(failure.description)
    }
    var feed = RecordFeed(format: .lines(lines), inputs: [.standard])
    if Input.standard.isTerminal, Output.standard.isTerminal {
      feed.prompt = {
        try Output.standard.write(">")
        try Output.standard.flush()
      }
    }
    _ = try await Producing.run(feed, topic: topic, try properties.producer(), synchronous: given.has("sync"))
  }

  static func readerProperties(_ given: ToolArguments) throws -> [String: String] {
    var properties: [String: String] = [:]
    if let file = given.value("reader-config") {
      for property in try Properties.parse(try Input.text(path: file), file: file) {
        properties[property.name] = property.value
      }
    }
    return properties.merging(try pairs(given.values("reader-property"))) { _, last in last }
  }

  static func pairs(_ texts: [String]) throws(ToolUsageFailure) -> [String: String] {
    var pairs: [String: String] = [:]
    for text in texts {
      let parts = text.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw ToolUsageFailure("Invalid command line properties: \(text)")
      }
      pairs[String(parts[0])] = String(parts[1])
    }
    return pairs
  }
}
