// What a consumer takes from Kafka's keys.
import MillraceClient

extension ClientProperties {
  func consumer(groupId: String?) throws -> ConsumerConfiguration {
    var consumer = ConsumerConfiguration(try client(), groupId: groupId)
    consumer.groupInstanceId = self["group.instance.id"]
    try choice("group.protocol", ["classic": .classic, "consumer": .consumer]) { consumer.groupProtocol = $0 }
    consumer.remoteAssignor = self["group.remote.assignor"]
    consumer.rack = self["client.rack"]
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
}
