// kafka-share-groups.sh
import ArgumentParser
import MillraceClient

struct KafkaShareGroups: KafkaTool {
  static let configuration = hidden("kafka-share-groups")
  @Argument(parsing: .captureForPassthrough) var arguments: [String] = []

  private static let tool = GroupTool(kind: "share")

  static let definition = ToolDefinition(
    name: "kafka-share-groups.sh",
    purpose:
      "This tool helps to list all share groups, describe a share group, delete share group info, or reset share group offsets.",
    options: [
      .bootstrapServer, .commandConfig, .timeout,
      ToolOption("list", help: "List all share groups."),
      ToolOption("describe", help: "Describe share groups and list their offsets."),
      ToolOption("delete", help: "Delete share groups."),
      ToolOption(
        "reset-offsets", help: "Reset the offsets of a share group without members, with --dry-run or --execute."),
      ToolOption("delete-offsets", help: "Delete the offsets of a share group for topics."),
      ToolOption("group", argument: .required("share group"), help: "The share group; may be given several times."),
      ToolOption("all-groups", help: "All share groups."),
      ToolOption("topic", argument: .required("topic"), help: "A topic, or topic:0,1,2 for some of its partitions."),
      ToolOption("all-topics", help: "With --reset-offsets: all topics of the share group."),
      ToolOption("members", help: "With --describe: the members of the group."),
      ToolOption("offsets", help: "With --describe: the offsets of the group, which is the default."),
      ToolOption(
        "state", argument: .optional("state"),
        help: "With --describe: the state of the group; with --list: groups with their state, or only those in it."),
      ToolOption("verbose", help: "With --describe: more columns."),
      ToolOption("dry-run", help: "With --reset-offsets: only show the plan."),
      ToolOption("execute", help: "With --reset-offsets: do it."),
      ToolOption("to-earliest", help: "Reset to the beginning."),
      ToolOption("to-latest", help: "Reset to the end."),
      ToolOption(
        "to-datetime", argument: .required("YYYY-MM-DDThh:mm:ss.sss"),
        help: "Reset to the first record of that time or later."),
    ])

  func run(_ given: ToolArguments) async throws {
    let action = try given.oneOf("list", "describe", "delete", "reset-offsets", "delete-offsets")
    try Self.check(given, action)
    try await Self.tool.run(given, try clientProperties(given, clientId: "kafka-share-groups")) { admin in
      switch action {
      case "list": try await list(given, admin)
      case "describe": try await describe(given, try await selected(given, admin), admin)
      case "delete": try await delete(try await selected(given, admin), admin)
      case "reset-offsets": try await reset(given, try given.required("group"), admin)
      default: try await deleteOffsets(try given.required("group"), given.values("topic"), admin)
      }
    }
  }

  private static func check(_ given: ToolArguments, _ action: String) throws(ToolUsageFailure) {
    try given.exclude("all-groups", with: "group")
    if action == "describe" || action == "delete", !given.has("group"), !given.has("all-groups") {
      throw ToolUsageFailure("Option [\(action)] takes one of these options: [all-groups], [group]")
    }
    try GroupTool.checkView(given)
    if action == "delete-offsets", !given.has("group") || !given.has("topic") {
      throw ToolUsageFailure("Option [delete-offsets] takes the following options: [group], [topic]")
    }
    guard action == "reset-offsets" else { return }
    guard given.has("group") else { throw ToolUsageFailure("Option [reset-offsets] takes the option: [group]") }
    guard given.has("dry-run") != given.has("execute") else {
      throw ToolUsageFailure("Option [reset-offsets] takes one of the options: [dry-run], [execute]")
    }
    guard given.has("topic") != given.has("all-topics") else {
      throw ToolUsageFailure("Option [reset-offsets] takes one of these options: [all-topics], [topic]")
    }
    guard ["to-earliest", "to-latest", "to-datetime"].count(where: given.has) == 1 else {
      throw ToolUsageFailure(
        "Option [reset-offsets] takes one of these options: [to-datetime], [to-earliest], [to-latest]")
    }
  }

  private func selected(_ given: ToolArguments, _ admin: Admin) async throws -> [String] {
    guard given.has("all-groups") else { return given.values("group") }
    return try await admin.listGroups(types: ["share"]).map(\.groupId)
  }

