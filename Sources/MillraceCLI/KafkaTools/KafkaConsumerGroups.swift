// kafka-consumer-groups.sh
import ArgumentParser
import MillraceClient
import MillraceCoordination

struct KafkaConsumerGroups: KafkaTool {
  static let configuration = hidden("kafka-consumer-groups")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  private static let tool = GroupTool(kind: "consumer")

  static let definition = ToolDefinition(
    name: "kafka-consumer-groups.sh",
    purpose:
      "This tool helps to list all consumer groups, describe a consumer group, delete consumer group info, or reset consumer group offsets.",
    options: [
      .bootstrapServer, .commandConfig, .timeout,
      ToolOption("list", help: "List all consumer groups."),
      ToolOption("describe", help: "Describe groups and list their offsets and lag."),
      ToolOption("delete", help: "Delete groups."),
      ToolOption(
        "reset-offsets", help: "Reset the offsets of groups without members; a dry run unless --execute is given."),
      ToolOption("delete-offsets", help: "Delete offsets of a group for topics."),
      ToolOption("validate-regex", argument: .required("regex"), help: "Check a regular expression."),
      ToolOption("group", argument: .required("consumer group"), help: "The group; may be given several times."),
      ToolOption("all-groups", help: "All groups."),
      ToolOption("topic", argument: .required("topic"), help: "A topic, or topic:0,1,2 for some of its partitions."),
      ToolOption("all-topics", help: "With --reset-offsets: all topics that the group has committed."),
      ToolOption("members", help: "With --describe: the members of the group."),
      ToolOption("offsets", help: "With --describe: the offsets of the group, which is the default."),
      ToolOption(
        "state", argument: .optional("state"),
        help: "With --describe: the state of the group; with --list: groups with their state, or only those in it."),
      ToolOption(
        "type", argument: .optional("type"), help: "With --list: groups with their type, or only those of it."),
      ToolOption("verbose", help: "With --describe: more columns."),
      ToolOption("dry-run", help: "With --reset-offsets: only show the plan."),
      ToolOption("execute", help: "With --reset-offsets: do it."),
      ToolOption("export", help: "With --reset-offsets: show the plan as CSV."),
      ToolOption("to-offset", argument: .required("offset"), help: "Reset to this offset."),
      ToolOption("to-earliest", help: "Reset to the beginning."),
      ToolOption("to-latest", help: "Reset to the end."),
      ToolOption("to-current", help: "Reset to what is committed now."),
      ToolOption(
        "shift-by", argument: .required("number-of-offsets"),
        help: "Reset by so many records onwards, or back if negative."),
      ToolOption(
        "to-datetime", argument: .required("YYYY-MM-DDThh:mm:ss.sss"),
        help: "Reset to the first record of that time or later."),
      ToolOption(
        "by-duration", argument: .required("PnDTnHnMnS"), help: "Reset to the first record that is at most so old."),
      ToolOption("from-file", argument: .required("path to CSV file"), help: "Reset to the plan in a file."),
    ])

  func run(_ given: ToolArguments) async throws {
    if let pattern = given.value("validate-regex") {
      let isValid = (try? RegularExpression(pattern)) != nil
      try Output.standard.line("The regular expression `\(pattern)` is \(isValid ? "valid" : "invalid").")
      return
    }
    let action = try given.oneOf("list", "describe", "delete", "reset-offsets", "delete-offsets")
    let groups = given.values("group")
    if action != "list", groups.isEmpty, !given.has("all-groups") {
      throw ToolUsageFailure("Option [\(action)] takes one of these options: [group], [all-groups]")
    }
    try GroupTool.checkView(given)
    try await Self.tool.run(given, try clientProperties(given, clientId: "kafka-consumer-groups")) { admin in
      switch action {
      case "list": try await list(given, admin)
      case "describe": try await describe(given, try await selected(given, admin), admin)
      case "delete": try await delete(try await selected(given, admin), admin)
      case "reset-offsets": try await reset(given, try await selected(given, admin), admin)
      default: try await deleteOffsets(groups[0], given.values("topic"), admin)
      }
    }
  }

