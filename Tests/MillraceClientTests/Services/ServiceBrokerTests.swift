// Clients as services: what a graceful shutdown brings to its end, and that whoever comes next goes on exactly there.

import Logging
import NIOCore
import ServiceLifecycle
import ServiceLifecycleTestKit
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.everyTransport, .timeLimit(.minutes(10))) struct ServiceBrokerTests {
  /// How often each value was processed.
  private final class Tally: Sendable {
    private let counts = Mutex<[String: Int]>([:])

    func note(_ value: String) { counts.withLock { $0[value, default: 0] += 1 } }
    var count: Int { counts.withLock { $0.count } }
    var repeated: [String: Int] { counts.withLock { $0.filter { $0.value > 1 } } }
  }

  private static let quiet = Logger(label: "services", factory: { _ in SwiftLogNoOpLogHandler() })

  private func consumer(_ cluster: TestCluster, _ groupProtocol: GroupProtocol = .classic) -> ConsumerConfiguration {
    var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
    configuration.client.requestTimeout = .seconds(60)
    configuration.groupProtocol = groupProtocol
    configuration.autoOffsetReset = .earliest
    configuration.heartbeatInterval = .milliseconds(100)
    // Nobody is to be taken for dead on a machine that is busy.
    configuration.sessionTimeout = .seconds(120)
    configuration.fetchMaxWait = .milliseconds(50)
    return configuration
  }

  /// Runs services until `isDone`, and shuts them down gracefully.
  private func run(_ services: [any Service], until isDone: () async throws -> Bool) async throws {
    let group = ServiceGroup(services: services, logger: Self.quiet)
    let running = Task { try await group.run() }
    let wasDone = try await eventually(within: .seconds(240), isDone)
    await group.triggerGracefulShutdown()
    try await running.value
    #expect(wasDone)
  }

  private func committed(_ cluster: TestCluster) async throws -> Int64 {
    let admin = try await Admin(cluster.client)
    let offsets = try await admin.groupOffsets("g")
    await admin.close()
    return offsets.values.reduce(0) { $0 + $1.offset }
  }

  // MARK: Under load

  @Test(arguments: GroupProtocol.allCases)
  func `no record is processed twice, however often the service is shut down`(_ kind: GroupProtocol) async throws {
    let total = 3000
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 4)
      let load = Task {
        let producer = try await Producer(ProducerConfiguration(cluster.client))
        for number in 0..<total {
          try await producer.enqueue(ProducerRecord(topic: "t", key: "\(number)", value: "\(number)"))
          // It goes on while services come and go.
          if number % 10 == 0 { try await Task.sleep(for: .milliseconds(1)) }
        }
        await producer.close()
      }
      var configuration = WorkerConfiguration(consumer(cluster, kind))
      configuration.concurrency = 4
      configuration.grace = .seconds(240)
      let tally = Tally()
      var shutdowns = 0
      while tally.count < total {
        let worker = RecordWorker(configuration).service(["t"]) { delivery in
          if delivery.record.offset % 7 == 0 { try await Task.sleep(for: .milliseconds(1)) }
          tally.note(delivery.record.text)
        }
        let before = tally.count
        try await run([worker]) { tally.count >= min(total, before + 250) }
        #expect(tally.repeated.isEmpty, "after \(shutdowns) shutdowns")
        #expect(try await committed(cluster) == Int64(tally.count), "what was processed is committed, and no more")
        #expect(try await eventually(within: .seconds(240)) { try await members(cluster) == 0 })
        shutdowns += 1
      }
      try await load.value
      #expect(tally.count == total)
      #expect(shutdowns > 0)
    }
  }

  private func members(_ cluster: TestCluster) async throws -> Int {
    let admin = try await Admin(cluster.client)
    let group = try await admin.describeGroups(["g"])["g"]
    await admin.close()
    return try #require(group).get().members.count
  }

  @Test(arguments: [true, false])
  func `a consumer's own loop stops between two records, and the next one goes on there`(
    _ commitsPeriodically: Bool
  ) async throws {
    let total = 600
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", total, batches: 3)
      let tally = Tally()
      while tally.count < total {
        var configuration = consumer(cluster)
        configuration.autoCommitInterval = commitsPeriodically ? .seconds(3600) : nil
        let consumer = try await Consumer(configuration)
        let reading = ClosureService {
          try await consumer.subscribe(to: ["t"])
          for try await record in consumer.records.cancelOnGracefulShutdown() {
            tally.note(record.text)
            await Task.yield()
            if !commitsPeriodically { try await consumer.commit(record) }
          }
        }
        let before = tally.count
        try await run([consumer, reading]) { tally.count >= min(total, before + 100) }
        #expect(tally.repeated.isEmpty)
        #expect(try await committed(cluster) == Int64(tally.count))
      }
      #expect(tally.count == total)
    }
  }

  @Test(arguments: [0, 10])
  func `a loop over batches that come together ends with its service, and has what came`(_ count: Int) async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      if count > 0 { try await cluster.fill("t", count, batches: 2) }
      var configuration = consumer(cluster)
      configuration.autoCommitInterval = nil
      let consumer = try await Consumer(configuration)
      let tally = Tally()
      let reading = ClosureService {
        try await consumer.subscribe(to: ["t"])
        // Waits for more until the shutdown.
        while case let batches = try await consumer.nextBatches(upTo: 1000, linger: .seconds(3600)), !batches.isEmpty {
          for record in batches.joined() { tally.note(record.text) }
          try await consumer.commit()
        }
      }
      try await run([consumer, reading]) { consumer.position(of: TopicPartition("t", 0)) == Int64(count) }
      #expect(tally.count == count && tally.repeated.isEmpty)
      #expect(try await committed(cluster) == Int64(count))
    }
  }

  // MARK: One by one

  @Test func `a consumer waits for the application to come back from its batch`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 10)
      let consumer = try await Consumer(consumer(cluster))
      try await consumer.subscribe(to: ["t"])
      var batches = consumer.batches.makeAsyncIterator()
      #expect(try await batches.next()?.recordCount == 10)
      try await testGracefulShutdown { trigger in
        let service = Task { try await consumer.run() }
        trigger.triggerGracefulShutdown()
        // It has the batch still in its hands, and may commit.
        try await Task.sleep(for: .milliseconds(50))
        try await consumer.commit()
        #expect(try await batches.next() == nil)
        try await service.value
      }
      #expect(try await committed(cluster) == 10)
      #expect(try await eventually(within: .seconds(60)) { cluster.connectionCount == 0 })
    }
  }

  @Test func `a producer sends what is left`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      var configuration = ProducerConfiguration(cluster.client)
      configuration.linger = .seconds(3600)
      let producer = try await Producer(configuration)
      for number in 0..<100 {
        try await producer.enqueue(ProducerRecord(topic: "t", partition: 0, value: ByteBuffer(string: "\(number)")))
      }
      try await run([producer]) { true }
      #expect(try await cluster.values(of: "t") == (0..<100).map { "\($0)" })
    }
  }

  @Test func `an open transaction comes to its end, and none begins after it`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      let producer = try await TransactionalProducer(ProducerConfiguration(cluster.client), transactionalId: "tx")
      let isOpen = Deferred<Void>()
      let isToEnd = Deferred<Void>()
      let open = Task {
        try await producer.withTransaction { transaction in
          try await transaction.send(ProducerRecord(topic: "t", value: "in time"))
          isOpen.fulfil(.success(()))
          try await isToEnd.value()
        }
      }
      try await isOpen.value()
      try await testGracefulShutdown { trigger in
        let service = Task { try await producer.run() }
        trigger.triggerGracefulShutdown()
        let error = try await failure { try await producer.withTransaction { _ in } }
        // One is open, or none may begin any more.
        #expect(error?.code == .invalidArgument || error?.code == .closed)
        isToEnd.fulfil(.success(()))
        try await open.value
        try await service.value
      }
      let error = try await failure { try await producer.withTransaction { _ in } }
      #expect(error?.code == .closed)
      #expect(try await cluster.values(of: "t") == ["in time"])
    }
  }

  private func failure(_ body: () async throws -> Void) async throws -> KafkaError? {
    do {
      try await body()
      return nil
    } catch let error as KafkaError {
      return error
    }
  }

  @Test func `a share consumer's loop accepts what it had, and gives the rest back`() async throws {
    let settings = [
      "group.share.record.lock.duration.ms": "60000", "group.share.min.session.timeout.ms": "100",
      "group.share.session.timeout.ms": "60000",
      "group.share.min.heartbeat.interval.ms": "50", "group.share.heartbeat.interval.ms": "50",
    ]
    try await TestCluster.run(settings) { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 50)
      let admin = try await Admin(cluster.client)
      let results = try await admin.alterConfigs([.group("s"): [.set("share.auto.offset.reset", "earliest")]])
      try #require(results[.group("s")]).get()
      await admin.close()
      let tally = Tally()
      while tally.count < 50 {
        var configuration = ShareConsumerConfiguration(cluster.client, groupId: "s")
        configuration.fetchMaxWait = .milliseconds(50)
        let consumer = try await ShareConsumer(configuration)
        let reading = ClosureService {
          try await consumer.subscribe(to: ["t"])
          for try await record in consumer.records.cancelOnGracefulShutdown() {
            tally.note(record.record.text)
            await Task.yield()
          }
        }
        let before = tally.count
        try await run([consumer, reading]) { tally.count >= min(50, before + 10) }
        #expect(tally.repeated.isEmpty)
      }
      #expect(tally.count == 50)
    }
  }
}
