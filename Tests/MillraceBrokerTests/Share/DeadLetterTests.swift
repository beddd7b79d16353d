import MillraceCoordination
import MillraceLog
import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceBroker

@Suite struct `Dead letters of share groups` {
  private static let fast = [
    "group.share.delivery.count.limit": "2", "transaction.state.log.num.partitions": "2",
    "share.coordinator.state.topic.num.partitions": "2",
  ]

  private func start(
    _ settings: [String: String] = [:], _ configs: [String: String] = [:]
  ) async throws -> (GroupBroker, Topic, ShareClient) {
    let broker = try GroupBroker(Self.fast.merging(settings) { $1 })
    let topic = try await broker.makeSharedTopic()
    try await broker.configure(["errors.deadletterqueue.topic.name": "dlq.jobs"].merging(configs) { $1 })
    return (broker, topic, ShareClient("m", of: topic, on: broker))
  }

  private func create(_ broker: GroupBroker, _ configs: [String: String]) async throws {
    let request = CreateTopicsRequest(topics: [
      .init(
        name: "dlq.jobs", numPartitions: 1, replicationFactor: 1,
        configs: configs.map { .init(name: $0.key, value: $0.value) })
    ])
    #expect(try await broker.send(request).topics[0].errorCode.code == .none)
  }

  private func alter(_ broker: GroupBroker, _ config: String, _ value: String) async throws {
    let resource = IncrementalAlterConfigsRequest.AlterConfigsResource(
      resourceType: 2, resourceName: "dlq.jobs", configs: [.init(name: config, configOperation: 0, value: value)])
    let response = try await broker.send(IncrementalAlterConfigsRequest(resources: [resource]))
    #expect(response.responses[0].errorCode.code == .none)
  }

  private func enable(_ broker: GroupBroker) async throws {
    try await alter(broker, "errors.deadletterqueue.group.enable", "true")
  }

  /// A record that waits for a dead-letter topic which takes none yet.
  private func reject(_ broker: GroupBroker, _ topic: Topic, _ member: ShareClient) async throws {
    try await create(broker, [:])
    try await broker.produce(["a"], to: topic)
    #expect(try await member.fetchSome().count == 1)
    #expect(try await member.acknowledge(0...0, 3) == .none)
    try await eventually { broker.broker.deadLetters.counts.stuckPartitions == 1 }
  }

  private func values(_ broker: GroupBroker) async -> [String] {
    guard broker.broker.topics.topic(named: "dlq.jobs") != nil else { return [] }
    return (try? await broker.read("dlq.jobs").values) ?? []
  }

  private func persistedStart(_ broker: GroupBroker, _ topic: Topic) async -> Int64? {
    let key = ShareStateKey(groupId: "g", topicId: topic.id, partition: 0)
    let summary = await withCheckedContinuation { continuation in
      broker.broker.shareState.summary(key) { continuation.resume(returning: $0) }
    }
    return try? summary.get().startOffset
  }

  /// The headers of the only letter.
  private func headers(_ broker: GroupBroker) throws -> [String] {
    let log = try #require(broker.broker.topics.topic(named: "dlq.jobs")?.partition(0)?.log)
    let bytes = try log.read(from: 0, maxBytes: 1, minOneBatch: true, isolation: .readCommitted).load()
    return try bytes.withUnsafeBytes { bytes in
      var all: [String] = []
      try BatchView(bytes).forEachRecord { record in
        all += record.headers.map { "\($0.key)=\($0.value.map { String(decoding: $0, as: UTF8.self) } ?? "null")" }
      }
      return all
    }
  }

  @Test func `a rejected record goes to the dead-letter topic as it was, and is done with there`() async throws {
    let (broker, topic, member) = try await start()
    try await broker.produce(["a", "b", "c"], to: topic)
    #expect(try await member.fetchSome().count == 3)
    #expect(try await member.acknowledge(0...2, 1, 3, 1) == .none)
    try await eventually { await values(broker) == ["b"] }
    #expect(
      try headers(broker) == [
        "__dlq.errors.topic=jobs", "__dlq.errors.partition=0", "__dlq.errors.offset=1", "__dlq.errors.group=g",
        "__dlq.errors.delivery.count=1", "__dlq.errors.message=Offset rejected by client.",
      ])
    try await eventually { broker.sharePartition(topic)?.startOffset == 3 }
    #expect(broker.broker.deadLetters.counts == DeadLetterCounts(written: 1))
    // Who looks at the group sees that nothing is left.
    try await eventually { await persistedStart(broker, topic) == 3 }

