// Consumers in groups against a real broker, while members come and go.

import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite struct GroupBrokerTests {
  /// What the members of a group were handed, in the order in which each got it.
  private final class Ledger: Sendable {
    private struct State {
      var offsets: [TopicPartition: [Int64]] = [:]
      var disorder: [String] = []
    }

    private let state = Mutex(State())

    func take(_ records: [(TopicPartition, Int64)]) {
      state.withLock { state in
        for (partition, offset) in records { state.offsets[partition, default: []].append(offset) }
      }
    }

    func complain(_ what: String) { state.withLock { $0.disorder.append(what) } }
    var disorder: [String] { state.withLock { $0.disorder } }
    var offsets: [TopicPartition: [Int64]] { state.withLock { $0.offsets } }
    var distinctCount: Int { state.withLock { $0.offsets.values.reduce(0) { $0 + Set($1).count } } }
    var count: Int { state.withLock { $0.offsets.values.reduce(0) { $0 + $1.count } } }
  }

  private func configuration(_ cluster: TestCluster) -> ConsumerConfiguration {
    var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
    configuration.autoOffsetReset = .earliest
    configuration.heartbeatInterval = .milliseconds(50)
    configuration.sessionTimeout = .seconds(1)
    configuration.fetchMaxWait = .milliseconds(50)
    configuration.maxPartitionFetchBytes = 500
    return configuration
  }

  private func join(_ cluster: TestCluster, topics: [String] = ["t"]) async throws -> Consumer {
    let consumer = try await Consumer(configuration(cluster))
    try await consumer.subscribe(to: topics)
    return consumer
  }

  /// Reads until the member is closed, or for so many records. Between two assignments of a partition its offsets rise
  /// one by one.
  private func run(_ consumer: Consumer, into ledger: Ledger, byRecord: Bool, limit: Int = .max) async throws {
    var last: [TopicPartition: Int64] = [:]
    var count = 0
    func note(_ partition: TopicPartition, _ offset: Int64) {
      // Going back is reading again after somebody crashed; leaving out is never right.
      if let before = last[partition], offset > before + 1, !ledger.offsets[partition, default: []].contains(offset - 1)
      {
        ledger.complain("\(partition): \(offset) came after \(before)")
      }
      last[partition] = offset
      count += 1
      ledger.take([(partition, offset)])
    }
    if byRecord {
      for try await record in consumer.records {
        note(record.topicPartition, record.offset)
        if count >= limit { return }
      }
    } else {
      for try await batch in consumer.batches {
        for record in batch { note(record.topicPartition, record.offset) }
        if count >= limit { return }
      }
    }
  }

  private func check(_ ledger: Ledger, perPartition counts: [TopicPartition: Int64], _ note: String) {
    #expect(ledger.disorder.isEmpty, "\(note)")
    for (partition, count) in counts {
      #expect(Set(ledger.offsets[partition] ?? []) == Set(0..<count), "\(note): \(partition)")
    }
  }

  @Test(arguments: [true, false])
  func `members that come and go miss nothing, and read no batch twice while none crashes`(
    byRecord: Bool
  ) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 6)
      let ledger = Ledger()
      let total = 1200
      let producing = Task {
        let producer = try await Producer(ProducerConfiguration(cluster.client))
        for number in 0..<total {
          try await producer.enqueue(
            ProducerRecord(topic: "t", partition: Int32(number % 6), value: ByteBuffer(string: "\(number)")))
          if number % 10 == 0 { try await Task.sleep(for: .milliseconds(10)) }
        }
        await producer.close()
      }
      var generator = SplitMix64(seed: seed)
      var closed = 0
      var members: [(Consumer, Task<Void, any Error>)] = []
      for _ in 0..<10 {
        if members.count < 2 || (members.count < 4 && Bool.random(using: &generator)) {
          let member = try await join(cluster)
          members.append((member, Task { try await run(member, into: ledger, byRecord: byRecord) }))
        } else {
          let (member, task) = members.remove(at: Int.random(in: 0..<members.count, using: &generator))
          await member.close()
          try await task.value
          closed += 1
        }
        try await Task.sleep(for: .milliseconds(Int.random(in: 20...200, using: &generator)))
      }
      try await producing.value
      #expect(try await eventually { ledger.distinctCount == total }, "seed \(seed)")
      for (member, task) in members {
        await member.close()
        try await task.value
      }
      let counts = Dictionary(uniqueKeysWithValues: (0..<6).map { (TopicPartition("t", $0), Int64(total / 6)) })
      check(ledger, perPartition: counts, "seed \(seed)")
      // A record may be on its way to the application just when its member is closed.
      #expect(ledger.count - total <= (byRecord ? closed : 0), "seed \(seed)")
    }
  }

  @Test func `what a crashed member had is read by the others`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 100, batches: 10)
      let ledger = Ledger()
      try await crash(cluster, into: ledger)
      let survivor = try await join(cluster)
      let task = Task { try await run(survivor, into: ledger, byRecord: true) }
      #expect(try await eventually { ledger.distinctCount == 100 })
      await survivor.close()
      try await task.value
      check(ledger, perPartition: [TopicPartition("t", 0): 100], "after a crash")
      #expect(ledger.count > 100)
    }
  }

  /// A member that reads a while and goes without a word: nothing is committed.
  private func crash(_ cluster: TestCluster, into ledger: Ledger) async throws {
    let member = try await join(cluster)
    try await run(member, into: ledger, byRecord: true, limit: 30)
  }

  @Test func `members share the partitions, and hear of what they gain and lose`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 4)
      let events = Mutex<[RebalanceEvent]>([])
      var configuration = configuration(cluster)
      configuration.onRebalance = { event in events.withLock { $0.append(event) } }
      let first = try await Consumer(configuration)
      try await first.subscribe(to: ["t"])
      let reading = Task { try await readAll(first) }
      #expect(try await eventually { first.assignment.count == 4 })
      let second = try await join(cluster)
      let readingToo = Task { try await readAll(second) }
      #expect(try await eventually { first.assignment.count == 2 && second.assignment.count == 2 })
      #expect(Set(first.assignment).isDisjoint(with: second.assignment))
      await second.close()
      try await readingToo.value
      #expect(try await eventually { first.assignment.count == 4 })
      await first.close()
      try await reading.value
      let all = (0..<4).map { TopicPartition("t", $0) }
      let seen = events.withLock { $0 }
      #expect(seen.first == .assigned(all))
      #expect(seen.last == .revoked(all))
      #expect(seen.filter { if case .lost = $0 { true } else { false } }.isEmpty)
      #expect(seen.count == 6)
    }
  }

  @Test func `a topic that is created after subscribing is read`() async throws {
    try await TestCluster.run(["auto.create.topics.enable": "false"]) { cluster in
      let member = try await join(cluster, topics: ["later"])
      let ledger = Ledger()
      let task = Task { try await run(member, into: ledger, byRecord: true) }
      let admin = try await Admin(cluster.client)
      #expect(try await eventually { try await admin.listGroups(states: ["Stable"]).map(\.groupId) == ["g"] })
      await admin.close()
      try await cluster.create("later")
      try await cluster.fill("later", 10)
      #expect(try await eventually { ledger.distinctCount == 10 })
      await member.close()
      try await task.value
    }
  }

  @Test func `partitions that are added are read`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      var configuration = configuration(cluster)
      configuration.client.metadataMaxAge = .milliseconds(200)
      let member = try await Consumer(configuration)
      try await member.subscribe(to: ["t"])
      let ledger = Ledger()
      let task = Task { try await run(member, into: ledger, byRecord: true) }
      #expect(try await eventually { member.assignment.count == 1 })
      let admin = try await Admin(cluster.client)
      _ = try #require(try await admin.createPartitions(["t": 3])["t"]).get()
      await admin.close()
      #expect(try await eventually { member.assignment.count == 3 })
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      for partition in Int32(0)..<3 {
        _ = try await producer.send(ProducerRecord(topic: "t", partition: partition, value: ByteBuffer(string: "v")))
      }
      await producer.close()
      #expect(try await eventually { ledger.distinctCount == 3 })
      await member.close()
      try await task.value
    }
  }

  @Test func `a group goes on over lost connections and a restart of its coordinator`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 50)
      var configuration = configuration(cluster)
      configuration.sessionTimeout = .seconds(10)
      let member = try await Consumer(configuration)
      try await member.subscribe(to: ["t"])
      let ledger = Ledger()
      let task = Task { try await run(member, into: ledger, byRecord: true) }
      #expect(try await eventually { ledger.distinctCount == 50 })
      cluster.proxy.cut()
      try await cluster.restart()
      try await cluster.fill("t", 50)
      #expect(try await eventually { ledger.distinctCount == 100 })
      await member.close()
      try await task.value
      let admin = try await Admin(cluster.client)
      #expect(try await admin.groupOffsets("g")[TopicPartition("t", 0)]?.offset == 100)
      await admin.close()
    }
  }

  @Test func `a static member that comes back within its session keeps its partitions`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 10)
      var configuration = configuration(cluster)
      configuration.sessionTimeout = .seconds(10)
      configuration.groupInstanceId = "one"
      for round in 0..<2 {
        let member = try await Consumer(configuration)
        try await member.subscribe(to: ["t"])
        let reading = Task { try await readAll(member) }
        #expect(try await eventually { member.assignment.count == 2 })
        let admin = try await Admin(cluster.client)
        let group = try #require(try await admin.describeGroups(["g"])["g"]).get()
        #expect(group.members.map(\.groupInstanceId) == ["one"], "round \(round)")
        await admin.close()
        await member.close()
        try await reading.value
      }
    }
  }
}