  private func selected(_ given: ToolArguments, _ admin: Admin) async throws -> [String] {
    guard given.has("all-groups") else { return given.values("group") }
    return try await consumerGroups(admin).map(\.groupId)
  }

  /// Groups of consumers, not of Kafka Connect's workers and the like.
  private func consumerGroups(_ admin: Admin, states: [String] = [], types: [String] = []) async throws
    -> [GroupListing]
  {
    try await admin.listGroups(states: states, types: types).filter {
      $0.protocolType == "consumer" || $0.protocolType.isEmpty
    }
  }

  private func list(_ given: ToolArguments, _ admin: Admin) async throws {
    let words = { (name: String) in
      given.value(name).map {
        $0.split(separator: ",").map(\.trimmed).map { $0.prefix(1).uppercased() + $0.dropFirst() }
      } ?? []
    }
    let groups = try await consumerGroups(admin, states: words("state"), types: words("type"))
    guard given.has("state") || given.has("type") else {
      for group in groups { try Output.standard.line(group.groupId) }
      return
    }
    let width = groups.map(\.groupId.count).reduce(15, max) + 10
    let rows =
      [("GROUP", "TYPE", "STATE")]
      + groups.map { group in
        // Brokers say `classic`, Kafka's tool `Classic`.
        let type = group.type.map { $0.prefix(1).uppercased() + $0.dropFirst() }
        return (group.groupId, type ?? "Unknown", group.state ?? "Unknown")
      }
    for (group, type, state) in rows {
      var line = group.padded(width)
      if given.has("type") { line += " " + type.padded(20) }
      if given.has("state") { line += " " + state.padded(20) }
      try Output.standard.line(line)
    }
  }

  private func describe(_ given: ToolArguments, _ groups: [String], _ admin: Admin) async throws {
    let described = try await admin.describeGroups(groups)
    var isComplete = true
    for name in groups.sorted() {
      guard let group = try GroupTool.present(described[name]), group.state != "Dead" else {
        try Output.standard.line("\nError: Consumer group '\(name)' does not exist.")
        isComplete = false
        continue
      }
      try Output.standard.flush()
      if let remark = GroupReport.remark(group) { note("\n" + remark) }
      let lines: [String]
      if given.has("members") {
        lines = group.members.isEmpty ? [] : GroupReport.memberLines(group, verbose: given.has("verbose"))
      } else if given.has("state") {
        lines = GroupReport.stateLines(group, verbose: given.has("verbose"))
      } else {
        let rows = try await admin.offsetRows(of: group)
        lines = rows.isEmpty ? [] : GroupReport.offsetLines(rows, verbose: given.has("verbose"))
      }
      if !lines.isEmpty { try Output.standard.line("\n" + lines.joined(separator: "\n")) }
    }
    if !isComplete { throw ExitCode(1) }
  }

  private func delete(_ groups: [String], _ admin: Admin) async throws {
    let results = try await admin.deleteGroups(groups)
    let failed = results.compactMapValues { result in
      if case .failure(let error) = result { "\(error)" } else { nil }
    }
    try Self.tool.reportDeletion(of: Array(results.keys), failed: failed)
  }

