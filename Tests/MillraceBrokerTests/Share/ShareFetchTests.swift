import MillraceCoordination
import MillraceProtocol
import MillraceRecords
import Testing

@testable import MillraceBroker

@Suite("Share fetch")
struct ShareFetchTests {
  @Test func `a record goes to one member, once, and is gone when it is accepted`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b", "c"], to: topic)
    let first = ShareClient("m1", of: topic, on: broker)
    let second = ShareClient("m2", of: topic, on: broker)
    let deliveries = try await first.fetchSome()
    #expect(deliveries.map(\.value) == ["a", "b", "c"])
    #expect(deliveries.map(\.count) == [1, 1, 1])
    #expect(try await second.fetch().isEmpty)
    #expect(try await first.acknowledge(0...2, 1) == .none)
    #expect(broker.sharePartition(topic)?.startOffset == 3)
    #expect(try await second.fetch().isEmpty)
  }

  @Test func `what is released comes back counted, what is rejected does not`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b", "c"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 3)
    #expect(try await member.acknowledge(0...2, 1, 2, 3) == .none)
    #expect(try await member.fetch() == [Delivery(offset: 1, value: "b", count: 2)])
  }

  @Test func `acknowledgements travel with a fetch, which may bring back what they release`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 2)
    let request = member.fetchRequest(
      acknowledging: [.init(firstOffset: 0, lastOffset: 1, acknowledgeTypes: [1, 2])])
    let response = try await broker.send(request, on: member.connection)
    #expect(response.responses.first?.partitions.first?.acknowledgeErrorCode.code == ErrorCode.none)
    #expect(try ShareClient.deliveries(response) == [Delivery(offset: 1, value: "b", count: 2)])
    #expect(response.acquisitionLockTimeoutMs == 30_000)
  }

  @Test func `a fetch brings batches as a whole, or in the other mode so many records`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    for batch in ["a", "b", "c"] { try await broker.produce([batch, batch, batch], to: topic) }
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome(maxRecords: 4).count == 6)
    member.isRecordLimited = true
    #expect(try await member.fetch(maxRecords: 2).map(\.offset) == [6, 7])
    #expect(try await member.fetch(maxRecords: 2).map(\.offset) == [8])
  }

  @Test func `only batches that hold acquired records are sent`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    for value in ["a", "b", "c", "d", "e"] { try await broker.produce([value], to: topic) }
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 5)
    try await member.acknowledge(0...4, 2, 1, 1, 2, 1)
    let response = try await broker.send(member.fetchRequest(), on: member.connection)
    #expect(try ShareClient.deliveries(response).map(\.offset) == [0, 3])
    guard case .bytes(let records)? = response.responses.first?.partitions.first?.records else {
      Issue.record("no records")
      return
    }
    var sizes: [Int] = []
    try records.withUnsafeReadableBytes { bytes in
      var batches = BatchIterator(bytes, verifiesChecksums: true)
      while let (batch, _) = try batches.next() { sizes.append(batch.bytes.count) }
    }
    #expect(sizes.count == 2)
  }

  @Test func `a fetch with little room takes one batch at least`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    for value in ["a", "b"] { try await broker.produce([String(repeating: value, count: 1_000)], to: topic) }
    let member = ShareClient("m", of: topic, on: broker)
    _ = try await member.fetchSome(maxRecords: 0)
    try await eventually { broker.sharePartition(topic) != nil }
    #expect(try await member.fetch(maxBytes: 10).map(\.offset) == [0])
    #expect(try await member.fetch(maxBytes: 10).map(\.offset) == [1])
  }

  @Test func `nobody acknowledges what he does not hold`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b", "c"], to: topic)
    let holder = ShareClient("m1", of: topic, on: broker)
    let other = ShareClient("m2", of: topic, on: broker)
    #expect(try await holder.fetchSome(maxRecords: 1).count == 3)
    #expect(try await other.fetch().isEmpty)
    #expect(try await other.acknowledge(0...0, 1) == .invalidRecordState)
    #expect(try await holder.acknowledge(2...5, 1) == .invalidRequest)
    #expect(try await holder.acknowledge(0...0, 7) == .invalidRequest)
    #expect(try await holder.acknowledge(1...1, 3) == .none)
    #expect(try await holder.acknowledge(1...1, 1) == .invalidRecordState)
    #expect(try await holder.acknowledge(0...0, 1) == .none)
  }

  @Test func `what is not there is said for each partition`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    let member = ShareClient("m", of: topic, partition: 9, on: broker)
    let response = try await broker.send(member.fetchRequest(), on: member.connection)
    #expect(response.responses[0].partitions[0].errorCode.code == .unknownTopicOrPartition)
    #expect(try await member.acknowledge(0...0, 1) == .unknownTopicOrPartition)
    let request = ShareFetchRequest(
      groupId: "g", memberId: "other", maxBytes: 100, maxRecords: 1,
      topics: [.init(topicId: .random(), partitions: [.init(partitionIndex: 0)])])
    let unknown = try await broker.send(request)
    #expect(unknown.responses[0].partitions[0].errorCode.code == .unknownTopicId)
  }

  @Test func `a group that was never initialized is refused`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeTopic("jobs")
    let member = ShareClient("m", of: topic, on: broker)
    let response = try await broker.send(member.fetchRequest(maxWaitMs: 10_000), on: member.connection)
    #expect(response.responses[0].partitions[0].errorCode.code == .unknownServerError)
    try await broker.initialize(topic)
    try await broker.produce(["a"], to: topic)
    #expect(try await member.fetchSome().map(\.value) == ["a"])
  }

  @Test func `a lock that is renewed lasts longer`() async throws {
    let clock = HandClock()
    let broker = try GroupBroker(
      ["group.share.min.record.lock.duration.ms": "1000", "group.share.record.lock.duration.ms": "1000"], clock: clock)
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m1", of: topic, on: broker)
    let other = ShareClient("m2", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 2)
    let waiting = try broker.begin(other.fetchRequest(maxWaitMs: 30_000), on: other.connection)
    clock.pass(ms: 600)
    try #require(try await member.acknowledge(0...0, 4) == .none)
    clock.pass(ms: 600)
    let deliveries = try ShareClient.deliveries(try await waiting.answer())
    #expect(deliveries == [Delivery(offset: 1, value: "b", count: 2)])
    #expect(try await member.acknowledge(0...0, 1) == .none)
  }

  @Test func `a fetch that renews locks fetches nothing`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome(maxRecords: 1).count == 2)
    let renewal = [ShareFetchRequest.AcknowledgementBatch(firstOffset: 0, lastOffset: 0, acknowledgeTypes: [4])]
    let refused = try await broker.send(
      member.fetchRequest(acknowledging: renewal, isRenewal: true), on: member.connection)
    #expect(refused.errorCode.code == .invalidRequest)
    member.epoch -= 1
    let response = try await broker.send(
      member.fetchRequest(minBytes: 0, maxBytes: 0, maxRecords: 0, acknowledging: renewal, isRenewal: true),
      on: member.connection)
    #expect(response.responses[0].partitions[0].acknowledgeErrorCode.code == .none)
    #expect(response.acquisitionLockTimeoutMs == 30_000)
  }
}
