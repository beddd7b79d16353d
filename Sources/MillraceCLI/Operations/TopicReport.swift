// The description of a topic as kafka-topics.sh prints it.
import MillraceClient
import MillraceProtocol

enum TopicReport {
  static func header(_ topic: TopicDescription, configs: [ConfigEntry]) -> String {
    let overrides = configs.filter { !$0.isDefault }.map { "\($0.name)=\($0.value ?? "null")" }.joined(separator: ",")
    var line = "Topic: \(topic.name)"
    if topic.topicId != .zero { line += "\tTopicId: \(topic.topicId)" }
    line +=
      "\tPartitionCount: \(topic.partitions.count)\tReplicationFactor: \(topic.partitions.first?.replicas.count ?? 0)"
    return line + "\tConfigs: \(overrides)"
  }

  static func line(_ partition: PartitionDescription, of topic: String) -> String {
    let ids = { (list: [Int32]) in list.map(String.init).joined(separator: ",") }
    return "\tTopic: \(topic)\tPartition: \(partition.index)\tLeader: \(partition.leader.map(String.init) ?? "none")"
      + "\tReplicas: \(ids(partition.replicas))\tIsr: \(ids(partition.inSyncReplicas))"
      + "\tElr: \(partition.eligibleLeaderReplicas.map(ids) ?? "N/A")"
      + "\tLastKnownElr: \(partition.lastKnownEligibleLeaderReplicas.map(ids) ?? "N/A")"
  }

  /// Prints topics with their partitions, or those partitions that `filter` lets through, then without the headers.
  static func print(
    _ topics: [TopicDescription], _ admin: Admin, onlyOverridden: Bool = false,
    filter: ((PartitionDescription, _ minInSync: Int) -> Bool)? = nil
  ) async throws {
    guard !topics.isEmpty else { return }
    let configs = try await admin.describeConfigs(topics.map { .topic($0.name) })
    for topic in topics {
      let entries = try configs[.topic(topic.name)]?.get() ?? []
      if onlyOverridden, !entries.contains(where: { !$0.isDefault }) { continue }
      if filter == nil { try Output.standard.line(header(topic, configs: entries)) }
      if onlyOverridden { continue }
      let minInSync = entries.first { $0.name == "min.insync.replicas" }.flatMap { $0.value }.flatMap(Int.init) ?? 1
      for partition in topic.partitions.sorted(by: { $0.index < $1.index }) where filter?(partition, minInSync) ?? true
      {
        try Output.standard.line(line(partition, of: topic.name))
      }
    }
  }
}
