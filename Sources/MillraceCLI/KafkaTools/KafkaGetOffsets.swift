// kafka-get-offsets.sh
import ArgumentParser
import MillraceClient

struct KafkaGetOffsets: KafkaTool {
  static let configuration = hidden("kafka-get-offsets")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-get-offsets.sh", purpose: "An interactive shell for getting topic-partition offsets.",
    options: [
      .bootstrapServer, .commandConfig,
      ToolOption("topic", argument: .required("topic"), help: "The topic, or a regular expression; all without it."),
      ToolOption(
        "partitions", argument: .required("partition ids"), help: "Partitions, separated by commas; all without it."),
      ToolOption(
        "topic-partitions", argument: .required("topic1:1,topic2:0-3,topic3,topic4:5-,topic5:-3"),
        help: "Patterns of topics and partitions: a number, from-to (without the last), from-, or -to."),
      ToolOption(
        "time",
        argument: .required(
          "timestamp / -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / -5 or latest-tiered"
        ),
        help: "Which offset: that of the first record of this time or later; latest without it."),
      ToolOption("exclude-internal-topics", help: "Without internal topics."),
    ])

  func run(_ given: ToolArguments) async throws {
    try given.exclude("topic-partitions", with: "topic", "partitions")
    let query = try Self.query(given.value("time") ?? "latest")
    let isMeant = try Self.filter(given)
    let client = try clientProperties(given, clientId: "GetOffsetShell").client()
    try await Admin.connected(client) { admin in
      let names = try await admin.listTopics(includeInternal: !given.has("exclude-internal-topics")).map(\.name)
      let partitions = try await admin.partitions(of: names).filter(isMeant)
      guard !partitions.isEmpty else {
        note("Could not match any topic-partitions with the specified filters")
        throw ExitCode(1)
      }
      let offsets = try await admin.listOffsets(Dictionary(uniqueKeysWithValues: partitions.map { ($0, query) }))
      for partition in partitions {
        switch offsets[partition] {
        case .success(let info)?:
          if info.offset >= 0 { try Output.standard.line("\(partition.topic):\(partition.partition):\(info.offset)") }
        case .failure(let error)?: note("Skip getting offsets for topic-partition \(partition) due to error: \(error)")
        case nil: break
        }
      }
    }
  }

  static func query(_ text: String) throws(ToolUsageFailure) -> OffsetQuery {
    switch text {
    case "latest", "-1": return .latest
    case "earliest", "-2": return .earliest
    case "max-timestamp", "-3": return .maxTimestamp
    case "earliest-local", "-4": return .earliestLocal
    case "latest-tiered", "-5": return .latestTiered
    default:
      guard let timestamp = Int64(text), timestamp >= 0 else {
        throw ToolUsageFailure(
          "Malformed time argument \(text). Please use -1 or latest / -2 or earliest / -3 or max-timestamp / -4 or earliest-local / "
            + "-5 or latest-tiered, or a specified long format timestamp")
      }
      return .timestamp(timestamp)
    }
  }

  static func filter(_ given: ToolArguments) throws -> (TopicPartition) -> Bool {
    if let text = given.value("topic-partitions") {
      let rules = try text.split(separator: ",").map { try rule(String($0)) }
      return { partition in rules.contains { $0(partition) } }
    }
    let topic = try given.value("topic").map(TopicSelection.matcher)
    var indexes: Set<Int32>?
    if let text = given.value("partitions"), !text.isEmpty {
      let parsed = text.split(separator: ",").map { Int32($0.trimmed) }
      guard !parsed.contains(nil) else {
        throw ToolUsageFailure(
          "--partitions expects a comma separated list of numeric partition ids, but received: \(text)")
      }
      indexes = Set(parsed.compactMap(\.self))
    }
    return { (topic?($0.topic) ?? true) && (indexes?.contains($0.partition) ?? true) }
  }

  /// `TOPIC`, `TOPIC:3`, `TOPIC:1-4`, `TOPIC:5-`, `TOPIC:-3`, each also without the topic.
  private static func rule(_ text: String) throws -> (TopicPartition) -> Bool {
    let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(String.init)
    let topic = try parts[0].isEmpty ? { _ in true } : TopicSelection.matcher(parts[0])
    guard parts.count == 2, !parts[1].isEmpty else { return { topic($0.topic) } }
    if let index = Int32(parts[1]), index >= 0 { return { topic($0.topic) && $0.partition == index } }
    let bounds = parts[1].split(separator: "-", omittingEmptySubsequences: false)
    let low = bounds.first?.isEmpty == true ? 0 : Int32(bounds.first ?? "")
    let high = bounds.last?.isEmpty == true ? Int32.max : Int32(bounds.last ?? "")
    guard bounds.count == 2, let low, let high else { throw ToolUsageFailure("Invalid rule specification: \(text)") }
    return { topic($0.topic) && $0.partition >= low && $0.partition < high }
  }
}
