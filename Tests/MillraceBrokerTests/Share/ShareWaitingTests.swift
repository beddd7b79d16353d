import MillraceCoordination
import MillraceProtocol
import Testing

@testable import MillraceBroker

@Suite("Share fetches that wait, and what ends sessions")
struct ShareWaitingTests {
  private func waiting(_ member: ShareClient, maxWaitMs: Int32 = 30_000) throws -> PendingAnswer<ShareFetchRequest> {
    try member.broker.begin(member.fetchRequest(maxWaitMs: maxWaitMs), on: member.connection)
  }

  @Test func `a waiting fetch gets what is produced, and another one what comes back`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    let members = (1...3).map { ShareClient("m\($0)", of: topic, on: broker) }
    var waits: [(ShareClient, PendingAnswer<ShareFetchRequest>)] = []
    for member in members { waits.append((member, try waiting(member))) }
    try await broker.produce(["a"], to: topic)
    try await eventually { waits.contains { $0.1.isAnswered } }
    let holder = try #require(waits.firstIndex { $0.1.isAnswered })
    #expect(try ShareClient.deliveries(try await waits[holder].1.answer()).map(\.count) == [1])
    try await Task.sleep(for: .milliseconds(50))
    #expect(waits.count { $0.1.isAnswered } == 1)
    try await waits[holder].0.acknowledge(0...0, 2)
    waits.remove(at: holder)
    try await eventually { waits.contains { $0.1.isAnswered } }
    let next = try #require(waits.first { $0.1.isAnswered })
    #expect(try ShareClient.deliveries(try await next.1.answer()).map(\.count) == [2])
  }

  @Test func `all who wait get their part of much that is produced`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    var waits: [PendingAnswer<ShareFetchRequest>] = []
    for number in 1...4 {
      let member = ShareClient("m\(number)", of: topic, on: broker)
      member.isRecordLimited = true
      waits.append(try broker.begin(member.fetchRequest(maxWaitMs: 30_000, maxRecords: 2), on: member.connection))
    }
    try await broker.produce((0..<8).map(String.init), to: topic)
    var offsets: [Int64] = []
    for wait in waits { offsets += try ShareClient.deliveries(try await wait.answer()).map(\.offset) }
    #expect(offsets.sorted() == Array(0..<8))
  }

  @Test func `a fetch that asks for more bytes waits for them, but not longer than it says`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    let patient = try broker.begin(
      member.fetchRequest(maxWaitMs: 30_000, minBytes: 400), on: member.connection)
    try await Task.sleep(for: .milliseconds(50))
    #expect(!patient.isAnswered)
    try await broker.produce([String(repeating: "b", count: 500)], to: topic)
    #expect(try ShareClient.deliveries(try await patient.answer()).map(\.offset) == [0, 1])
    try await broker.produce(["c"], to: topic)
    let hasty = try await broker.send(member.fetchRequest(maxWaitMs: 50, minBytes: 400), on: member.connection)
    #expect(try ShareClient.deliveries(hasty).map(\.offset) == [2])
  }

  @Test func `a lock that runs out gives the record to who waits`() async throws {
    let broker = try GroupBroker([
      "group.share.min.record.lock.duration.ms": "1000", "group.share.record.lock.duration.ms": "1000",
    ])
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a"], to: topic)
    let slow = ShareClient("m1", of: topic, on: broker)
    let other = ShareClient("m2", of: topic, on: broker)
    #expect(try await slow.fetchSome().map(\.count) == [1])
    #expect(try await other.fetchSome() == [Delivery(offset: 0, value: "a", count: 2)])
    #expect(try await slow.acknowledge(0...0, 1) == .invalidRecordState)
  }

  @Test func `a record that always comes back is given up`() async throws {
    let broker = try GroupBroker(["group.share.delivery.count.limit": "2"])
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a", "b"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 2)
    try await member.acknowledge(0...1, 2, 1)
    #expect(try await member.fetch() == [Delivery(offset: 0, value: "a", count: 2)])
    try await member.acknowledge(0...0, 2)
    #expect(try await member.fetch().isEmpty)
    #expect(broker.sharePartition(topic)?.startOffset == 2)
  }

  @Test func `a release that is delayed comes back later`() async throws {
    let clock = HandClock()
    let broker = try GroupBroker(clock: clock)
    let topic = try await broker.makeSharedTopic()
    try await broker.configure(["millrace.share.retry.backoff.ms": "300"])
    try await broker.produce(["a"], to: topic)
    let member = ShareClient("m", of: topic, on: broker)
    #expect(try await member.fetchSome().count == 1)
    try await member.acknowledge(0...0, 2)
    clock.pass(ms: 200)
    #expect(try await member.fetch().isEmpty)
    let waiting = try waiting(member)
    // By now the delay is over also if chance has made it a fifth longer.
    clock.pass(ms: 160)
    #expect(try ShareClient.deliveries(try await waiting.answer()).map(\.count) == [2])
  }

  @Test func `closing a session gives back what was not delivered, losing the connection what was`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a"], to: topic)
    let first = ShareClient("m1", of: topic, on: broker)
    let second = ShareClient("m2", of: topic, on: broker)
    #expect(try await first.fetchSome().map(\.count) == [1])
    let waiting = try waiting(second)
    try await first.close()
    #expect(try ShareClient.deliveries(try await waiting.answer()).map(\.count) == [1])
    #expect(try await first.acknowledge(0...0, 1) == .shareSessionNotFound)
    second.connection.close()
    first.reconnect()
    #expect(try await first.fetchSome().map(\.count) == [2])
  }

  @Test func `a member that is fenced loses its session and what it holds`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    try await broker.produce(["a"], to: topic)
    let first = ShareClient("m1", of: topic, on: broker)
    #expect(try await first.fetchSome().count == 1)
    broker.broker.sharePartitions.release(group: "g", member: "m1")
    #expect(try await first.acknowledge(0...0, 1) == .shareSessionNotFound)
    #expect(try await ShareClient("m2", of: topic, on: broker).fetchSome().map(\.count) == [2])
  }

  @Test func `a fetch on a connection that closes takes nothing with it`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    let lost = ShareClient("m1", of: topic, on: broker)
    let fetch = try broker.begin(lost.fetchRequest(maxWaitMs: 30_000), on: lost.connection)
    lost.connection.close()
    #expect(fetch.isAnswered)
    try await broker.produce(["a"], to: topic)
    #expect(try await ShareClient("m2", of: topic, on: broker).fetchSome().map(\.count) == [1])
  }

  @Test func `requests have to continue their session`() async throws {
    let broker = try GroupBroker(["group.share.max.size": "2", "group.share.max.share.sessions": "2"])
    let topic = try await broker.makeSharedTopic()
    let member = ShareClient("m1", of: topic, on: broker)
    func code(_ epoch: Int32, of member: ShareClient, maxWaitMs: Int32 = 0) async throws -> ErrorCode {
      member.epoch = epoch
      let request = member.fetchRequest(maxWaitMs: maxWaitMs)
      return try await broker.send(request, on: member.connection).errorCode.code
    }
    #expect(try await code(1, of: member) == .shareSessionNotFound)
    #expect(try await code(-1, of: member) == .shareSessionNotFound)
    #expect(try await code(0, of: member) == .none)
    #expect(try await code(1, of: member) == .none)
    #expect(try await code(1, of: member) == .invalidShareSessionEpoch)
    #expect(try await code(0, of: ShareClient("m2", of: topic, on: broker)) == .none)
    let began = ContinuousClock.now
    let third = ShareClient("m3", of: topic, on: broker)
    #expect(try await code(0, of: third, maxWaitMs: 100) == .shareSessionLimitReached)
    #expect(ContinuousClock.now - began >= .milliseconds(100))
    #expect(try await code(0, of: ShareClient("", of: topic, on: broker)) == .invalidRequest)
    #expect(
      try await code(0, of: ShareClient(String(repeating: "m", count: 37), of: topic, on: broker)) == .invalidRequest)
    member.epoch = 0
    let acknowledging = member.fetchRequest(
      acknowledging: [.init(firstOffset: 0, lastOffset: 0, acknowledgeTypes: [1])])
    #expect(try await broker.send(acknowledging, on: member.connection).errorCode.code == .invalidRequest)
  }

  @Test func `a topic that is deleted ends the waiting`() async throws {
    let broker = try GroupBroker()
    let topic = try await broker.makeSharedTopic()
    let member = ShareClient("m1", of: topic, on: broker)
    let fetch = try waiting(member)
    try await eventually { broker.sharePartition(topic) != nil }
    try await broker.deleteTopic("jobs")
    let code = try await fetch.answer().responses[0].partitions[0].errorCode.code
    #expect(code == .unknownTopicOrPartition)
    #expect(broker.broker.sharePartitions.runtime("g", ShareTopicPartition(topicId: topic.id, partition: 0)) == nil)
  }
}
