// kafka-configs.sh
import ArgumentParser
import MillraceClient

struct KafkaConfigs: KafkaTool {
  static let configuration = hidden("kafka-configs")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  static let definition = ToolDefinition(
    name: "kafka-configs.sh",
    purpose: "This tool helps to manipulate and describe entity config for a topic, broker, client-metrics or group.",
    options: [
      .bootstrapServer, .commandConfig,
      ToolOption("alter", help: "Alter the configuration of the entity."),
      ToolOption("describe", help: "List configs of the entity."),
      ToolOption("all", help: "With --describe: all configs, with defaults."),
      ToolOption(
        "entity-type", argument: .required("topics|brokers|broker-loggers|client-metrics|groups"),
        help: "The type of the entity."),
      ToolOption("entity-name", argument: .required("name"), help: "The topic, broker id or group."),
      ToolOption("entity-default", help: "The default of all brokers."),
      ToolOption("topic", argument: .required("topic"), help: "The topic."),
      ToolOption("broker", argument: .required("id"), help: "The broker."),
      ToolOption("broker-defaults", help: "The default of all brokers."),
      ToolOption("broker-logger", argument: .required("id"), help: "The broker whose log levels are meant."),
      ToolOption("client-metrics", argument: .required("name"), help: "The client metrics subscription."),
      ToolOption("group", argument: .required("group"), help: "The group."),
      ToolOption(
        "add-config", argument: .required("k1=v1,k2=[v1,v2],k3=v3"),
        help: "Configs to set; square brackets hold values with commas."),
      ToolOption("add-config-file", argument: .required("file"), help: "A properties file with configs to set."),
      ToolOption("delete-config", argument: .required("k1,k2"), help: "Configs to set back to their default."),
    ])

  func run(_ given: ToolArguments) async throws {
    let action = try given.oneOf("alter", "describe")
    let (kind, name) = try Self.entity(given)
    let client = try clientProperties(given, clientId: "kafka-configs").client()
    do {
      try await Admin.connected(client) { admin in
        if action == "alter" {
          try await alter(given, kind, name, admin)
        } else {
          try await describe(given, kind, name, admin)
        }
      }
    } catch let error as KafkaError {
      note("Error while executing config command with args '\(arguments.joined(separator: " "))'\n\(error)")
      throw ExitCode(1)
    }
  }

  /// The kind of entity, and its name: empty for the default of brokers, nil for all of the kind.
  static func entity(_ given: ToolArguments) throws(ToolUsageFailure) -> (ConfigResource.Kind, String?) {
    let flags: [(String, ConfigResource.Kind)] = [
      ("topic", .topic), ("broker", .broker), ("broker-logger", .brokerLogger), ("client-metrics", .clientMetrics),
      ("group", .group),
    ]
    for (flag, kind) in flags { if let name = given.value(flag) { return (kind, name) } }
    if given.has("broker-defaults") { return (.broker, "") }
    let types: [String: ConfigResource.Kind] = [
      "topics": .topic, "brokers": .broker, "broker-loggers": .brokerLogger, "client-metrics": .clientMetrics,
      "groups": .group,
    ]
    guard let type = given.value("entity-type") else {
      throw ToolUsageFailure(
        "At least one of --entity-type, --topic, --broker, --broker-defaults, --broker-logger, --client-metrics or --group must be specified"
      )
    }
    guard let kind = types[type] else {
      let reason =
        ["users", "clients", "ips"].contains(type)
        ? "quotas and credentials are not served by this tool" : "it is not known"
      throw ToolUsageFailure(
        "Invalid entity type \(type): \(reason). One of \(types.keys.sorted().joined(separator: ", ")) is expected")
    }
    return (kind, given.has("entity-default") ? "" : given.value("entity-name"))
  }

  private func describe(_ given: ToolArguments, _ kind: ConfigResource.Kind, _ name: String?, _ admin: Admin)
    async throws
  {
    let existing = try await Self.names(kind, admin)
    if let name, !name.isEmpty, !given.has("all"), !existing.contains(name) {
      try Output.standard.line("The \(kind.name) '\(name)' doesn't exist and doesn't have dynamic config.")
      return
    }
    for entity in name.map({ [$0] }) ?? existing + (kind == .broker ? [""] : []) {
      try Output.standard.line(
        entity.isEmpty
          ? "Default configs for \(kind.name)s in the cluster are:"
          : "\(given.has("all") ? "All" : "Dynamic") configs for \(kind.name) \(entity) are:")
      let resource = ConfigResource(kind, entity)
      let entries = try await admin.describeConfigs([resource], includeSynonyms: true)[resource]?.get() ?? []
      for entry in entries.sorted(by: { $0.name < $1.name })
      where given.has("all") || Self.isDynamic(entry, kind, entity) {
        try Output.standard.line(Self.line(entry))
      }
    }
  }