  private func list(_ given: ToolArguments, _ admin: Admin) async throws {
    let states = (given.value("state") ?? "").split(separator: ",").map(\.trimmed).map {
      $0.prefix(1).uppercased() + $0.dropFirst().lowercased()
    }
    let valid = ["Dead", "Empty", "Stable"]
    if let unknown = states.first(where: { !valid.contains($0) }) {
      throw ToolUsageFailure("Invalid state list '\(unknown)'. Valid states are: \(valid.joined(separator: ", "))")
    }
    let groups = try await admin.listGroups(states: states, types: ["share"])
    guard given.has("state") else {
      for group in groups { try Output.standard.line(group.groupId) }
      return
    }
    let widths = [groups.map(\.groupId.count).reduce(15, max), 0]
    for cells in [["GROUP", "STATE"]] + groups.map({ [$0.groupId, $0.state ?? "Unknown"] }) {
      try Output.standard.line(Table.line(cells, widths: widths))
    }
  }

  private func describe(_ given: ToolArguments, _ groups: [String], _ admin: Admin) async throws {
    let described = try await admin.describeGroups(groups)
    let verbose = given.has("verbose")
    var isComplete = true
    for name in groups.sorted() {
      guard let group = try present(described[name]) else {
        try Output.standard.line("\nError: Share group '\(name)' does not exist.")
        isComplete = false
        continue
      }
      let lines: [String]
      if given.has("members") || given.has("state") {
        try Output.standard.flush()
        if let remark = GroupReport.remark(group) { note("\n" + remark) }
        lines =
          given.has("state")
          ? ShareGroupReport.stateLines(group, verbose: verbose)
          : group.members.isEmpty ? [] : ShareGroupReport.memberLines(group, verbose: verbose)
      } else {
        lines = ShareGroupReport.offsetLines(name, try await admin.shareGroupRows(name), verbose: verbose)
      }
      if !lines.isEmpty { try Output.standard.line("\n" + lines.joined(separator: "\n")) }
    }
    if !isComplete { throw ExitCode(1) }
  }

  /// Nil for a group that is not there, or is of another kind.
  private func present(_ result: Result<GroupDescription, KafkaError>?) throws -> GroupDescription? {
    try GroupTool.present(result)?.ifShared
  }

  private func delete(_ groups: [String], _ admin: Admin) async throws {
    let listed = Dictionary(
      try await admin.listGroups(types: ["share"]).map { ($0.groupId, $0.state) },
      uniquingKeysWith: { first, _ in first })
    var failed: [String: String] = [:]
    for group in groups {
      switch listed[group] {
      case nil: failed[group] = "Group '\(group)' is not a share group."
      case "Empty"??, .some(nil): break
      default: failed[group] = "Share group '\(group)' is not EMPTY."
      }
    }
    for (group, result) in try await admin.deleteGroups(groups.filter { failed[$0] == nil }) {
      if case .failure(let error) = result { failed[group] = "\(error)" }
    }
    try Self.tool.reportDeletion(of: groups, failed: failed)
  }

  private func reset(_ given: ToolArguments, _ group: String, _ admin: Admin) async throws {
    let described = try await admin.describeGroups([group])[group]
    if let found = try present(described), found.state != "Empty", found.state != "Dead" {
      try Output.standard.line("Share group '\(group)' is not empty.")
      throw ExitCode(1)
    }
    let target = try KafkaConsumerGroups.target(given, group: group, nowMs: Surroundings.nowMs())
    let partitions =
      given.has("all-topics")
      ? try await admin.shareGroupOffsets(group).keys.sorted()
      : try await OffsetPlanning.partitions(admin, given.values("topic"))
    let plan = try await OffsetPlanning.plan(admin, .share(group), partitions, target)
    for remark in plan.remarks { note("WARN: \(remark)") }
    if given.has("execute") { try await OffsetPlanning.execute(admin, .share(group), plan) }
    try Output.standard.line("\n" + OffsetPlanning.lines([(group, plan)]).joined(separator: "\n"))
  }

  private func deleteOffsets(_ group: String, _ topics: [String], _ admin: Admin) async throws {
    let results = try await admin.deleteShareGroupOffsets(group, topics: topics)
    let widths = [results.keys.map(\.count).reduce(15, max), 0]
    try Output.standard.line("\n" + Table.line(["TOPIC", "STATUS"], widths: widths))
    var isComplete = true
    for (topic, result) in results.sorted(by: { $0.key < $1.key }) {
      var status = "Successful"
      if case .failure(let error) = result {
        status = "Error: \(error)"
        isComplete = false
      }
      try Output.standard.line(Table.line([topic, status], widths: widths))
    }
    if !isComplete { throw ExitCode(1) }
  }
}
