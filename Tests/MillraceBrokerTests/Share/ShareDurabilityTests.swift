import MillraceCoordination
import MillraceProtocol
import MillraceRecords
import NIOCore
import Testing

@testable import MillraceBroker

@Suite("What share groups keep")
struct ShareDurabilityTests {
  @Test func `a restart keeps what was acknowledged, and how often the rest was delivered`() async throws {
    let broker = try GroupBroker()
    var topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b", "c", "d"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 4)
    try await member.acknowledge(0...2, 1, 2, 3)
    try broker.crashAndStart()
    topic = try #require(broker.broker.topics.topic(named: "jobs"))
    let after = try await ShareClient("m", of: topic, on: broker).fetchSome()
    #expect(
      after == [Delivery(offset: 1, value: "b", count: 2), Delivery(offset: 3, value: "d", count: 1)])
  }

  @Test func `a group that begins at the latest offset stays there over a restart`() async throws {
    let broker = try GroupBroker()
    var topic = try await broker.makeSharedTopic(startOffset: -1)
    try await broker.produce(["old"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    let fetch = try broker.begin(member.fetchRequest(maxWaitMs: 30_000), on: member.connection)
    try await eventually { broker.sharePartition(topic)?.startOffset == 1 }
    try await broker.produce(["new"], to: topic)
    #expect(try ShareClient.deliveries(try await fetch.answer()).map(\.value) == ["new"])
    try broker.crashAndStart()
    topic = try #require(broker.broker.topics.topic(named: "jobs"))
    #expect(try await ShareClient("m", of: topic, on: broker).fetchSome().map(\.value) == ["new"])
  }

  @Test(arguments: ["earliest", "by_duration:PT1H", "by_duration:PT0S"])
  func `a group begins where its offset reset says`(_ reset: String) async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic(startOffset: -1)
    try await broker.configure(["share.auto.offset.reset": reset])
    try await broker.produce(["a"], to: topic)
    try await Task.sleep(for: .milliseconds(5))
    let member = ShareClient("m", of: topic, on: broker)
    let isPast = reset.hasSuffix("PT0S")
    let fetched = try await member.fetch(maxWaitMs: isPast ? 200 : 60_000)
    #expect(fetched.map(\.value) == (isPast ? [] : ["a"]))
  }

  @Test func `records that were deleted are passed over`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    for value in ["a", "b", "c", "d"] { try await broker.produce([value], to: topic) }
    let member = ShareClient("m", of: topic, on: broker)
    member.isRecordLimited = true
    #expect(try await member.fetchSome(maxRecords: 2).map(\.value) == ["a", "b"])
    let request = DeleteRecordsRequest(
      topics: [.init(name: "jobs", partitions: [.init(partitionIndex: 0, offset: 3)])], timeoutMs: 1000)
    #expect(try await broker.send(request).topics[0].partitions[0].errorCode.code == .none)
    #expect(try await member.fetch().map(\.value) == ["d"])
    #expect(broker.sharePartition(topic)?.startOffset == 3)
    #expect(try await member.acknowledge(0...1, 1) == .none)
  }

  @Test func `read_committed groups get what was committed, and nothing else is in their way`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic("orders")
    try await broker.configure(["share.isolation.level": "read_committed"])
    var producer = try await TransactionClient.initialized(broker)
    for (value, commits) in [("a", true), ("b", false), ("c", true)] {
      try await producer.produce(value)
      try await producer.end(commit: commits)
    }
    try await eventually { try await broker.read().values == ["a", "c"] }
    try await producer.produce("open")
    let member = ShareClient("m", of: topic, on: broker)
    let deliveries = try await member.fetchSome()
    #expect(deliveries.map(\.value) == ["a", "c"])
    for delivery in deliveries { try await member.acknowledge(delivery.offset...delivery.offset, 1) }
    #expect(try await member.fetch().isEmpty)
    try await producer.end(commit: true)
    #expect(try await member.fetchSome().map(\.value) == ["open"])
    #expect(broker.sharePartition(topic)?.startOffset == 6)
  }

  @Test func `state that somebody else changed is read again`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 2)
    try await broker.initialize(topic, stateEpoch: 1, startOffset: 1)
    #expect(try await member.acknowledge(0...1, 1) == .invalidRecordState)
    #expect(try await member.fetchSome() == [Delivery(offset: 1, value: "b", count: 1)])
  }
}

@Suite("Share groups on a bad disk")
struct ShareDiskTests {
  @Test func `an acknowledgement waits for the disk, and nobody else does`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m1", of: topic, on: broker)
    member.isRecordLimited = true
    #expect(try await member.fetchSome(maxRecords: 1).count == 1)
    broker.disk.trouble.withLock {
      $0.path = "__share_group_state"
      $0.holdsFlushes = true
    }
    let accepting = try broker.begin(
      member.fetchRequest(acknowledging: [.init(firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1])]),
      on: member.connection)
    #expect(try await ShareClient("m2", of: topic, on: broker).fetch().isEmpty)
    try await Task.sleep(for: .milliseconds(50))
    #expect(!accepting.isAnswered)
    broker.disk.trouble.withLock { $0.holdsFlushes = false }
    let response = try await accepting.answer()
    #expect(response.responses[0].partitions[0].acknowledgeErrorCode.code == .none)
    #expect(try ShareClient.deliveries(response).map(\.value) == ["b"])
  }

  @Test func `what could not be written did not happen`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 2)
    #expect(try await member.acknowledge(0...0, 1) == .none)
    broker.disk.trouble.withLock {
      $0.path = "__share_group_state"
      $0.isFull = true
    }
    #expect(try await member.acknowledge(1...1, 1) == .coordinatorNotAvailable)
    broker.disk.trouble.withLock { $0.isFull = false }
    #expect(try await member.fetchSome().map(\.value) == ["b"])
    #expect(try await member.acknowledge(1...1, 1) == .none)
    #expect(broker.sharePartition(topic)?.startOffset == 2)
  }
}
