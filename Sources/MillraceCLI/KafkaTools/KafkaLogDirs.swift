// kafka-log-dirs.sh
import ArgumentParser
import MillraceClient

struct KafkaLogDirs: KafkaTool {
  static let configuration = hidden("kafka-log-dirs")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-log-dirs.sh", purpose: "This tool helps to query log directory usage on the specified brokers.",
    options: [
      // Not the common one: in this tool --broker-list is no old name for it.
      ToolOption(
        "bootstrap-server", argument: .required("server to connect to"), help: ToolOption.bootstrapServer.help),
      .commandConfig,
      ToolOption("describe", help: "REQUIRED: describe the log directories."),
      ToolOption("topic-list", argument: .required("topic1,topic2"), help: "Only these topics."),
      ToolOption("broker-list", argument: .required("0,1,2"), help: "Only these brokers."),
    ])

  func run(_ given: ToolArguments) async throws {
    guard given.has("describe") else { throw ToolUsageFailure("Missing required argument \"[describe]\"") }
    let topics = Set(given.values("topic-list").flatMap { $0.split(separator: ",").map(String.init) })
    let wanted = given.values("broker-list").flatMap { $0.split(separator: ",") }.map { Int32($0.trimmed) }
    guard !wanted.contains(nil) else { throw ToolUsageFailure("--broker-list expects broker ids, separated by commas") }
    let client = try clientProperties(given, clientId: "log-dirs-tool").client()
    try await Admin.connected(client) { admin in
      let existing = try await admin.describeCluster().brokers.map(\.id).sorted()
      let list = { (ids: [Int32]) in ids.map(String.init).joined(separator: ",") }
      let missing = wanted.compactMap(\.self).filter { !existing.contains($0) }
      guard missing.isEmpty else {
        note(
          "ERROR: The given brokers do not exist from --broker-list: \(list(missing)). Current existent brokers: \(list(existing))"
        )
        throw ExitCode(1)
      }
      let brokers = wanted.isEmpty ? existing : wanted.compactMap(\.self)
      try Output.standard.line("Querying brokers for log directories information")
      let described = try await admin.describeLogDirs(brokers: brokers).mapValues { try $0.get() }
      try Output.standard.line("Received log directory information from brokers \(list(brokers))")
      try Output.standard.line(LogDirReport.json(described, topics: topics).text)
    }
  }
}

enum LogDirReport {
  static func json(_ brokers: [Int32: [LogDirDescription]], topics: Set<String> = []) -> JSONValue {
    .object([
      "version": .integer(1),
      "brokers": .array(
        brokers.sorted { $0.key < $1.key }.map { broker, directories in
          .object([
            "broker": .integer(Int64(broker)), "logDirs": .array(directories.map { directory($0, topics: topics) }),
          ])
        }),
    ])
  }

  private static func directory(_ directory: LogDirDescription, topics: Set<String>) -> JSONValue {
    let replicas = directory.replicas.filter { topics.isEmpty || topics.contains($0.key.topic) }.sorted {
      $0.key < $1.key
    }
    return .object([
      "logDir": .string(directory.path),
      "error": directory.error.map { .string($0.message) } ?? .null,
      "partitions": .array(
        replicas.map { partition, replica in
          .object([
            "partition": .string(partition.description), "size": .integer(replica.sizeInBytes),
            "offsetLag": .integer(replica.offsetLag), "isFuture": .bool(replica.isFuture),
          ])
        }),
    ])
  }
}
