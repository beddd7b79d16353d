// Descriptions of consumer groups as kafka-consumer-groups.sh prints them: offsets with lag, members, state.
import MillraceClient

enum GroupReport {
  /// A line of the table of offsets. `-` stands for what is not there.
  struct OffsetRow: Equatable {
    var group: String
    var partition: TopicPartition
    var leaderEpoch: Int32?
    var current: Int64?
    var end: Int64?
    var consumerId = "-"
    var host = "-"
    var clientId = "-"

    var lag: Int64? {
      guard let current, current >= 0, let end else { return nil }
      return end.subtractingReportingOverflow(current).partialValue
    }
  }

  /// Members with the most partitions first, then the committed partitions that nobody reads.
  static func rows(
    _ group: GroupDescription, committed: [TopicPartition: OffsetAndMetadata], ends: [TopicPartition: Int64]
  ) -> [OffsetRow] {
    func row(_ partition: TopicPartition) -> OffsetRow {
      OffsetRow(
        group: group.groupId, partition: partition, leaderEpoch: committed[partition]?.leaderEpoch,
        current: committed[partition]?.offset,
        end: ends[partition])
    }
    var rows: [OffsetRow] = []
    var assigned: Set<TopicPartition> = []
    for member in group.members.sorted(by: { $0.assignment.count > $1.assignment.count }) {
      for partition in member.assignment.sorted() {
        assigned.insert(partition)
        var line = row(partition)
        (line.consumerId, line.host, line.clientId) = (member.memberId, member.clientHost, member.clientId)
        rows.append(line)
      }
    }
    return rows + committed.keys.filter { !assigned.contains($0) }.sorted().map(row)
  }

  static func offsetLines(_ rows: [OffsetRow], verbose: Bool = false) -> [String] {
    let text = { (value: (any FixedWidthInteger)?) in value.map { "\($0)" } ?? "-" }
    var widths = [
      longest(rows.map(\.group), 15), longest(rows.map(\.partition.topic), 15), 10, 15, 15, 15,
      longest(rows.map(\.consumerId), 15),
      longest(rows.map(\.host), 15), 0,
    ]
    var header = [
      "GROUP", "TOPIC", "PARTITION", "CURRENT-OFFSET", "LOG-END-OFFSET", "LAG", "CONSUMER-ID", "HOST", "CLIENT-ID",
    ]
    if verbose {
      widths.insert(15, at: 3)
      header.insert("LEADER-EPOCH", at: 3)
    }
    let cells = rows.map { row in
      var cells = [
        row.group, row.partition.topic, text(row.partition.partition), text(row.current), text(row.end), text(row.lag),
        row.consumerId,
        row.host, row.clientId,
      ]
      if verbose { cells.insert(text(row.leaderEpoch), at: 3) }
      return cells
    }
    return ([header] + cells).map { Table.line($0, widths: widths) }
  }

  static func memberLines(_ group: GroupDescription, verbose: Bool = false) -> [String] {
    let hasInstance = group.members.contains { $0.groupInstanceId != nil }
    let members = group.members.map { member -> [String] in
      var cells = [group.groupId, member.memberId]
      if hasInstance { cells.append(member.groupInstanceId ?? "") }
      cells += [member.clientHost, member.clientId, "\(member.assignment.count)"]
      if verbose {
        cells += [
          member.epoch.map { "\($0)" } ?? "-", assignment(member.assignment),
          group.assignmentEpoch.map { "\($0)" } ?? "-", assignment(member.targetAssignment ?? []),
        ]
      }
      return cells
    }
    var header =
      ["GROUP", "CONSUMER-ID"] + (hasInstance ? ["GROUP-INSTANCE-ID"] : []) + ["HOST", "CLIENT-ID", "#PARTITIONS"]
    if verbose { header += ["CURRENT-EPOCH", "CURRENT-ASSIGNMENT", "TARGET-EPOCH", "TARGET-ASSIGNMENT"] }
    let widths = header.indices.map { column in
      longest(
        members.map { $0[column] },
        header[column] == "GROUP-INSTANCE-ID" ? 17 : header[column].hasSuffix("-ASSIGNMENT") ? 20 : 15)
    }
    return ([header] + members).map { Table.line($0 + [""], widths: widths + [0]) }
  }

  static func stateLines(_ group: GroupDescription, verbose: Bool = false) -> [String] {
    let coordinator = "\(group.coordinator.host):\(group.coordinator.port)  (\(group.coordinator.id))"
    var header = ["GROUP", "COORDINATOR (ID)", "ASSIGNMENT-STRATEGY", "STATE"]
    var cells = [group.groupId, coordinator, group.assignor.isEmpty ? "-" : group.assignor, group.state]
    var widths = [longest([group.groupId], 15), longest([coordinator], 25), 20, 20]
    if verbose {
      header += ["GROUP-EPOCH", "TARGET-ASSIGNMENT-EPOCH"]
      cells += [group.groupEpoch.map { "\($0)" } ?? "-", group.assignmentEpoch.map { "\($0)" } ?? "-"]
      widths += [15, 25]
    }
    return [header + ["#MEMBERS"], cells + ["\(group.members.count)"]].map { Table.line($0, widths: widths + [0]) }
  }

  /// `orders:0,1;payments:2`
  static func assignment(_ partitions: [TopicPartition]) -> String {
    guard !partitions.isEmpty else { return "-" }
    return Dictionary(grouping: partitions, by: \.topic).map { topic, partitions in
      "\(topic):" + partitions.map(\.partition).sorted().map(String.init).joined(separator: ",")
    }.sorted().joined(separator: ";")
  }

  /// What is to be said about the state of a group before its table; nil if the table says it all.
  static func remark(_ group: GroupDescription) -> String? {
    switch group.state {
    case "Empty" where group.isShared: "Share group '\(group.groupId)' has no active members."
    case "Empty": "Consumer group '\(group.groupId)' has no active members."
    case "PreparingRebalance", "CompletingRebalance", "Assigning", "Reconciling":
      "Warning: Consumer group '\(group.groupId)' is rebalancing."
    default: nil
    }
  }

  private static func longest(_ texts: [String], _ least: Int) -> Int { texts.map(\.count).reduce(least, max) }
}

extension Admin {
  func offsetRows(of group: GroupDescription) async throws -> [GroupReport.OffsetRow] {
    let committed = try await groupOffsets(group.groupId)
    let ends = try await endOffsets(Set(committed.keys).union(group.members.flatMap(\.assignment)))
    return GroupReport.rows(group, committed: committed, ends: ends)
  }
}
