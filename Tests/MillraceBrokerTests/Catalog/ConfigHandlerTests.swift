import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite struct `Configs over the wire` {
  private func alter(
    _ broker: TestBroker, _ kind: ConfigResource.Kind, _ name: String, _ configs: [String: String]
  ) async throws -> ErrorCode {
    let request = IncrementalAlterConfigsRequest(resources: [
      .init(
        resourceType: kind.rawValue, resourceName: name,
        configs: configs.map { .init(name: $0.key, configOperation: 0, value: $0.value) })
    ])
    return try #require(try await broker.send(request).responses.first).errorCode.code
  }

  private func describe(
    _ broker: TestBroker, _ kind: ConfigResource.Kind, _ name: String, keys: [String]? = nil
  ) async throws -> DescribeConfigsResponse.DescribeConfigsResult {
    let request = DescribeConfigsRequest(
      resources: [.init(resourceType: kind.rawValue, resourceName: name, configurationKeys: keys)],
      includeSynonyms: true, includeDocumentation: true)
    return try #require(try await broker.send(request).results.first)
  }

  @Test func `a changed config reaches the open log and survives a restart`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders", configs: ["segment.bytes": "2000000"])
    #expect(try await alter(broker, .topic, "orders", ["retention.ms": "12345", "durability": "buffered"]) == .none)
    func log(_ broker: TestBroker) throws -> LogConfig {
      try #require(broker.broker.topics.topic(named: "orders")?.partition(0)).log.config
    }
    #expect(try log(broker).retentionMs == 12_345)
    #expect(try log(broker).durability == .buffered)
    #expect(try log(broker).segmentBytes == 2_000_000)
    broker.stop()
    let again = try TestBroker(in: broker.directory)
    #expect(try log(again).retentionMs == 12_345)
    #expect(try log(again).segmentBytes == 2_000_000)
    again.stop()
  }

  @Test func `a broker default reaches the logs of every topic that leaves it open`() async throws {
    let broker = try TestBroker(["log.durability": "buffered"])
    try await broker.create("open")
    try await broker.create("own", configs: ["max.message.bytes": "500"])
    #expect(try await alter(broker, .broker, "", ["message.max.bytes": "700", "log.retention.ms": "9"]) == .none)
    let open = try #require(broker.broker.topics.topic(named: "open"))
    let own = try #require(broker.broker.topics.topic(named: "own"))
    #expect(open.settings.produceRules.maxMessageBytes == 700)
    #expect(own.settings.produceRules.maxMessageBytes == 500)
    #expect(open.partition(0)?.log.config.retentionMs == 9)
    #expect(open.partition(0)?.log.config.durability == .buffered)
    broker.stop()
  }

  @Test func `the internal topics are flushed whatever the broker's default is`() async throws {
    let broker = try TestBroker(["log.durability": "buffered", "offsets.topic.num.partitions": "2"])
    let topic = try #require(try await broker.metadata(["__consumer_offsets"]).topics.first)
    #expect(topic.isInternal && topic.partitions.count == 2)
    let offsets = try #require(broker.broker.topics.topic(named: "__consumer_offsets"))
    #expect(offsets.partition(0)?.log.config.durability == .commit)
    #expect(offsets.settings.produceRules.isCompacted && !offsets.settings.isDeleted)
    broker.stop()
  }

  @Test func `a topic's configs are described with values, sources, synonyms, types and documentation`() async throws {
    let broker = try TestBroker(["log.retention.hours": "1"])
    try await broker.create("orders", configs: ["cleanup.policy": "compact"])
    let result = try await describe(broker, .topic, "orders")
    #expect(result.errorCode == 0)
    #expect(result.configs.count == TopicConfigs.all.count)
    let policy = try #require(result.configs.first { $0.name == "cleanup.policy" })
    #expect(policy.value == "compact" && policy.configSource == 1 && policy.configType == ConfigType.list.rawValue)
    #expect(policy.synonyms.map(\.source) == [1, 5])
    #expect(policy.documentation?.isEmpty == false)
    let retention = try #require(result.configs.first { $0.name == "retention.ms" })
    #expect(retention.value == "3600000" && retention.configSource == 4)
    #expect(retention.synonyms.map(\.name) == ["log.retention.hours", "log.retention.hours"])
    broker.stop()
  }

  @Test func `keys narrow the answer, and the broker's configs know what a start has to set`() async throws {
    let broker = try TestBroker(["num.partitions": "4"])
    let result = try await describe(broker, .broker, "1", keys: ["num.partitions", "log.retention.ms", "nobody"])
    #expect(Set(result.configs.map(\.name)) == ["num.partitions", "log.retention.ms"])
    let partitions = try #require(result.configs.first { $0.name == "num.partitions" })
    #expect(partitions.value == "4" && partitions.readOnly && partitions.configSource == 4)
    let retention = try #require(result.configs.first { $0.name == "log.retention.ms" })
    #expect(!retention.readOnly)
    #expect(try await describe(broker, .broker, "").configs.isEmpty)
    #expect(try await alter(broker, .broker, "", ["log.retention.ms": "9"]) == .none)
    #expect(try await describe(broker, .broker, "").configs.map(\.name) == ["log.retention.ms"])
    broker.stop()
  }

  @Test(arguments: [
    (ConfigResource.Kind.topic, "nobody", ErrorCode.unknownTopicOrPartition), (.topic, "a b", .invalidTopicException),
    (.broker, "2", .invalidRequest), (.brokerLogger, "1", .invalidRequest), (.group, "", .invalidRequest),
    (.clientMetrics, "m", .none),
  ])
  func `other resources are answered sensibly`(kind: ConfigResource.Kind, name: String, code: ErrorCode) async throws {
    let broker = try TestBroker()
    let result = try await describe(broker, kind, name)
    #expect(result.errorCode.code == code)
    #expect(result.configs.isEmpty)
    broker.stop()
  }

  @Test func `config resources are listed by kind`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders")
    let all = try await broker.send(ListConfigResourcesRequest())
    #expect(all.configResources.map(\.resourceName) == ["orders", "1"])
    let topics = try await broker.send(ListConfigResourcesRequest(resourceTypes: [2]))
    #expect(topics.configResources.map(\.resourceName) == ["orders"])
    #expect(try await broker.send(ListConfigResourcesRequest(), version: 0).configResources.isEmpty)
    #expect(try await broker.send(ListConfigResourcesRequest(resourceTypes: [3])).errorCode.code == .unsupportedVersion)
    broker.stop()
  }

  @Test func `a topic that wants more replicas than there are takes no acks=all`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders", configs: ["min.insync.replicas": "2"])
    let data = ProduceRequest.TopicProduceData(name: "orders", partitionData: [.init(index: 0, records: nil)])
    func code(acks: Int16) async throws -> ErrorCode? {
      let request = ProduceRequest(acks: acks, timeoutMs: 1000, topicData: [data])
      return try await broker.send(request, version: 9).responses.first?.partitionResponses.first?.errorCode.code
    }
    #expect(try await code(acks: -1) == .notEnoughReplicas)
    #expect(try await code(acks: 1) == .invalidRecord)
    broker.stop()
  }

  @Test func `the legacy form replaces the whole set`() async throws {
    let broker = try TestBroker()
    try await broker.create("orders", configs: ["retention.ms": "5", "segment.ms": "6"])
    let request = AlterConfigsRequest(resources: [
      .init(resourceType: 2, resourceName: "orders", configs: [.init(name: "retention.ms", value: "7")])
    ])
    #expect(try await broker.send(request).responses.map(\.errorCode) == [0])
    let config = try #require(broker.broker.topics.topic(named: "orders")?.partition(0)).log.config
    #expect(config.retentionMs == 7)
    #expect(config.segmentMs == 604_800_000)
    broker.stop()
  }
}
