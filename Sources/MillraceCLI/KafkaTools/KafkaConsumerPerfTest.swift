// kafka-consumer-perf-test.sh
import ArgumentParser
import MillraceClient

struct KafkaConsumerPerfTest: KafkaTool {
  static let configuration = hidden("kafka-consumer-perf-test")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-consumer-perf-test.sh", purpose: "This tool is used to verify the consumer performance.",
    options: [
      .bootstrapServer,
      ToolOption(
        "command-config", "consumer.config", argument: .required("file"),
        help: "A properties file with the consumer's configuration."),
      ToolOption(
        "command-property", argument: .required("key=value"),
        help: "A setting of the consumer; may be given several times."),
      ToolOption("topic", argument: .required("topic"), help: "The topic."),
      ToolOption("include", argument: .required("regular expression"), help: "The topics whose names match."),
      ToolOption("num-records", "messages", argument: .required("n"), help: "REQUIRED: how many records."),
      ToolOption("group", argument: .required("group"), help: "The group; a new one without it."),
      ToolOption("from-latest", help: "Begin at the end where the group has no offset."),
      ToolOption("fetch-size", argument: .required("bytes"), help: "The most bytes of a partition in one fetch."),
      ToolOption("timeout", argument: .optional("ms"), help: "End when no record came for so long; 10000 without it."),
      ToolOption("reporting-interval", argument: .required("ms"), help: "The time between lines; 5000 without it."),
      ToolOption("show-detailed-stats", help: "A line for each interval."),
      ToolOption("hide-header", help: "Without the header."),
      ToolOption("print-metrics", isIgnored: true, help: "There are no metrics to print."),
      ToolOption(
        "socket-buffer-size", argument: .required("bytes"), isIgnored: true, help: "The size of the socket's buffer."),
      ToolOption(
        "date-format", argument: .required("format"), isIgnored: true, help: "Times are in the usual format, in UTC."),
      ToolOption("threads", argument: .required("n"), isIgnored: true, help: "One consumer reads."),
    ])

  func run(_ given: ToolArguments) async throws {
    guard given.has("topic") != given.has("include") else {
      throw ToolUsageFailure("Exactly one of the following arguments is required: [topic], [include]")
    }
    guard let count: Int64 = try given.integer("num-records"), count > 0 else {
      throw ToolUsageFailure("Exactly one of the following arguments is required: [num-records], [messages]")
    }
    var properties = try clientProperties(given, properties: "command-property", clientId: "perf-consumer-client")
    properties.set("auto.offset.reset", given.has("from-latest") ? "latest" : "earliest", origin: "--from-latest")
    properties.set("check.crcs", "false", origin: "the tool")
    if let bytes = given.value("fetch-size") {
      properties.set("max.partition.fetch.bytes", bytes, origin: "--fetch-size")
    }
    let group = given.value("group") ?? "perf-consumer-\(Int.random(in: 0..<100_000))"
    let configuration = try properties.consumer(groupId: group)
    var topics = given.values("topic")
    if let pattern = given.value("include") {
      topics = try await Admin.connected(configuration.client) { admin in
        try await TopicSelection.names(admin, matching: pattern, includeInternal: false)
      }
    }
    var bench = ConsumeBench(topics: topics, count: count)
    bench.idleTimeout = .milliseconds(try max(0, given.integer("timeout") ?? 10_000))
    bench.reportingIntervalMs = try max(1, given.integer("reporting-interval") ?? 5000)
    bench.showsIntervals = given.has("show-detailed-stats")
    bench.showsHeader = !given.has("hide-header")
    try await bench.run(configuration)
  }
}
