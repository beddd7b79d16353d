// What a share consumer takes from Kafka's keys.
import MillraceClient

extension ClientProperties {
  func shareConsumer(groupId: String) throws -> ShareConsumerConfiguration {
    var consumer = ShareConsumerConfiguration(try client(), groupId: groupId)
    try choice("share.acknowledgement.mode", ["implicit": .implicit, "explicit": .explicit]) {
      consumer.acknowledgementMode = $0
    }
    try choice("share.acquire.mode", ["batch_optimized": .batchOptimized, "record_limit": .recordLimit]) {
      consumer.acquireMode = $0
    }
    try integer("max.poll.records", 1...Int(Int32.max)) { consumer.maxRecords = $0 }
    try duration("max.poll.interval.ms") { consumer.maxPollInterval = $0 }
    try integer("fetch.min.bytes", 0...Int(Int32.max)) { consumer.fetchMinBytes = $0 }
    try integer("fetch.max.bytes", 1...Int(Int32.max)) { consumer.fetchMaxBytes = $0 }
    try duration("fetch.max.wait.ms") { consumer.fetchMaxWait = $0 }
    try boolean("check.crcs") { consumer.checksCRCs = $0 }
    consumer.rack = self["client.rack"]
    return consumer
  }
}
