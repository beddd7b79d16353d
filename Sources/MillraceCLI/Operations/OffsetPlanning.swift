// Where a group shall go on reading: the plan of `groups reset` and of the --reset-offsets of kafka-consumer-groups.sh and
// kafka-share-groups.sh. What is asked for is brought into the range of offsets that the partition has.
import MillraceClient

enum OffsetPlanning {
  enum Target: Equatable, Sendable {
    case earliest, latest, current
    case offset(Int64)
    /// The first record of this time or later; the end if there is none.
    case time(Int64)
    case shift(Int64)
    case fixed([TopicPartition: Int64])
  }

  struct Failure: Error, CustomStringConvertible { let description: String }

  struct Plan: Equatable {
    var offsets: [TopicPartition: Int64] = [:]
    /// What a person should know about the plan.
    var remarks: [String] = []
  }

  /// Whose offsets they are, and how they are kept.
  enum Group: Sendable {
    case consumers(String)
    case share(String)

    func offsets(_ admin: Admin) async throws -> [TopicPartition: Int64] {
      switch self {
      case .consumers(let name): return try await admin.groupOffsets(name).mapValues(\.offset)
      case .share(let name):
        do {
          return try await admin.shareGroupOffsets(name).compactMapValues { try? $0.get().startOffset }
        } catch {
          guard error.brokerCode == .groupIdNotFound else { throw error }
          return [:]
        }
      }
    }
  }

  /// What the cluster says about the partitions.
  struct Facts {
    var earliest: [TopicPartition: Int64]
    var latest: [TopicPartition: Int64]
    /// Where the group is now.
    var current: [TopicPartition: Int64]
    /// The answers to a question by time; -1 where no record is that young.
    var byTime: [TopicPartition: Int64] = [:]
  }

  /// The pure part: what becomes of each partition.
  static func plan(_ partitions: [TopicPartition], _ target: Target, _ facts: Facts) throws(Failure) -> Plan {
    var plan = Plan()
    for partition in partitions {
      guard let earliest = facts.earliest[partition], let latest = facts.latest[partition] else {
        throw Failure(
          description: "the offsets of partition \(partition) are not known: does it exist, and has it a leader?")
      }
      let wanted: Int64
      switch target {
      case .earliest: wanted = earliest
      case .latest: wanted = latest
      case .current: wanted = facts.current[partition] ?? latest
      case .offset(let offset): wanted = offset
      case .fixed(let offsets):
        guard let offset = offsets[partition] else { continue }
        wanted = offset
      case .time:
        let found = facts.byTime[partition] ?? -1
        if found < 0 {
          plan.remarks.append("partition \(partition) has no record of that time or later: it goes to its end")
        }
        wanted = found < 0 ? latest : found
      case .shift(let by):
        guard let current = facts.current[partition] else {
          throw Failure(
            description: "Cannot shift offset for partition \(partition) since there is no current committed offset")
        }
        let (sum, overflow) = current.addingReportingOverflow(by)
        wanted = overflow ? (by > 0 ? .max : 0) : sum
      }
      let inRange = min(max(wanted, earliest), latest)
      if inRange != wanted, target != .current {
        plan.remarks.append(
          "offset \(wanted) is outside of partition \(partition) (\(earliest) to \(latest)): it goes to \(inRange)")
      }
      plan.offsets[partition] = target == .current ? wanted : inRange
    }
    return plan
  }

  /// Asks the cluster for what the plan needs, and plans.
  static func plan(
    _ admin: Admin, _ group: Group, _ partitions: [TopicPartition], _ target: Target
  ) async throws -> Plan {
    var facts = Facts(
      earliest: try await admin.offsets(partitions, .earliest), latest: try await admin.endOffsets(partitions),
      current: try await group.offsets(admin))
    if case .time(let timestamp) = target { facts.byTime = try await admin.offsets(partitions, .timestamp(timestamp)) }
    return try plan(partitions, target, facts)
  }

  static func execute(_ admin: Admin, _ group: Group, _ plan: Plan) async throws {
    let results =
      switch group {
      case .consumers(let name):
        try await admin.alterGroupOffsets(name, plan.offsets.mapValues { OffsetAndMetadata(offset: $0) })
      case .share(let name): try await admin.alterShareGroupOffsets(name, plan.offsets)
      }
    for result in results.values { try result.get() }
  }

  /// `topic` means all its partitions, `topic:0,2` these.
  static func partitions(_ admin: Admin, _ arguments: [String]) async throws -> [TopicPartition] {
    var partitions: [TopicPartition] = []
    var whole: [String] = []
    for argument in arguments {
      if let some = try parse(argument) { partitions += some } else { whole.append(argument) }
    }
    let existing = Set(try await admin.partitions(of: Array(Set(whole + partitions.map(\.topic))).sorted()))
    if let missing = partitions.first(where: { !existing.contains($0) }) {
      throw Failure(description: "The partitions \"\(missing)\" do not exist")
    }
    return Set(partitions + existing.filter { whole.contains($0.topic) }).sorted()
  }

  /// Nil for a topic without partitions.
  static func parse(_ argument: String) throws(Failure) -> [TopicPartition]? {
    let parts = argument.split(separator: ":", omittingEmptySubsequences: false)
    guard parts.count > 1 else { return nil }
    guard parts.count == 2, !parts[0].isEmpty else {
      throw Failure(description: "Invalid topic arg '\(argument)', expected topic name and partitions")
    }
    var partitions: [TopicPartition] = []
    for number in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
      guard let index = Int32(number), index >= 0 else {
        throw Failure(description: "Invalid partition '\(number)' specified in topic arg '\(argument)'")
      }
      partitions.append(TopicPartition(String(parts[0]), index))
    }
    return partitions
  }

  /// The lines of a plan in a file: `topic,partition,offset`, or with the group before it.
  static func parsePlanFile(_ text: String, group: String) throws(Failure) -> [TopicPartition: Int64] {
    var offsets: [TopicPartition: Int64] = [:]
    for (number, line) in text.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).enumerated() {
      var cells = line.split(separator: ",", omittingEmptySubsequences: false).map { cell in
        String(cell.filter { $0 != "\"" && $0 != "\r" && $0 != " " })
      }
      if cells == [""] { continue }
      if cells.count == 4 {
        guard cells.removeFirst() == group else { continue }
      }
      guard cells.count == 3, let partition = Int32(cells[1]), let offset = Int64(cells[2]), partition >= 0, offset >= 0
      else {
        throw Failure(description: "line \(number + 1) of the plan: expected topic,partition,offset")
      }
      offsets[TopicPartition(cells[0], partition)] = offset
    }
    return offsets
  }

  static func lines(_ plans: [(group: String, plan: Plan)]) -> [String] {
    let rows = plans.flatMap { group, plan in
      plan.offsets.sorted { $0.key < $1.key }.map { [group, $0.key.topic, "\($0.key.partition)", "\($0.value)"] }
    }
    let widths = [
      rows.map(\.[0].count).reduce(15, max), rows.map(\.[1].count).reduce(15, max), 10, 0,
    ]
    return ([["GROUP", "TOPIC", "PARTITION", "NEW-OFFSET"]] + rows).map { Table.line($0, widths: widths) }
  }
}