  private static func names(_ kind: ConfigResource.Kind, _ admin: Admin) async throws -> [String] {
    switch kind {
    case .topic: try await admin.listTopics(includeInternal: true).map(\.name)
    case .broker, .brokerLogger: try await admin.describeCluster().brokers.map { "\($0.id)" }.sorted()
    case .clientMetrics: try await admin.listConfigResources([.clientMetrics]).map(\.name).sorted()
    case .group:
      Set(try await admin.listGroups().map(\.groupId) + admin.listConfigResources([.group]).map(\.name)).sorted()
    }
  }

  /// Whether the value was set on this very entity.
  static func isDynamic(_ entry: ConfigEntry, _ kind: ConfigResource.Kind, _ name: String) -> Bool {
    switch kind {
    case .topic: entry.source == .dynamicTopicConfig
    case .broker: entry.source == (name.isEmpty ? .dynamicDefaultBrokerConfig : .dynamicBrokerConfig)
    case .brokerLogger: true
    case .clientMetrics: entry.source == .dynamicClientMetricsConfig
    case .group: entry.source == .dynamicGroupConfig
    }
  }

  static func line(_ entry: ConfigEntry) -> String {
    let synonyms = entry.synonyms.map { "\($0.source.name):\($0.name)=\($0.value ?? "null")" }.joined(separator: ", ")
    return "  \(entry.name)=\(entry.value ?? "null") sensitive=\(entry.isSensitive) synonyms={\(synonyms)}"
  }

  private func alter(_ given: ToolArguments, _ kind: ConfigResource.Kind, _ name: String?, _ admin: Admin) async throws
  {
    guard let name else { throw ToolUsageFailure("An entity name must be specified with --alter of \(kind.name)s") }
    try given.exclude("add-config", with: "add-config-file")
    var changes: [ConfigChange] = []
    let deleted = given.values("delete-config").flatMap { $0.split(separator: ",").map(\.trimmed) }
    if !deleted.isEmpty {
      let resource = ConfigResource(kind, name)
      let entries = try await admin.describeConfigs([resource])[resource]?.get() ?? []
      let present = Set(entries.filter { Self.isDynamic($0, kind, name) }.map(\.name))
      let absent = deleted.filter { !present.contains($0) }
      guard absent.isEmpty else {
        note("Invalid config(s): \(absent.joined(separator: ","))")
        throw ExitCode(1)
      }
      changes += deleted.map { .delete($0) }
    }
    if let file = given.value("add-config-file") {
      changes += try Properties.parse(try Input.text(path: file), file: file).map { .set($0.name, $0.value) }
    }
    if let text = given.value("add-config") { changes += try Self.additions(text).map { .set($0.0, $0.1) } }
    guard !changes.isEmpty else {
      throw ToolUsageFailure(
        "At least one of --add-config, --add-config-file, or --delete-config must be specified with --alter")
    }
    try await admin.alterConfigs([ConfigResource(kind, name): changes]).values.first?.get()
    try Output.standard.line(
      name.isEmpty
        ? "Completed updating default config for \(kind.name)s in the cluster."
        : "Completed updating config for \(kind.name) \(name).")
  }

  /// `k1=v1,k2=[v1,v2]`: commas inside of square brackets part no configs.
  static func additions(_ text: String) throws(ToolUsageFailure) -> [(String, String)] {
    var parts: [String] = [""]
    var depth = 0
    for character in text {
      if character == "[" { depth += 1 }
      if character == "]" { depth -= 1 }
      if character == ",", depth == 0 { parts.append("") } else { parts[parts.count - 1].append(character) }
    }
    var additions: [(String, String)] = []
    for part in parts {
      let pair = part.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
      guard pair.count == 2, !pair[0].trimmed.isEmpty else {
        throw ToolUsageFailure(
          "Invalid entity config: all configs to be added must be in the format \"key=val\" or \"key=[val1,val2]\" to group values which contain commas."
        )
      }
      additions.append((pair[0].trimmed, pair[1].filter { $0 != "[" && $0 != "]" }.trimmed))
    }
    return additions
  }
}
