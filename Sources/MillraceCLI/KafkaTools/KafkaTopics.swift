// kafka-topics.sh
import ArgumentParser
import MillraceClient
import MillraceProtocol

struct KafkaTopics: KafkaTool {
  static let configuration = hidden("kafka-topics")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-topics.sh", purpose: "This tool helps to create, delete, describe, or change a topic.",
    options: [
      .bootstrapServer, .commandConfig,
      ToolOption("create", help: "Create a new topic."),
      ToolOption("list", help: "List all available topics."),
      ToolOption("describe", help: "List details for the given topics."),
      ToolOption("alter", help: "Alter the number of partitions."),
      ToolOption("delete", help: "Delete a topic."),
      ToolOption(
        "topic", argument: .required("topic"),
        help: "The topic; except for --create also a regular expression."),
      ToolOption("topic-id", argument: .required("topic-id"), help: "The id of the topic to describe."),
      ToolOption("partitions", argument: .required("# of partitions"), help: "The number of partitions."),
      ToolOption(
        "replication-factor", argument: .required("replication factor"), help: "The replication factor of a new topic."),
      ToolOption(
        "replica-assignment", argument: .required("broker_id_for_part0_replica1:broker_id_for_part0_replica2,..."),
        help: "Which brokers hold the partitions."),
      ToolOption(
        "config", argument: .required("name=value"), help: "A config of the new topic; may be given several times."),
      ToolOption("delete-config", argument: .required("name"), isIgnored: true, help: "Use kafka-configs.sh instead."),
      ToolOption("if-exists", help: "With --alter, --delete or --describe: a topic that is not there is no error."),
      ToolOption("if-not-exists", help: "With --create: a topic that is there is no error."),
      ToolOption("exclude-internal", help: "With --list or --describe: without internal topics."),
      ToolOption("topics-with-overrides", help: "With --describe: only topics with configs of their own."),
      ToolOption(
        "under-replicated-partitions", help: "With --describe: only partitions with too few replicas in sync."),
      ToolOption("unavailable-partitions", help: "With --describe: only partitions without a leader."),
      ToolOption(
        "under-min-isr-partitions",
        help: "With --describe: only partitions with fewer replicas in sync than they must have."),
      ToolOption(
        "at-min-isr-partitions",
        help: "With --describe: only partitions with just as many replicas in sync as they must have."),
      ToolOption(
        "partition-size-limit-per-response", argument: .required("n"), isIgnored: true,
        help: "Partitions in one response."),
    ])

  func run(_ given: ToolArguments) async throws {
    let action = try given.oneOf("list", "describe", "create", "alter", "delete")
    if action == "create" || action == "alter" || action == "delete" { _ = try given.required("topic") }
    if action == "alter" {
      try given.exclude("alter", with: "config")
      _ = try given.required("partitions")
    }
    try given.exclude(
      "replica-assignment", with: action == "create" ? "partitions" : "replication-factor", "replication-factor")
    if given.has("delete-config") {
      note("delete-config option is no longer supported: use kafka-configs.sh --delete-config.")
    }
    let client = try clientProperties(given, clientId: "kafka-topics").client()
    do {
      try await Admin.connected(client) { admin in
        switch action {
        case "create": try await create(given, admin)
        case "list":
          for name in try await names(given, admin) { try Output.standard.line(name) }
        case "describe": try await describe(given, admin)
        case "alter": try await alter(given, admin)
        default: try await delete(given, admin)
        }
      }
    } catch let error as KafkaError {
      try Output.standard.line("Error while executing topic command : \(error)")
      throw ExitCode(1)
    } catch let error as TopicFailure {
      try Output.standard.line("Error while executing topic command : \(error)")
      throw ExitCode(1)
    }
  }

  private struct TopicFailure: Error, CustomStringConvertible { let description: String }

  private func names(_ given: ToolArguments, _ admin: Admin) async throws -> [String] {
    try await TopicSelection.names(
      admin, matching: given.value("topic"), includeInternal: !given.has("exclude-internal"))
  }

  /// The topics that --topic names; none is an error unless --if-exists says otherwise.
  private func existing(_ given: ToolArguments, _ admin: Admin) async throws -> [String] {
    let found = try await names(given, admin)
    if found.isEmpty, let topic = given.value("topic"), !topic.isEmpty, !given.has("if-exists") {
      throw TopicFailure(description: "Topic '\(topic)' does not exist as expected")
    }
    return found
  }

  private func create(_ given: ToolArguments, _ admin: Admin) async throws {
    let name = try given.required("topic")
    if name.contains(".") || name.contains("_") {
      try Output.standard.line(
        "WARNING: Due to limitations in metric names, topics with a period ('.') or underscore ('_') could collide. "
          + "To avoid issues it is best to use either, but not both.")
    }
    let partitions: Int32? = try given.integer("partitions")
    let replicationFactor: Int16? = try given.integer("replication-factor")
    if let partitions, partitions < 1 { throw ToolUsageFailure("The partitions must be greater than 0") }
    if let replicationFactor, replicationFactor < 1 {
      throw ToolUsageFailure("The replication factor must be between 1 and \(Int16.max) inclusive")
    }
    let topic = NewTopic(
      name, partitions: partitions, replicationFactor: replicationFactor,
      assignments: try Self.assignments(given.value("replica-assignment")),
      configs: try Self.configs(given.values("config")))
    let result = try await admin.createTopics([topic])[name]
    if case .failure(let error) = result, error.brokerCode == .topicAlreadyExists {
      if given.has("if-not-exists") { return }
      throw TopicFailure(description: "Topic '\(name)' already exists.")
    }
    _ = try result?.get()
    try Output.standard.line("Created topic \(name).")
  }

  private func describe(_ given: ToolArguments, _ admin: Admin) async throws {
    var topics: [TopicDescription]
    if let text = given.value("topic-id"), let id = Uuid(base64: text), id != .zero {
      let all = try await admin.topics(
        try await admin.listTopics(includeInternal: !given.has("exclude-internal")).map(\.name))
      topics = all.filter { $0.topicId == id }
      if topics.isEmpty, !given.has("if-exists") {
        throw TopicFailure(description: "TopicId '\(text)' does not exist as expected")
      }
    } else {
      topics = try await admin.topics(try await existing(given, admin))
    }
    let alive = Set(try await admin.describeCluster().brokers.map(\.id))
    var filters: [(PartitionDescription, Int) -> Bool] = []
    if given.has("under-replicated-partitions") {
      filters.append { partition, _ in partition.inSyncReplicas.count < partition.replicas.count }
    }
    if given.has("unavailable-partitions") {
      filters.append { partition, _ in partition.leader.map { !alive.contains($0) } ?? true }
    }
    if given.has("under-min-isr-partitions") { filters.append { $0.leader == nil || $0.inSyncReplicas.count < $1 } }
    if given.has("at-min-isr-partitions") { filters.append { $0.inSyncReplicas.count == $1 } }
    try await TopicReport.print(
      topics, admin, onlyOverridden: given.has("topics-with-overrides"),
      filter: filters.isEmpty ? nil : { partition, least in filters.contains { $0(partition, least) } })
  }

  private func alter(_ given: ToolArguments, _ admin: Admin) async throws {
    guard let partitions: Int32 = try given.integer("partitions") else { return }
    let results = try await admin.createPartitions(
      Dictionary(uniqueKeysWithValues: try await existing(given, admin).map { ($0, partitions) }))
    for result in results.values { try result.get() }
  }

  private func delete(_ given: ToolArguments, _ admin: Admin) async throws {
    for result in try await admin.deleteTopics(try await existing(given, admin)).values { try result.get() }
  }

  static func configs(_ pairs: [String]) throws(ToolUsageFailure) -> [String: String] {
    var configs: [String: String] = [:]
    for pair in pairs {
      let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard parts.count == 2, !parts[0].isEmpty else {
        throw ToolUsageFailure("Invalid topic config: all configs to be added must be in the format \"key=val\".")
      }
      configs[parts[0].trimmed] = parts[1].trimmed
    }
    return configs
  }

  /// `0:1,1:2`: partition 0 on brokers 0 and 1, partition 1 on brokers 1 and 2.
  static func assignments(_ text: String?) throws(ToolUsageFailure) -> [Int32: [Int32]] {
    var assignments: [Int32: [Int32]] = [:]
    guard let text, !text.isEmpty else { return assignments }
    for (partition, list) in text.split(separator: ",", omittingEmptySubsequences: false).enumerated() {
      let brokers = list.split(separator: ":", omittingEmptySubsequences: false).map { Int32($0.trimmed) }
      let ids = brokers.compactMap(\.self)
      guard ids.count == brokers.count, Set(ids).count == ids.count else {
        throw ToolUsageFailure(
          "Invalid replica assignment '\(list)': expected different broker ids, separated by colons")
      }
      assignments[Int32(partition)] = ids
    }
    guard Set(assignments.values.map(\.count)).count == 1 else {
      throw ToolUsageFailure("Partitions have different replication factors: \(text)")
    }
    return assignments
  }
}

extension StringProtocol {
  var trimmed: String {
    let start = drop { $0.isWhitespace }
    return String(start[..<(start.lastIndex { !$0.isWhitespace }.map(start.index(after:)) ?? start.startIndex)])
  }
}