  private func reset(_ given: ToolArguments, _ groups: [String], _ admin: Admin) async throws {
    try given.exclude("dry-run", with: "execute")
    if !given.has("dry-run"), !given.has("execute"), !given.has("export") {
      note("WARN: No action will be performed as the --execute option is missing.")
    }
    var plans: [(group: String, plan: OffsetPlanning.Plan)] = []
    var isComplete = true
    let described = try await admin.describeGroups(groups)
    for group in groups {
      if let state = try GroupTool.present(described[group])?.state, state != "Empty", state != "Dead" {
        try Output.standard.line(
          "\nError: Assignments can only be reset if the group '\(group)' is inactive, but the current state is \(state)."
        )
        isComplete = false
        continue
      }
      let target = try Self.target(given, group: group, nowMs: Surroundings.nowMs())
      let partitions: [TopicPartition]
      if case .fixed(let offsets) = target {
        partitions = offsets.keys.sorted()
      } else if given.has("all-topics") {
        partitions = try await admin.groupOffsets(group).keys.sorted()
      } else if given.has("topic") {
        partitions = try await OffsetPlanning.partitions(admin, given.values("topic"))
      } else {
        throw ToolUsageFailure("One of the reset scopes should be defined: --all-topics, --topic.")
      }
      let plan = try await OffsetPlanning.plan(admin, .consumers(group), partitions, target)
      for remark in plan.remarks { note("WARN: \(remark)") }
      if given.has("execute") { try await OffsetPlanning.execute(admin, .consumers(group), plan) }
      plans.append((group, plan))
    }
    if given.has("export") {
      for (group, plan) in plans {
        for (partition, offset) in plan.offsets.sorted(by: { $0.key < $1.key }) {
          let name = given.values("group").count == 1 ? "" : "\"\(group)\","
          try Output.standard.line("\(name)\"\(partition.topic)\",\(partition.partition),\(offset)")
        }
      }
    } else if !plans.isEmpty {
      try Output.standard.line("\n" + OffsetPlanning.lines(plans).joined(separator: "\n"))
    }
    if !isComplete { throw ExitCode(1) }
  }

  static func target(_ given: ToolArguments, group: String, nowMs: Int64) throws -> OffsetPlanning.Target {
    let names = [
      "to-offset", "to-earliest", "to-latest", "to-current", "shift-by", "to-datetime", "by-duration", "from-file",
    ]
    let chosen = names.filter(given.has)
    guard chosen.count == 1 else {
      throw ToolUsageFailure(
        "Option [reset-offsets] requires one of the following scenarios: \(names.map { "[\($0)]" }.joined(separator: ", "))"
      )
    }
    switch chosen[0] {
    case "to-earliest": return .earliest
    case "to-latest": return .latest
    case "to-current": return .current
    case "to-offset": return .offset(try given.integer("to-offset") ?? 0)
    case "shift-by": return .shift(try given.integer("shift-by") ?? 0)
    case "to-datetime":
      let text = try given.required("to-datetime")
      guard let time = TimestampText.parse(text) else {
        throw ToolUsageFailure("'\(text)' is no time: expected YYYY-MM-DDThh:mm:ss.sss")
      }
      return .time(time)
    case "by-duration":
      let text = try given.required("by-duration")
      guard let span = DurationText.milliseconds(text) else {
        throw ToolUsageFailure("'\(text)' is no duration: expected PnDTnHnMnS")
      }
      return .time(nowMs.subtractingReportingOverflow(span).partialValue)
    default:
      return .fixed(
        try OffsetPlanning.parsePlanFile(try Input.text(path: try given.required("from-file")), group: group))
    }
  }

  private func deleteOffsets(_ group: String, _ topics: [String], _ admin: Admin) async throws {
    guard !topics.isEmpty else {
      throw ToolUsageFailure("Option [delete-offsets] takes the following options: [group], [topic]")
    }
    let partitions = try await OffsetPlanning.partitions(admin, topics)
    let results = try await admin.deleteGroupOffsets(group, partitions)
    let failed = results.values.contains { if case .failure = $0 { true } else { false } }
    try Output.standard.line(
      failed
        ? "\nError: Encountered some partition-level error, see the follow-up details."
        : "Request succeeded for deleting offsets from group \(group).")
    let widths = [results.keys.map(\.topic.count).reduce(15, max), 10, 15]
    try Output.standard.line("\n" + Table.line(["TOPIC", "PARTITION", "STATUS"], widths: widths))
    for (partition, result) in results.sorted(by: { $0.key < $1.key }) {
      var status = "Successful"
      if case .failure(let error) = result { status = "Error: \(error)" }
      try Output.standard.line(Table.line([partition.topic, "\(partition.partition)", status], widths: widths))
    }
    if failed { throw ExitCode(1) }
  }
}