    // It is so after a crash too.
    try broker.crashAndStart()
    let again = ShareClient("m", of: topic, on: broker)
    try await broker.produce(["d"], to: topic)
    try await eventually { (try? await again.fetch(maxWaitMs: 500))?.first?.value == "d" }
    #expect(await values(broker) == ["b"])
    broker.stop()
  }

  @Test func `a record that always comes back is dead-lettered at its limit`() async throws {
    let (broker, topic, member) = try await start()
    try await broker.produce(["a"], to: topic)
    #expect(try await member.fetchSome().map(\.count) == [1])
    #expect(try await member.acknowledge(0...0, 2) == .none)
    #expect(try await member.fetchSome().map(\.count) == [2])
    #expect(try await member.acknowledge(0...0, 2) == .none)
    try await eventually { await values(broker) == ["a"] }
    #expect(
      try headers(broker).suffix(2) == [
        "__dlq.errors.delivery.count=2", "__dlq.errors.message=Offset delivery count exceeded the threshold.",
      ])
    broker.stop()
  }

  @Test func `without a topic to take them letters wait, over a crash too, and nothing else does`() async throws {
    let (broker, topic, member) = try await start(["errors.deadletterqueue.auto.create.topics.enable": "false"])
    try await broker.produce(["a", "b"], to: topic)
    #expect(try await member.fetchSome().count == 2)
    #expect(try await member.acknowledge(0...1, 3) == .none)
    try await eventually { broker.broker.deadLetters.counts.stuckPartitions == 1 }
    try await broker.produce(["c"], to: topic)
    #expect(try await member.fetchSome().map(\.value) == ["c"])
    #expect(try await member.acknowledge(2...2, 1) == .none)
    #expect(broker.sharePartition(topic)?.archiving == 2)

    // Nobody comes to fetch.
    try broker.crashAndStart()
    try await eventually { broker.broker.deadLetters.counts.stuckPartitions == 1 }
    try await create(broker, ["errors.deadletterqueue.group.enable": "true"])
    try await eventually { await values(broker) == ["a", "b"] }
    try await eventually { broker.sharePartition(topic)?.startOffset == 3 }
    broker.stop()
  }

  @Test func `letters go on in a topic that was deleted and made again`() async throws {
    let (broker, topic, member) = try await start(["errors.deadletterqueue.auto.create.topics.enable": "false"])
    try await create(broker, ["errors.deadletterqueue.group.enable": "true"])
    try await broker.produce(["a"], to: topic)
    #expect(try await member.fetchSome().count == 1)
    #expect(try await member.acknowledge(0...0, 3) == .none)
    try await eventually { broker.sharePartition(topic)?.startOffset == 1 }

    try await broker.deleteTopic("dlq.jobs")
    try await broker.produce(["b"], to: topic)
    #expect(try await member.fetchSome().count == 1)
    #expect(try await member.acknowledge(1...1, 3) == .none)
    try await eventually { broker.broker.deadLetters.counts.stuckPartitions == 1 }
    #expect(broker.sharePartition(topic)?.archiving == 1)

    try await create(broker, ["errors.deadletterqueue.group.enable": "true"])
    try await eventually { await values(broker) == ["b"] }
    try await eventually { broker.broker.deadLetters.counts.stuckPartitions == 0 }
    broker.stop()
  }

  @Test(arguments: ["dlq.jobs", TransactionRuntime.topicName])
  func `letters wait for room on a full disk, and nothing else does`(_ path: String) async throws {
    let (broker, topic, member) = try await start()
    try await create(broker, ["errors.deadletterqueue.group.enable": "true"])
    try await broker.produce(["a", "b"], to: topic)
    #expect(try await member.fetchSome().count == 2)
    broker.disk.trouble.withLock { $0 = .init(path: path, isFull: true) }
    #expect(try await member.acknowledge(0...1, 3, 1) == .none)
    try await eventually { broker.broker.deadLetters.counts.stuckPartitions == 1 }
    try await broker.produce(["c"], to: topic)
    #expect(try await member.fetchSome().map(\.value) == ["c"])
    #expect(try await member.acknowledge(2...2, 1) == .none)
    #expect(broker.sharePartition(topic)?.archiving == 1)

    broker.disk.trouble.withLock { $0 = .init() }
    try await eventually { await values(broker) == ["a"] }
    try await eventually { broker.sharePartition(topic)?.startOffset == 3 }
    #expect(broker.broker.deadLetters.counts.written == 1)
    broker.stop()
  }

  @Test func `a letter is not written while there is no room for the archiving of its record`() async throws {
    let (broker, topic, member) = try await start()
    try await reject(broker, topic, member)
    broker.disk.trouble.withLock { $0 = .init(path: ShareStateRuntime.topicName, isFull: true) }
    try await enable(broker)
    let failedAttempts = broker.broker.deadLetters.counts.failedAttempts
    try await eventually { broker.broker.deadLetters.counts.failedAttempts > failedAttempts }
    #expect(await values(broker) == [])
    broker.disk.trouble.withLock { $0 = .init() }
    try await eventually { await values(broker) == ["a"] }
    try await eventually { broker.sharePartition(topic)?.startOffset == 1 }
    broker.stop()
  }

  @Test func `a topic that is not for dead letters takes none until it is`() async throws {
    let (broker, topic, member) = try await start()
    try await reject(broker, topic, member)
    #expect(await values(broker) == [])
    try await enable(broker)
    try await eventually { await values(broker) == ["a"] }
    broker.stop()
  }

  @Test func `a topic that is made for letters takes what its own topic just took`() async throws {
    let (broker, topic, member) = try await start()
    let large = String(repeating: "x", count: 1_048_400)
    try await broker.produce([large], to: topic)
    #expect(try await member.fetchSome().count == 1)
    #expect(try await member.acknowledge(0...0, 3) == .none)
    try await eventually { await values(broker) == [large] }
    #expect(broker.broker.deadLetters.counts == DeadLetterCounts(written: 1))
    broker.stop()
  }

  @Test func `a record that the topic does not take waits alone`() async throws {
    let (broker, topic, member) = try await start()
    try await create(broker, ["errors.deadletterqueue.group.enable": "true", "max.message.bytes": "1000"])
    try await broker.produce(["a", String(repeating: "x", count: 2000), "b"], to: topic)
    #expect(try await member.fetchSome().count == 3)
    #expect(try await member.acknowledge(0...2, 3) == .none)
    try await eventually { await values(broker) == ["a", "b"] }
    #expect(broker.sharePartition(topic)?.archiving == 1)
    try await alter(broker, "max.message.bytes", "10000")
    try await eventually { await values(broker).count == 3 }
    broker.stop()
  }
}
