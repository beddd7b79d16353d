// What a consumer takes from Kafka's keys.
import MillraceClient

extension ClientProperties {
  func consumer(groupId: String?) throws -> ConsumerConfiguration {
    var consumer = ConsumerConfiguration(try client(), groupId: groupId)
    consumer.groupInstanceId = self["group.instance.id"]
    try choice("group.protocol", ["classic": .classic, "consumer": .consumer]) { consumer.groupProtocol = $0 }
    consumer.remoteAssignor = self["group.remote.assignor"]
    consumer.rack = self["client.rack"]
    try assignors("partition.assignment.strategy") { consumer.assignors = $0 }
    try choice("auto.offset.reset", ["earliest": .earliest, "latest": .latest, "none": .none]) {
      consumer.autoOffsetReset = $0
    }
    try choice("isolation.level", ["read_committed": .readCommitted, "read_uncommitted": .readUncommitted]) {
      consumer.isolation = $0
    }
    try duration("auto.commit.interval.ms") { consumer.autoCommitInterval = $0 }
    try boolean("enable.auto.commit") { if !$0 { consumer.autoCommitInterval = nil } }
    try duration("session.timeout.ms") { consumer.sessionTimeout = $0 }
    try duration("heartbeat.interval.ms") { consumer.heartbeatInterval = $0 }
    try duration("max.poll.interval.ms") { consumer.maxPollInterval = $0 }
    try integer("fetch.min.bytes", 0...Int(Int32.max)) { consumer.fetchMinBytes = $0 }
    try integer("fetch.max.bytes", 0...Int(Int32.max)) { consumer.fetchMaxBytes = $0 }
    try integer("max.partition.fetch.bytes", 0...Int(Int32.max)) { consumer.maxPartitionFetchBytes = $0 }
    try duration("fetch.max.wait.ms") { consumer.fetchMaxWait = $0 }
    try boolean("check.crcs") { consumer.checksCRCs = $0 }
    return consumer
  }

  /// By their names in the protocol, which librdkafka uses as well, or by those of Kafka's classes.
  private func assignors(_ name: String, _ use: ([GroupAssignor]) -> Void) throws {
    guard let setting = settings[name] else { return }
    let classes: [String: GroupAssignor] = [
      "RangeAssignor": .range, "RoundRobinAssignor": .roundRobin, "StickyAssignor": .sticky,
      "CooperativeStickyAssignor": .cooperativeSticky,
    ]
    use(
      try setting.value.split(separator: ",").map(\.trimmed).map { value in
        let className = value.split(separator: ".").last.map(String.init) ?? ""
        guard let assignor = GroupAssignor(rawValue: value) ?? classes[className] else {
          let known = GroupAssignor.allCases.map(\.rawValue).joined(separator: ", ")
          throw failure(name, setting, "expected a list of \(known)")
        }
        return assignor
      })
  }
}
