// millrace groups
import ArgumentParser
import MillraceClient

struct Groups: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    abstract: "List and describe groups of all kinds, see their lag, reset and delete their offsets.",
    subcommands: [List.self, Describe.self, Reset.self, Delete.self, DeleteOffsets.self])

  struct List: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "List groups.")

    @Flag(name: .shortAndLong, help: "With their type, state and protocol.") var long = false
    @Option(help: "Only groups in this state (Stable, Empty, …); may be given several times.") var state: [String] = []
    @Option(help: "Only groups of this type (classic, consumer, share); may be given several times.") var type:
      [String] = []
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        let groups = try await admin.listGroups(states: state, types: type)
        guard long else {
          for group in groups { try Output.standard.line(group.groupId) }
          return
        }
        var table = Table("GROUP", "TYPE", "STATE", "PROTOCOL")
        for group in groups {
          table.add(
            group.groupId, group.type ?? "-", group.state ?? "-", group.protocolType.isEmpty ? "-" : group.protocolType)
        }
        for line in table.lines() { try Output.standard.line(line) }
      }
    }
  }

  struct Describe: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Show the offsets and lag of groups, their members, their state, or what they have in flight.",
      discussion: """
        A share group has a start offset instead of a committed one: everything before it is done with. Its lag is what is \
        still to be delivered or acknowledged, where the broker knows it. What was delivered behind the start offset is \
        in flight: Available (to be delivered again, or held by a member), Acknowledged, Archiving (its dead letter is \
        still to be written), Archived.

          millrace groups describe billing
          millrace groups describe billing --members --verbose
          millrace groups describe mailers --in-flight
        """)

    @Argument(help: "The groups; all of them without names.") var groups: [String] = []
    @Flag(help: "The members instead of the offsets.") var members = false
    @Flag(help: "The state instead of the offsets.") var state = false
    @Flag(help: "Of share groups the records in flight, with their states and delivery counts.") var inFlight = false
    @Flag(name: .shortAndLong, help: "More columns.") var verbose = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      if [members, state, inFlight].count(where: \.self) > 1 {
        throw ValidationError("choose one of --members, --state and --in-flight")
      }
    }

    func run() async throws {
      try await connection.withAdmin { admin in
        let names = groups.isEmpty ? try await admin.listGroups().map(\.groupId) : groups
        let described = try await admin.describeGroups(names)
        var failed = false
        for (index, name) in names.enumerated() {
          guard case .success(let group)? = described[name] else {
            if case .failure(let error)? = described[name] { note("Error: \(error)") }
            failed = true
            continue
          }
          if inFlight, !group.isShared {
            note("Error: '\(name)' is not a share group: only those have records in flight")
            failed = true
            continue
          }
          if index > 0 { try Output.standard.line() }
          if let remark = GroupReport.remark(group) { note(remark) }
          let lines =
            if group.isShared { try await shareLines(group, admin) } else if members {
              GroupReport.memberLines(group, verbose: verbose)
            } else if state {
              GroupReport.stateLines(group, verbose: verbose)
            } else { GroupReport.offsetLines(try await admin.offsetRows(of: group), verbose: verbose) }
          for line in lines { try Output.standard.line(line) }
          try Output.standard.flush()
        }
        if failed { throw SomeFailed() }
      }
    }

    private func shareLines(_ group: GroupDescription, _ admin: Admin) async throws -> [String] {
      if members { return ShareGroupReport.memberLines(group, verbose: verbose) }
      if state { return ShareGroupReport.stateLines(group, verbose: verbose) }
      if inFlight {
        return ShareGroupReport.inFlightLines(group.groupId, try await admin.shareGroupInFlight(group.groupId))
      }
      return ShareGroupReport.offsetLines(
        group.groupId, try await admin.shareGroupRows(group.groupId), verbose: verbose)
    }
  }

  struct Reset: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Set where a group without members goes on reading.",
      discussion: """
        Shows the plan; with --execute also does it. An offset outside of a partition is brought into its range.

          millrace groups reset billing --topic orders --to-earliest --execute
          millrace groups reset billing --all-topics --to-datetime 2026-03-01T12:00:00
          millrace groups reset billing --topic orders:0,2 --shift-by -10 --execute
        """)

    @Argument(help: "The group.") var group: String
    @Option(
      help: ArgumentHelp("A topic, or some of its partitions; may be given several times.", valueName: "topic[:0,1]"))
    var topic: [String] = []
    @Flag(help: "All topics that the group has committed.") var allTopics = false
    @Flag(help: "To the first record.") var toEarliest = false
    @Flag(help: "Behind the last record.") var toLatest = false
    @Flag(help: "To what is committed now.") var toCurrent = false
    @Option(help: "To this offset.") var toOffset: Int64?
    @Option(
      parsing: .unconditional, help: ArgumentHelp("By so many records onwards, or back if negative.", valueName: "n"))
    var shiftBy: Int64?
    @Option(
      help: ArgumentHelp("To the first record of this time (UTC unless it says otherwise) or later.", valueName: "time")
    ) var toDatetime: String?
    @Option(help: ArgumentHelp("To the first record that is at most so old: 30m, 2h, 7d, PT30M.", valueName: "span"))
    var byDuration: String?
    @Option(help: ArgumentHelp("To the offsets in a file of topic,partition,offset.", valueName: "file")) var fromFile:
      String?
    @Flag(help: "Only show the plan; this is the default.") var dryRun = false
    @Flag(help: "Do it.") var execute = false
    @OptionGroup var connection: ConnectionOptions

    func validate() throws {
      let targets = [
        toEarliest, toLatest, toCurrent, toOffset != nil, shiftBy != nil, toDatetime != nil, byDuration != nil,
        fromFile != nil,
      ]
      guard targets.count(where: \.self) == 1 else {
        throw ValidationError(
          "choose one of --to-earliest, --to-latest, --to-current, --to-offset, --shift-by, --to-datetime, --by-duration and --from-file"
        )
      }
      if topic.isEmpty, !allTopics, fromFile == nil { throw ValidationError("choose --topic or --all-topics") }
      if dryRun, execute { throw ValidationError("choose one of --dry-run and --execute") }
      if let toDatetime, TimestampText.parse(toDatetime) == nil {
        throw ValidationError("--to-datetime \(toDatetime): expected a time such as 2026-03-01T12:00:00")
      }
      if let byDuration, DurationText.milliseconds(byDuration) == nil {
        throw ValidationError("--by-duration \(byDuration): expected a span such as 30m, 2h, 7d or PT30M")
      }
    }

    private func target() throws -> OffsetPlanning.Target {
      if toEarliest { return .earliest }
      if toLatest { return .latest }
      if let toOffset { return .offset(toOffset) }
      if let shiftBy { return .shift(shiftBy) }
      if let time = toDatetime.flatMap(TimestampText.parse) { return .time(time) }
      if let span = byDuration.flatMap(DurationText.milliseconds) { return .time(Surroundings.nowMs() - span) }
      if let fromFile { return .fixed(try OffsetPlanning.parsePlanFile(try Input.text(path: fromFile), group: group)) }
      return .current
    }

    func run() async throws {
      let target = try target()
      try await connection.withAdmin { admin in
        let group = try await admin.planned(self.group)
        let partitions: [TopicPartition]
        if case .fixed(let offsets) = target {
          partitions = offsets.keys.sorted()
        } else if allTopics {
          partitions = try await group.offsets(admin).keys.sorted()
        } else {
          partitions = try await OffsetPlanning.partitions(admin, topic)
        }
        let plan = try await OffsetPlanning.plan(admin, group, partitions, target)
        for remark in plan.remarks { note("Note: \(remark)") }
        if execute { try await OffsetPlanning.execute(admin, group, plan) }
        for line in OffsetPlanning.lines([(self.group, plan)]) { try Output.standard.line(line) }
        try Output.standard.flush()
        if !execute { note("Nothing was changed: add --execute to do it.") }
      }
    }
  }

  struct Delete: AsyncParsableCommand {
    static let configuration = CommandConfiguration(abstract: "Delete groups without members, with their offsets.")

    @Argument(help: "The groups.") var groups: [String]
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        try Results.tell(groups, try await admin.deleteGroups(groups)) { group, _ in "deleted \(group)" }
      }
    }
  }

  struct DeleteOffsets: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
      abstract: "Delete the offsets of a group for topics that it does not read any more.",
      discussion: "Of a share group the offsets of whole topics are deleted.")

    @Argument(help: "The group.") var group: String
    @Option(
      help: ArgumentHelp("A topic, or some of its partitions; may be given several times.", valueName: "topic[:0,1]"))
    var topic: [String]
    @OptionGroup var connection: ConnectionOptions

    func run() async throws {
      try await connection.withAdmin { admin in
        if case .share = try await admin.planned(group) {
          return try Results.tell(topic, try await admin.deleteShareGroupOffsets(group, topics: topic)) { topic, _ in
            "deleted the offsets of \(topic)"
          }
        }
        let partitions = try await OffsetPlanning.partitions(admin, topic)
        try Results.tell(partitions, try await admin.deleteGroupOffsets(group, partitions)) { partition, _ in
          "deleted the offset of \(partition)"
        }
      }
    }
  }
}

extension Admin {
  /// A group that offsets are changed of. One that does not exist is taken for a group of consumers.
  fileprivate func planned(_ group: String) async throws -> OffsetPlanning.Group {
    guard case .success(let found)? = try await describeGroups([group])[group], found.isShared else {
      return .consumers(group)
    }
    return .share(group)
  }
}
