// Members of share groups against a real broker.

import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct ShareBrokerTests {
  private static let settings = [
    // A machine that stands still for a while must not look like a member that is gone.
    "group.share.session.timeout.ms": "60000",
    "group.share.min.heartbeat.interval.ms": "50", "group.share.heartbeat.interval.ms": "50",
    "group.share.min.record.lock.duration.ms": "1000", "group.share.max.record.lock.duration.ms": "3600000",
  ]

  /// What the members of a group accepted.
  private final class Ledger: Sendable {
    private let accepted = Mutex<[Int64: Int]>([:])

    func accept(_ offset: Int64) { accepted.withLock { $0[offset, default: 0] += 1 } }
    var count: Int { accepted.withLock { $0.count } }
    var repeated: [Int64] { accepted.withLock { $0.filter { $0.value > 1 }.keys.sorted() } }
  }

  private func configuration(
    _ cluster: TestCluster, _ mode: AcknowledgementMode = .implicit
  ) -> ShareConsumerConfiguration {
    var configuration = ShareConsumerConfiguration(cluster.client, groupId: "s")
    configuration.acknowledgementMode = mode
    configuration.fetchMaxWait = .milliseconds(50)
    configuration.acknowledgementInterval = .milliseconds(50)
    return configuration
  }

  private func join(_ configuration: ShareConsumerConfiguration, _ topic: String = "t") async throws -> ShareConsumer {
    let consumer = try await ShareConsumer(configuration)
    try await consumer.subscribe(to: [topic])
    return consumer
  }

  private func succeed<Key>(_ results: [Key: Result<Void, KafkaError>]) throws {
    for result in results.values { try result.get() }
  }

  /// A broker with a topic `t`, and a group `s` that reads it from its beginning.
  private func run(
    partitions: Int32 = 1, lock: String = "3600000", _ body: (TestCluster) async throws -> Void
  ) async throws {
    try await TestCluster.run(Self.settings) { cluster in
      try await cluster.create("t", partitions: partitions)
      let admin = try await Admin(cluster.client)
      let results = try await admin.alterConfigs([
        .group("s"): [.set("share.auto.offset.reset", "earliest"), .set("share.record.lock.duration.ms", lock)]
      ])
      await admin.close()
      try #require(results[.group("s")]).get()
      try await body(cluster)
    }
  }

  @Test func `what is asked behind is accepted, and delivered to nobody again`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 20, batches: 4)
      let first = try await join(configuration(cluster))
      var read: [String] = []
      for try await record in first.records {
        read.append(record.record.text)
        #expect(record.deliveryCount == 1)
        if read.count == 10 { break }
      }
      let results = try await first.commit()
      try #require(results[TopicPartition("t", 0)]).get()
      await first.close()
      let second = try await join(configuration(cluster))
      for try await record in second.records {
        read.append(record.record.text)
        if read.count == 20 { break }
      }
      await second.close()
      #expect(Set(read).count == 20)
    }
  }

  @Test func `what is released is delivered again, what is rejected is not`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 3)
      let consumer = try await join(configuration(cluster, .explicit))
      var deliveries: [[Int]] = []
      for try await record in consumer.records {
        deliveries.append([Int(record.offset), record.deliveryCount])
        switch record.offset {
        case 0: try consumer.acknowledge(record, .reject)
        case 1 where record.deliveryCount < 3: try consumer.acknowledge(record, .release)
        default: try consumer.acknowledge(record)
        }
        if record.offset == 1, record.deliveryCount == 3 { break }
      }
      try await succeed(consumer.commit())
      await consumer.close()
      #expect(deliveries.filter { $0[0] == 1 } == [[1, 1], [1, 2], [1, 3]])
      #expect(deliveries.filter { $0[0] == 0 } == [[0, 1]])
      let admin = try await Admin(cluster.client)
      #expect(
        try await eventually {
          try await admin.shareGroupOffsets("s")[TopicPartition("t", 0)]?.get().startOffset == 3
        })
      await admin.close()
    }
  }

  /// A lock would keep it for an hour.
  @Test(.timeLimit(.minutes(10)))
  func `what a member has when it closes is there for others at once`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 10)
      let first = try await join(configuration(cluster, .explicit))
      for try await _ in first.records { break }
      await first.close()
      let second = try await join(configuration(cluster))
      var count = 0
      for try await _ in second.records {
        count += 1
        if count == 10 { break }
      }
      await second.close()
    }
  }

  @Test func `what is in flight is told with its state and how often it was delivered`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 3)
      let consumer = try await join(configuration(cluster, .explicit))
      var records = consumer.records.makeAsyncIterator()
      for type in [Acknowledgement.release, .accept, .release] {
        try consumer.acknowledge(try #require(try await records.next()), type)
      }
      try await succeed(consumer.commit())
      await consumer.close()
      let admin = try await Admin(cluster.client)
      let found = try #require(try await admin.shareGroupRecords("s")[TopicPartition("t", 0)]).get()
      #expect(found.map(\.offsets) == [0...0, 1...1, 2...2])
      #expect(found.map(\.state) == [.available, .acknowledged, .available])
      #expect(found.map(\.deliveryCount).allSatisfy { $0 >= 1 })
      await admin.close()
    }
  }

  @Test func `a lock that runs out delivers again, and the late word is an error`() async throws {
    try await run(lock: "5000") { cluster in
      try await cluster.fill("t", 1)
      let consumer = try await join(configuration(cluster, .explicit))
      var records = consumer.records.makeAsyncIterator()
      let first = try #require(try await records.next())
      var again = try #require(try await records.next())
      #expect(first.deliveryCount < again.deliveryCount)
      #expect(throws: KafkaError.self) { try consumer.acknowledge(first) }
      // On a slow machine the lock may run out once more.
      while (try? consumer.acknowledge(again)) == nil { again = try #require(try await records.next()) }
      await consumer.close()
    }
  }

  @Test func `a lock that is renewed outlasts the application's work`() async throws {
    try await run(lock: "8000") { cluster in
      try await cluster.fill("t", 1)
      var configuration = configuration(cluster, .explicit)
      configuration.renewsLocks = true
      let consumer = try await join(configuration)
      var records = consumer.records.makeAsyncIterator()
      var record = try #require(try await records.next())
      try await Task.sleep(for: .seconds(10))
      // A machine that stands still for seconds loses a lock all the same. Without renewal each one would be lost.
      while (try? consumer.acknowledge(record)) == nil {
        try #require(record.deliveryCount < 4)
        record = try #require(try await records.next())
        try await Task.sleep(for: .seconds(10))
      }
      try await succeed(consumer.commit())
      await consumer.close()
    }
  }

  @Test func `members that come and go accept every record once`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    try await run(partitions: 2) { cluster in
      let total = 1000
      try await cluster.fill("t", total, batches: 40)
      let ledger = Ledger()
      var generator = SplitMix64(seed: seed)
      var members: [(ShareConsumer, Task<Void, any Error>)] = []
      while ledger.count < total {
        if members.count < 2 || (members.count < 5 && Bool.random(using: &generator)) {
          var configuration = configuration(cluster, .explicit)
          configuration.maxRecords = 20
          // Only what the broker has taken is accepted.
          configuration.onAcknowledged = { report in
            guard report.error == nil else { return }
            for (offset, type) in report.acknowledgements where type == .accept { ledger.accept(offset) }
          }
          let member = try await join(configuration)
          let task = Task {
            for try await record in member.records {
              try await Task.sleep(for: .milliseconds(1))
              try member.acknowledge(record, record.deliveryCount == 1 && record.offset % 7 == 0 ? .release : .accept)
            }
          }
          members.append((member, task))
        } else {
          let (member, task) = members.remove(at: Int.random(in: 0..<members.count, using: &generator))
          await member.close()
          // Closing takes records from it that it was about to acknowledge.
          _ = await task.result
        }
        try await Task.sleep(for: .milliseconds(Int.random(in: 20...200, using: &generator)))
      }
      for (member, task) in members {
        await member.close()
        _ = await task.result
      }
      #expect(ledger.repeated.isEmpty, "seed \(seed)")
    }
  }

  @Test func `a group goes on over lost connections and a restart of the broker`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 50)
      let consumer = try await join(configuration(cluster))
      let seen = Mutex<Set<Int64>>([])
      let task = Task {
        for try await record in consumer.records { seen.withLock { _ = $0.insert(record.offset) } }
      }
      #expect(try await eventually { seen.withLock { $0.count } == 50 })
      cluster.line.cut()
      try await cluster.restart()
      try await cluster.fill("t", 50)
      #expect(try await eventually { seen.withLock { $0.count } == 100 })
      await consumer.close()
      try await task.value
    }
  }

  @Test func `cancelling the loop leaves nothing behind, and closing twice does no harm`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 1)
      let consumer = try await join(configuration(cluster))
      let task = Task { for try await _ in consumer.records {} }
      try await Task.sleep(for: .milliseconds(200))
      task.cancel()
      let error = await #expect(throws: KafkaError.self) { try await task.value }
      #expect(error?.code == .cancelled)
      await consumer.close()
      await consumer.close()
      var records = consumer.records.makeAsyncIterator()
      #expect(try await records.next() == nil)
      await #expect(throws: KafkaError.self) { try await consumer.commit() }
    }
  }

  @Test func `share groups are listed, described, moved and deleted`() async throws {
    try await run { cluster in
      try await cluster.fill("t", 10)
      let partition = TopicPartition("t", 0)
      let consumer = try await join(configuration(cluster))
      let admin = try await Admin(cluster.client)
      let task = Task { for try await _ in consumer.records {} }
      #expect(
        try await eventually { (try? await admin.shareGroupOffsets("s")[partition]?.get().startOffset) == 10 })
      let group = try #require(try await admin.describeGroups(["s"])["s"]).get()
      #expect(group.type == "Share" && group.state == "Stable")
      #expect(group.members.map(\.assignment) == [[partition]])
      #expect(group.members.compactMap(\.epoch).allSatisfy { $0 > 0 })
      #expect(try await admin.listGroups(types: ["share"]).map(\.groupId) == ["s"])
      await consumer.close()
      try await task.value
      try await succeed(admin.alterShareGroupOffsets("s", [partition: 4]))
      let offset = try #require(try await admin.shareGroupOffsets("s")[partition]).get()
      #expect(offset.startOffset == 4)
      try await succeed(admin.deleteShareGroupOffsets("s", topics: ["t"]))
      #expect(try await admin.shareGroupOffsets("s").isEmpty)
      try await succeed(admin.deleteGroups(["s"]))
      #expect(try await admin.listGroups().isEmpty)
      await admin.close()
    }
  }
}
