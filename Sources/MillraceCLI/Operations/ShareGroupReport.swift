// Descriptions of share groups as kafka-share-groups.sh prints them: offsets with lag, members, state; and what they have
// in flight.
import MillraceClient

enum ShareGroupReport {
  typealias Row = (partition: TopicPartition, offset: ShareGroupOffset?)

  /// `-` stands for what is not known.
  static func offsetLines(_ group: String, _ rows: [Row], verbose: Bool = false) -> [String] {
    let text = { (value: (any FixedWidthInteger)?) in value.map { "\($0)" } ?? "-" }
    var widths = [max(15, group.count), rows.map(\.partition.topic.count).reduce(15, max), 10, 13, 0]
    var header = ["GROUP", "TOPIC", "PARTITION", "START-OFFSET", "LAG"]
    if verbose {
      header.insert("LEADER-EPOCH", at: 3)
      widths.insert(13, at: 3)
    }
    let cells = rows.map { row in
      var cells = [
        group, row.partition.topic, "\(row.partition.partition)", text(row.offset?.startOffset), text(row.offset?.lag),
      ]
      if verbose { cells.insert(text(row.offset?.leaderEpoch), at: 3) }
      return cells
    }
    return ([header] + cells).map { Table.line($0, widths: widths) }
  }

  /// - Parameter rows: in the order in which they are shown.
  static func inFlightLines(_ group: String, _ rows: [(partition: TopicPartition, records: ShareGroupRecords)])
    -> [String]
  {
    let header = ["GROUP", "TOPIC", "PARTITION", "FIRST-OFFSET", "LAST-OFFSET", "STATE", "DELIVERY-COUNT"]
    let widths = [
      max(15, group.count), rows.map(\.partition.topic.count).reduce(15, max), 10, 13, 13, 13, 0,
    ]
    let cells = rows.map { partition, records in
      [
        group, partition.topic, "\(partition.partition)", "\(records.offsets.lowerBound)",
        "\(records.offsets.upperBound)", "\(records.state)", "\(records.deliveryCount)",
      ]
    }
    return ([header] + cells).map { Table.line($0, widths: widths) }
  }

  static func memberLines(_ group: GroupDescription, verbose: Bool = false) -> [String] {
    var header = ["GROUP", "CONSUMER-ID", "HOST", "CLIENT-ID", "#PARTITIONS", "ASSIGNMENT"]
    var least = [15, 15, 15, 15, 12, 0]
    if verbose {
      header.insert("MEMBER-EPOCH", at: 5)
      least.insert(13, at: 5)
    }
    let rows = group.members.sorted { $0.memberId < $1.memberId }.map { member -> [String] in
      var cells = [
        group.groupId, member.memberId, member.clientHost, member.clientId, "\(member.assignment.count)",
        GroupReport.assignment(member.assignment),
      ]
      if verbose { cells.insert(member.epoch.map { "\($0)" } ?? "-", at: 5) }
      return cells
    }
    let widths = header.indices.map { column in rows.map { $0[column].count }.reduce(least[column], max) }
    return ([header] + rows).map { Table.line($0, widths: widths) }
  }

  static func stateLines(_ group: GroupDescription, verbose: Bool = false) -> [String] {
    let coordinator = "\(group.coordinator.host):\(group.coordinator.port)  (\(group.coordinator.id))"
    var header = ["GROUP", "COORDINATOR (ID)", "STATE"]
    var cells = [group.groupId, coordinator, group.state]
    var widths = [max(15, group.groupId.count), max(25, coordinator.count), 15]
    if verbose {
      header += ["GROUP-EPOCH", "ASSIGNMENT-EPOCH"]
      cells += [group.groupEpoch.map { "\($0)" } ?? "-", group.assignmentEpoch.map { "\($0)" } ?? "-"]
      widths += [12, 17]
    }
    return [header + ["#MEMBERS"], cells + ["\(group.members.count)"]].map { Table.line($0, widths: widths + [0]) }
  }
}

extension GroupDescription {
  var isShared: Bool { type == "Share" }
  /// The group if it is a share group.
  var ifShared: GroupDescription? { isShared ? self : nil }
}

extension Admin {
  func shareGroupRows(_ group: String) async throws -> [ShareGroupReport.Row] {
    try await shareGroupOffsets(group).sorted { $0.key < $1.key }.map { partition, result in
      (partition, try? result.get())
    }
  }
  func shareGroupInFlight(_ group: String) async throws -> [(partition: TopicPartition, records: ShareGroupRecords)] {
    try await shareGroupRecords(group).sorted { $0.key < $1.key }.flatMap { partition, result in
      try result.get().map { (partition, $0) }
    }
  }
}
