// Consumers in groups against a real broker, while members come and go.

import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.everyTransport) struct GroupBrokerTests {
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

  /// Who reads what, by what the members were told: nobody may be given what another still has.
  private final class Owners: Sendable {
    private struct State {
      var owners: [TopicPartition: Int] = [:]
      var members = 0
      var conflicts: [String] = []
      var losses: [TopicPartition] = []
    }

    private let state = Mutex(State())

    /// What to call in a member's rebalances.
    func follow() -> @Sendable (RebalanceEvent) async -> Void {
      let member = state.withLock { state in
        state.members += 1
        return state.members
      }
      return { event in
        self.state.withLock { state in
          switch event {
          case .assigned(let partitions):
            for partition in partitions {
              if let owner = state.owners[partition] { state.conflicts.append("\(partition) is \(owner)'s") }
              state.owners[partition] = member
            }
          case .revoked(let partitions), .lost(let partitions):
            if case .lost = event { state.losses += partitions }
            for partition in partitions where state.owners[partition] == member { state.owners[partition] = nil }
          }
        }
      }
    }

    var conflicts: [String] { state.withLock { $0.conflicts } }
    var losses: [TopicPartition] { state.withLock { $0.losses } }
    var count: Int { state.withLock { $0.owners.count } }
  }

  private func configuration(_ cluster: TestCluster, _ groupProtocol: GroupProtocol) -> ConsumerConfiguration {
    var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
    configuration.groupProtocol = groupProtocol
    configuration.autoOffsetReset = .earliest
    configuration.heartbeatInterval = .milliseconds(50)
    // A machine that stands still for a while must not look like a member that is gone.
    configuration.sessionTimeout = .seconds(120)
    configuration.fetchMaxWait = .milliseconds(50)
    configuration.maxPartitionFetchBytes = 500
    return configuration
  }

  private func join(
    _ cluster: TestCluster, _ groupProtocol: GroupProtocol, topics: [String] = ["t"], owners: Owners? = nil
  ) async throws -> Consumer {
    var configuration = configuration(cluster, groupProtocol)
    if let owners { configuration.onRebalance = owners.follow() }
    let consumer = try await Consumer(configuration)
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

  @Test(arguments: GroupProtocol.allCases, [true, false])
  func `members that come and go miss nothing, and read no batch twice while none crashes`(
    groupProtocol: GroupProtocol, byRecord: Bool
  ) async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 6)
      let ledger = Ledger()
      let owners = Owners()
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
          let member = try await join(cluster, groupProtocol, owners: owners)
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
      #expect(owners.conflicts.isEmpty, "seed \(seed)")
      #expect(owners.losses.isEmpty, "seed \(seed)")
      #expect(owners.count == 0, "seed \(seed)")
      // A record may be on its way to the application just when its member is closed.
      #expect(ledger.count - total <= (byRecord ? closed : 0), "seed \(seed)")
    }
  }

  @Test(arguments: GroupProtocol.allCases)
  func `what a crashed member had is read by the others`(_ groupProtocol: GroupProtocol) async throws {
    try await TestCluster.run(["group.consumer.session.timeout.ms": "5000"]) { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 100, batches: 10)
      let ledger = Ledger()
      try await crash(cluster, groupProtocol, into: ledger)
      let survivor = try await join(cluster, groupProtocol)
      let task = Task { try await run(survivor, into: ledger, byRecord: true) }
      #expect(try await eventually { ledger.distinctCount == 100 })
      await survivor.close()
      try await task.value
      check(ledger, perPartition: [TopicPartition("t", 0): 100], "after a crash")
      #expect(ledger.count > 100)
    }
  }

  /// A member that reads a while and goes without a word: nothing is committed.
  private func crash(_ cluster: TestCluster, _ groupProtocol: GroupProtocol, into ledger: Ledger) async throws {
    var configuration = configuration(cluster, groupProtocol)
    configuration.sessionTimeout = .seconds(5)
    let member = try await Consumer(configuration)
    try await member.subscribe(to: ["t"])
    try await run(member, into: ledger, byRecord: true, limit: 30)
  }

  @Test(arguments: GroupProtocol.allCases)
  func `members share the partitions, and hear of what they gain and lose`(_ groupProtocol: GroupProtocol) async throws
  {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 4)
      let events = Mutex<[RebalanceEvent]>([])
      var configuration = configuration(cluster, groupProtocol)
      configuration.onRebalance = { event in events.withLock { $0.append(event) } }
      let first = try await Consumer(configuration)
      try await first.subscribe(to: ["t"])
      let reading = Task { try await readAll(first) }
      #expect(try await eventually { first.assignment.count == 4 })
      let second = try await join(cluster, groupProtocol)
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
      guard groupProtocol == .consumer else {
        #expect(seen.count == 6)
        return
      }
      // Only what has to move does.
      guard seen.count == 4, case .revoked(let given) = seen[1] else {
        Issue.record("\(seen)")
        return
      }
      #expect(given.count == 2)
      #expect(seen[2] == .assigned(given))
    }
  }

  @Test(arguments: GroupProtocol.allCases)
  func `a topic that is created after subscribing is read`(_ groupProtocol: GroupProtocol) async throws {
    try await TestCluster.run(["auto.create.topics.enable": "false"]) { cluster in
      let member = try await join(cluster, groupProtocol, topics: ["later"])
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

  @Test(arguments: GroupProtocol.allCases)
  func `partitions that are added are read`(_ groupProtocol: GroupProtocol) async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      var configuration = configuration(cluster, groupProtocol)
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

  @Test(arguments: GroupProtocol.allCases)
  func `a group goes on over lost connections and a restart of its coordinator`(
    _ groupProtocol: GroupProtocol
  ) async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 50)
      let member = try await join(cluster, groupProtocol)
      let ledger = Ledger()
      let task = Task { try await run(member, into: ledger, byRecord: true) }
      #expect(try await eventually { ledger.distinctCount == 50 })
      cluster.line.cut()
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

  @Test(arguments: GroupProtocol.allCases)
  func `a static member that comes back within its session keeps its partitions`(
    _ groupProtocol: GroupProtocol
  ) async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 10)
      var configuration = configuration(cluster, groupProtocol)
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

  @Test func `a group goes from the classic protocol to the consumer protocol and back while it reads`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 6)
      let ledger = Ledger()
      let owners = Owners()
      let admin = try await Admin(cluster.client)
      var members: [(Consumer, Task<Void, any Error>)] = []
      var written = 0
      for groupProtocol in [GroupProtocol.classic, .consumer, .classic] {
        // One after the other is replaced by a member of the next protocol.
        for place in 0..<3 {
          let member = try await join(cluster, groupProtocol, owners: owners)
          let added = (member, Task { try await run(member, into: ledger, byRecord: true) })
          if members.count < 3 {
            members.append(added)
          } else {
            let (old, task) = members[place]
            await old.close()
            try await task.value
            members[place] = added
          }
          let all = members.map(\.0)
          #expect(
            try await eventually {
              let parts = all.map(\.assignment)
              let partitions = parts.flatMap { $0 }
              return Set(partitions).count == 6 && partitions.count == 6 && parts.allSatisfy { !$0.isEmpty }
            })
          try await cluster.fill("t", 20)
          written += 20
          #expect(try await eventually { ledger.distinctCount == written })
        }
        let type = try #require(try await admin.describeGroups(["g"])["g"]).get().type
        #expect(type == (groupProtocol == .classic ? "Classic" : "Consumer"))
      }
      for (member, task) in members {
        await member.close()
        try await task.value
      }
      await admin.close()
      check(ledger, perPartition: [TopicPartition("t", 0): Int64(written)], "over three protocols")
      #expect(owners.conflicts.isEmpty)
    }
  }

  @Test func `all topics of a pattern are read, also those to come`() async throws {
    try await TestCluster.run { cluster in
      for topic in ["orders-a", "orders-b", "other"] {
        try await cluster.create(topic)
        try await cluster.fill(topic, 5)
      }
      let member = try await Consumer(configuration(cluster, .consumer))
      try await member.subscribe(matching: "orders-.*")
      let ledger = Ledger()
      let task = Task { try await run(member, into: ledger, byRecord: true) }
      #expect(try await eventually { ledger.distinctCount == 10 })
      try await cluster.create("orders-c")
      try await cluster.fill("orders-c", 5)
      #expect(try await eventually { ledger.distinctCount == 15 })
      #expect(Set(ledger.offsets.keys.map(\.topic)) == ["orders-a", "orders-b", "orders-c"])
      try await member.subscribe(to: ["other"])
      #expect(try await eventually { member.assignment == [TopicPartition("other", 0)] })
      await member.close()
      try await task.value
    }
  }

  @Test func `a pattern that is none, or not of this protocol, is an error`() async throws {
    try await TestCluster.run { cluster in
      let member = try await Consumer(configuration(cluster, .consumer))
      try await member.subscribe(matching: "(")
      let error = await #expect(throws: KafkaError.self) { try await readAll(member) }
      #expect(error?.brokerCode == .invalidRegularExpression)
      await member.close()
      let classic = try await Consumer(configuration(cluster, .classic))
      let refusal = await #expect(throws: KafkaError.self) { try await classic.subscribe(matching: "t.*") }
      #expect(refusal?.code == .invalidArgument)
      await classic.close()
    }
  }

  @Test func `a member that the group has no room for is told so`() async throws {
    try await TestCluster.run(["group.consumer.max.size": "1"]) { cluster in
      try await cluster.create("t", partitions: 2)
      let first = try await join(cluster, .consumer)
      #expect(try await eventually { first.assignment.count == 2 })
      let second = try await join(cluster, .consumer)
      let error = await #expect(throws: KafkaError.self) { try await readAll(second) }
      #expect(error?.brokerCode == .groupMaxSizeReached)
      await second.close()
      await first.close()
    }
  }

  @Test func `an application that is slower than maxPollInterval loses its partitions, and gets them back`()
    async throws
  {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 20, batches: 2)
      let events = Mutex<[RebalanceEvent]>([])
      var configuration = configuration(cluster, .consumer)
      configuration.maxPollInterval = .milliseconds(300)
      configuration.onRebalance = { event in events.withLock { $0.append(event) } }
      let member = try await Consumer(configuration)
      try await member.subscribe(to: ["t"])
      var batches = member.batches.makeAsyncIterator()
      let first = try #require(try await batches.next())
      let partition = TopicPartition("t", 0)
      #expect(try await eventually { events.withLock { $0.contains(.lost([partition])) } })
      // What it had was not done with when it was lost, so it comes again.
      let again = try #require(try await batches.next())
      #expect(again.baseOffset == first.baseOffset)
      // A slow machine may lose them once more.
      #expect(events.withLock { $0.prefix(3) } == [.assigned([partition]), .lost([partition]), .assigned([partition])])
      await member.close()
    }
  }
}
