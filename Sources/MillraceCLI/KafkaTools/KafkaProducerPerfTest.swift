// kafka-producer-perf-test.sh
import ArgumentParser
import MillraceClient

struct KafkaProducerPerfTest: KafkaTool {
  static let configuration = hidden("kafka-producer-perf-test")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-producer-perf-test.sh", purpose: "This tool is used to verify the producer performance.",
    options: [
      ToolOption(
        "bootstrap-server", argument: .required("server to connect to"),
        help: "host:port of brokers; or bootstrap.servers among the properties."),
      ToolOption(
        "command-config", "producer.config", argument: .required("file"),
        help: "A properties file with the producer's configuration."),
      ToolOption("command-property", "producer-props", argument: .list("key=value"), help: "Settings of the producer."),
      ToolOption("topic", argument: .required("topic"), help: "REQUIRED: the topic."),
      ToolOption("num-records", argument: .required("n"), help: "REQUIRED: how many records."),
      ToolOption(
        "record-size", argument: .required("bytes"),
        help: "The size of a record; or --payload-file, or --payload-monotonic."),
      ToolOption("payload-file", argument: .required("file"), help: "A file with the payloads to choose from."),
      ToolOption(
        "payload-delimiter", argument: .required("text"),
        help: "What parts the payloads in the file; a line end without it."),
      ToolOption("payload-monotonic", help: "The payload is the number of the record."),
      ToolOption(
        "throughput", argument: .required("records a second"), help: "REQUIRED: the rate; -1 for as many as possible."),
      ToolOption(
        "warmup-records", argument: .required("n"),
        help: "So many records at the start are not part of the second summary."),
      ToolOption("reporting-interval", argument: .required("ms"), help: "The time between lines; 5000 without it."),
      ToolOption("print-metrics", isIgnored: true, help: "There are no metrics to print."),
    ])

  func run(_ given: ToolArguments) async throws {
    let properties = try clientProperties(given, properties: "command-property", clientId: "perf-producer-client")
    guard let count: Int64 = try given.integer("num-records"), count > 0 else {
      throw ToolUsageFailure("--num-records should be greater than zero.")
    }
    guard let throughput = Double(try given.required("throughput")) else {
      throw ToolUsageFailure("--throughput expects a number")
    }
    var bench = ProduceBench(topic: try given.required("topic"), count: count, payload: try Self.payload(given))
    bench.throughput = throughput > 0 ? throughput : nil
    bench.warmup = try max(0, given.integer("warmup-records") ?? 0)
    guard bench.warmup < count else { throw ToolUsageFailure("--warmup-records must be fewer than --num-records.") }
    bench.reportingIntervalMs = try max(1, given.integer("reporting-interval") ?? 5000)
    if bench.warmup > 0 {
      try Output.standard.line(
        "Warmup first \(bench.warmup) records. Steady state results will print after the complete test summary.")
    }
    try await bench.run(try properties.producer())
  }

  static func payload(_ given: ToolArguments) throws -> ProduceBench.Payload {
    guard ["record-size", "payload-file", "payload-monotonic"].count(where: given.has) == 1 else {
      throw ToolUsageFailure("Exactly one of --record-size, --payload-file and --payload-monotonic is required.")
    }
    if let size: Int = try given.integer("record-size") {
      guard size > 0, size <= 1 << 27 else {
        throw ToolUsageFailure("--record-size should be greater than zero and at most 128 MiB.")
      }
      return .random(bytes: size)
    }
    guard let file = given.value("payload-file") else { return .counter }
    let delimiter = (given.value("payload-delimiter") ?? "\\n").replacing("\\n", with: "\n").replacing(
      "\\t", with: "\t")
    let payloads = try Input.text(path: file).split(separator: delimiter).map { Array($0.utf8) }
    guard !payloads.isEmpty else { throw ToolUsageFailure("File does not exist or empty file provided.") }
    try Output.standard.line("Reading payloads from: \(file)\nNumber of records read: \(payloads.count)")
    return .choice(payloads)
  }
}
