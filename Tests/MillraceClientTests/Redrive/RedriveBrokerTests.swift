// Redrives against a real broker: what arrives, what stays, who may, and what a broken one leaves behind.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.serialized) struct RedriveBrokerTests {
  private static let settings = ["transaction.state.log.num.partitions": "1"]

  private func run(_ body: (TestCluster) async throws -> Void) async throws {
    try await TestCluster.run(Self.settings) { cluster in
      try await cluster.create("orders", partitions: 2)
      try await cluster.create("orders-dlt", partitions: 2)
      try await body(cluster)
    }
  }

  /// Writes letters `0`, `1`, … of `orders`, in both partitions in turn.
  private func letters(_ cluster: TestCluster, _ numbers: Range<Int>, replays: Int = 0) async throws {
    let producer = try await Producer(ProducerConfiguration(cluster.client))
    for number in numbers {
      var letter = DeadLetter(topic: "orders", partition: 0, offset: Int64(number))
      letter.exceptionClass = number % 3 == 0 ? "a" : "b"
      var headers = letter.headers
      if replays > 0 { headers.append(RecordHeader(key: "__dlq.replays", value: "\(replays)")) }
      try await producer.enqueue(
        ProducerRecord(
          topic: "orders-dlt", partition: Int32(number % 2), value: ByteBuffer(string: "\(number)"), headers: headers))
    }
    await producer.close()
  }

  private func arrived(_ cluster: TestCluster, _ topic: String = "orders") async throws -> [Int] {
    var configuration = ConsumerConfiguration(cluster.client)
    configuration.stopAtEnd = true
    configuration.isolation = .readCommitted
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: [topic], from: .earliest)
    var values: [Int] = []
    for try await record in consumer.records { values.append(Int(record.text) ?? -1) }
    await consumer.close()
    return values.sorted()
  }

  private func configuration(_ cluster: TestCluster) -> RedriveConfiguration {
    var configuration = RedriveConfiguration(cluster.client, topic: "orders-dlt")
    configuration.lockSessionTimeout = .seconds(15)
    return configuration
  }

  private func withAdmin<Value>(_ cluster: TestCluster, _ body: (Admin) async throws -> Value) async throws -> Value {
    let admin = try await Admin(cluster.client)
    let value = try await body(admin)
    await admin.close()
    return value
  }

  @Test(arguments: [true, false])
  func `letters arrive once, and a second redrive finds none`(_ isTransactional: Bool) async throws {
    try await run { cluster in
      try await letters(cluster, 0..<2500)
      var configuration = configuration(cluster)
      configuration.isTransactional = isTransactional
      let progress = Mutex<[RedriveProgress]>([])
      configuration.onProgress = { step in progress.withLock { $0.append(step) } }
      let summary = try await Redrive(configuration).run()
      #expect(summary.counts == [.redriven: 2500] && summary.targets == ["orders": 2500])
      #expect(try await arrived(cluster) == Array(0..<2500))
      let steps = progress.withLock { $0 }
      #expect(steps.last?.passed == 2500 && steps.last?.total == 2500 && steps.last?.summary == summary)
      #expect(try await Redrive(configuration).run().total == 0)
      try await letters(cluster, 2500..<2600)
      #expect(try await Redrive(configuration).run().total == 100)
      #expect(try await arrived(cluster) == Array(0..<2600))
      let status = try await withAdmin(cluster) { try await $0.redriveStatus(of: "orders-dlt") }
      #expect(status.left == 0 && status.passed == 2600 && status.members.isEmpty)
      #expect(try await withAdmin(cluster) { try await $0.redrivenTopics() } == ["orders-dlt"])
    }
  }

  @Test func `a plan changes nothing, not even a group`() async throws {
    try await run { cluster in
      try await letters(cluster, 0..<100)
      var configuration = configuration(cluster)
      configuration.filter.exceptionClass = "a"
      let before = try await withAdmin(cluster) { try await $0.listTopics(includeInternal: true).map(\.name) }
      let plan = try await Redrive(configuration).plan()
      #expect(plan[.redriven] == 34 && plan[.filtered] == 66)
      #expect(try await arrived(cluster).isEmpty)
      try await withAdmin(cluster) { admin in
        #expect(try await admin.listGroups().isEmpty)
        #expect(try await admin.listTransactions().isEmpty)
        // Looking for the group's offsets may have made the topic that they would be in.
        let after = try await admin.listTopics(includeInternal: true).map(\.name)
        #expect(Set(after).subtracting(before).isSubset(of: ["__consumer_offsets"]))
      }
      let done = try await Redrive(configuration).run()
      #expect(done == plan)
    }
  }

  @Test func `letters that do not fit are passed, and found again from the beginning`() async throws {
    try await run { cluster in
      try await letters(cluster, 0..<90)
      var configuration = configuration(cluster)
      configuration.filter.exceptionClass = "a"
      #expect(try await Redrive(configuration).run().counts == [.redriven: 30, .filtered: 60])
      configuration.filter.exceptionClass = "b"
      #expect(try await Redrive(configuration).run().total == 0)
      configuration.restarts = true
      #expect(try await Redrive(configuration).run().counts == [.redriven: 60, .filtered: 30])
      #expect(try await arrived(cluster) == Array(0..<90))
    }
  }

  @Test func `what came back too often stays, as does what has nowhere to go`() async throws {
    try await run { cluster in
      try await letters(cluster, 0..<10, replays: 3)
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      _ = try await producer.send(ProducerRecord(topic: "orders-dlt", value: "no letter"))
      _ = try await producer.send(
        ProducerRecord(
          topic: "orders-dlt", value: "x", headers: DeadLetter(topic: "gone", partition: 0, offset: 0).headers))
      await producer.close()
      let summary = try await Redrive(configuration(cluster)).run()
      #expect(summary.counts == [.replayedTooOften: 10, .withoutSource: 1, .sourceMissing: 1])
      #expect(try await arrived(cluster).isEmpty)
      #expect(try await withAdmin(cluster) { try await $0.listTopics().map(\.name) } == ["orders", "orders-dlt"])
    }
  }

  @Test func `one redrive of a topic runs at a time, and can be cancelled and gone on with`() async throws {
    try await run { cluster in
      try await letters(cluster, 0..<200)
      var slow = configuration(cluster)
      slow.client.clientId = "the-first"
      // Whatever the second one takes to give up, the first one is not done by then.
      slow.rate = 1
      let passed = Mutex<Int64>(0)
      slow.onProgress = { progress in passed.withLock { $0 = progress.passed } }
      let first = Task { [slow] in try await Redrive(slow).run() }
      #expect(try await eventually(within: .seconds(120)) { passed.withLock { $0 } > 0 })
      do {
        _ = try await Redrive(configuration(cluster)).run()
        Issue.record("a second one began")
      } catch let failure as RedriveFailure {
        #expect("\(failure)".contains("the-first"))
      }
      let cancelled = try await withAdmin(cluster) { try await $0.cancelRedrive(of: "orders-dlt") }
      #expect(cancelled.map(\.clientId) == ["the-first"])
      let result = await first.result
      #expect(throws: RedriveFailure.self) { try result.get() }
      let before = try await arrived(cluster).count
      #expect(before > 0 && before < 200)
      let rest = try await Redrive(configuration(cluster)).run()
      #expect(rest[.redriven] == 200 - before)
      #expect(try await arrived(cluster) == Array(0..<200))
    }
  }

  @Test func `a letter that the topic does not take stops the redrive before it, by name`() async throws {
    try await run { cluster in
      try await letters(cluster, 0..<20)
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      _ = try await producer.send(
        ProducerRecord(
          topic: "orders-dlt", partition: 0, value: ByteBuffer(repeating: 0x31, count: 5000),
          headers: DeadLetter(topic: "orders", partition: 0, offset: 0).headers))
      await producer.close()
      try await letters(cluster, 20..<30)
      try await withAdmin(cluster) { admin in
        _ = try await admin.alterConfigs([.topic("orders"): [.set("max.message.bytes", "1000")]])
        do {
          _ = try await Redrive(configuration(cluster)).run()
          Issue.record("it was taken")
        } catch let failure as RedriveFailure {
          #expect("\(failure)".contains("orders-dlt-0@10"))
        }
        let status = try await admin.redriveStatus(of: "orders-dlt")
        #expect(status.partitions.first?.position == 10)
        _ = try await admin.alterConfigs([.topic("orders"): [.set("max.message.bytes", "100000")]])
      }
      _ = try await Redrive(configuration(cluster)).run()
      #expect(try await arrived(cluster).filter { $0 >= 0 && $0 < 30 } == Array(0..<30))
      #expect(try await arrived(cluster).count == 31)
    }
  }

  @Test func `over connections that break and a broker that restarts each letter arrives once`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    try await run { cluster in
      try await letters(cluster, 0..<3000)
      var configuration = configuration(cluster)
      configuration.rate = 1500
      let redrive = Task { [configuration] in try await Redrive(configuration).run() }
      for round in 0..<4 {
        try await Task.sleep(for: .milliseconds(Int64.random(in: 100...400, using: &generator)))
        if round == 2 { try await cluster.restart() } else { cluster.line.cut() }
      }
      var total = 0
      if case .success(let summary) = await redrive.result { total = summary.total }
      // The membership may have been lost over it: then somebody begins again.
      if total < 3000 { _ = try await Redrive(configuration).run() }
      #expect(try await arrived(cluster) == Array(0..<3000), "seed \(seed)")
    }
  }
}
