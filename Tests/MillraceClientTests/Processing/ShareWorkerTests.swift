// A worker as a member of a share group of a real broker: what a handler's end makes of its record.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.serialized, .timeLimit(.minutes(5))) struct ShareWorkerTests {
  private struct Refused: Error {}

  /// What handlers saw.
  private final class Log: Sendable {
    private let entries = Mutex<[String]>([])
    private let running = Mutex((now: 0, most: 0))

    func note(_ delivery: RecordDelivery) {
      entries.withLock { $0.append("\(delivery.record.text):\(delivery.attempt)") }
    }
    var attempts: [String] { entries.withLock { $0 } }
    var most: Int { running.withLock { $0.most } }
    var now: Int { running.withLock { $0.now } }

    func begin() {
      running.withLock {
        $0.now += 1
        $0.most = max($0.most, $0.now)
      }
    }
    func end() { running.withLock { $0.now -= 1 } }
  }

  /// A broker with a topic `t`, and a group `s` that reads it from its beginning.
  ///
  /// - Parameter body: gets a way to ask where the group begins: what is before that is settled.
  private func run(
    _ configs: [String: String] = [:], _ body: (TestCluster, _ start: () async throws -> Int64?) async throws -> Void
  ) async throws {
    let settings = [
      "group.share.min.session.timeout.ms": "100", "group.share.session.timeout.ms": "60000",
      "group.share.min.heartbeat.interval.ms": "50", "group.share.heartbeat.interval.ms": "50",
      "group.share.min.record.lock.duration.ms": "1000", "group.share.record.lock.duration.ms": "60000",
    ]
    try await TestCluster.run(settings) { cluster in
      try await cluster.create("t")
      let admin = try await Admin(cluster.client)
      let changes = configs.merging(["share.auto.offset.reset": "earliest"]) { given, _ in given }
      let results = try await admin.alterConfigs([.group("s"): changes.map { .set($0.key, $0.value) }])
      try #require(results[.group("s")]).get()
      try await body(cluster) { try? await admin.shareGroupOffsets("s")[TopicPartition("t", 0)]?.get().startOffset }
      await admin.close()
    }
  }

  private func configuration(_ cluster: TestCluster, concurrency: Int = 1) -> ShareWorkerConfiguration {
    var consumer = ShareConsumerConfiguration(cluster.client, groupId: "s")
    consumer.fetchMaxWait = .milliseconds(50)
    consumer.acknowledgementInterval = .milliseconds(50)
    var configuration = ShareWorkerConfiguration(consumer)
    configuration.concurrency = concurrency
    return configuration
  }

  /// Runs a worker until `isDone`, and stops it.
  @discardableResult
  private func work(
    _ configuration: ShareWorkerConfiguration, until isDone: () async throws -> Bool,
    _ handler: @escaping RecordHandler
  ) async throws -> WorkerSummary {
    let task = Task { try await ShareWorker(configuration).run(["t"], handler) }
    let wasDone = try await eventually(within: .seconds(120), isDone)
    task.cancel()
    let summary = try await task.value
    #expect(wasDone)
    return summary
  }

  @Test func `what is handled is accepted, and at most so many are handled at a time`() async throws {
    try await run { cluster, start in
      try await cluster.fill("t", 200, batches: 4)
      let log = Log()
      let summary = try await work(configuration(cluster, concurrency: 4), until: { try await start() == 200 }) {
        log.begin()
        defer { log.end() }
        log.note($0)
        await Task.yield()
      }
      #expect(Set(log.attempts) == Set((0..<200).map { "\($0):1" }) && log.attempts.count == 200)
      #expect(summary == WorkerSummary(done: 200))
      #expect(log.most <= 4)
    }
  }

  @Test func `handlers run at the same time`() async throws {
    try await run { cluster, start in
      try await cluster.fill("t", 3)
      let log = Log()
      try await work(configuration(cluster, concurrency: 3), until: { try await start() == 3 }) { _ in
        log.begin()
        // Each waits for the others.
        while log.most < 3 { try await Task.sleep(for: .milliseconds(5)) }
      }
    }
  }

  @Test func `what fails is released and counted by the broker, what is rejected is a dead letter at once`()
    async throws
  {
    try await run(["share.delivery.count.limit": "3", "errors.deadletterqueue.topic.name": "dlq.t"]) { cluster, _ in
      try await cluster.fill("t", 4)
      let log = Log()
      func letters() async -> [String: DeadLetter?] {
        // There is no such topic before the first.
        let records = (try? await cluster.contents(of: "dlq.t").values.joined()).map(Array.init) ?? []
        return Dictionary(records.map { ($0.text, DeadLetter($0.headers)) }, uniquingKeysWith: { first, _ in first })
      }
      let summary = try await work(
        configuration(cluster, concurrency: 2), until: { log.attempts.count < 6 ? false : await letters().count == 2 }
      ) {
        log.note($0)
        switch $0.record.text {
        case "1": throw Refused()
        case "2": throw HandlerFailure(.reject, exceptionClass: "NoOrder", message: "no")
        default: break
        }
      }
      #expect(log.attempts.sorted() == ["0:1", "1:1", "1:2", "1:3", "2:1", "3:1"])
      #expect(summary == WorkerSummary(done: 2, failedAttempts: 4, rejected: 1))
      let letters = await letters()
      #expect(letters.keys.sorted() == ["1", "2"])
      #expect(letters["1"]??.message == RetryPolicy.exhausted && letters["1"]??.deliveryCount == 3)
      #expect(letters["2"]??.message == RetryPolicy.rejected && letters["2"]??.deliveryCount == 1)
    }
  }

  @Test func `a lock is renewed while its handler runs, and while its record waits for one`() async throws {
    try await run(["share.record.lock.duration.ms": "1000"]) { cluster, start in
      try await cluster.fill("t", 4)
      let log = Log()
      let late = Mutex<[KafkaError]>([])
      var configuration = configuration(cluster, concurrency: 2)
      configuration.onEvent = { event in
        if case .notAcknowledged(let error) = event { late.withLock { $0.append(error) } }
      }
      try await work(configuration, until: { try await start() == 4 }) {
        log.note($0)
        // Longer than the lock.
        try await Task.sleep(for: .milliseconds(1500))
      }
      // A machine that stands still for a second loses a lock; without renewal every delivery would be too late.
      let lateCount = late.withLock { $0.count }
      #expect(lateCount < 8)
      if lateCount == 0, log.attempts.allSatisfy({ $0.hasSuffix(":1") }) {
        #expect(log.attempts.sorted() == ["0:1", "1:1", "2:1", "3:1"])
      }
    }
  }

  @Test func `a handler that cannot go on ends the work, and its record is there for others`() async throws {
    try await run { cluster, start in
      try await cluster.fill("t", 3)
      let log = Log()
      let configuration = configuration(cluster)
      let failure = await #expect(throws: HandlerFailure.self) {
        try await ShareWorker(configuration).run(["t"]) {
          log.note($0)
          if $0.record.text == "1" { throw HandlerFailure(.stop, exceptionClass: "Gone", message: "not found") }
        }
      }
      #expect(failure?.message == "not found")
      #expect(log.attempts.last == "1:1", "none was begun after it")
      try await work(configuration, until: { try await start() == 3 }) { log.note($0) }
      #expect(log.attempts.sorted() == ["0:1", "1:1", "1:1", "2:1"], "as if it had not been delivered")
    }
  }

  @Test func `a handler that runs may come to its end, and then is cancelled and its record given back`() async throws {
    try await run { cluster, start in
      try await cluster.fill("t", 2)
      let log = Log()
      var configuration = configuration(cluster, concurrency: 2)
      configuration.grace = .seconds(1)
      let isEnding = Deferred<Void>()
      let task = Task { [configuration] in
        try await ShareWorker(configuration).run(["t"]) {
          log.begin()
          if $0.record.text == "1" { try await Task.sleep(for: .seconds(600)) }
          isEnding.fulfil(.success(()))
        }
      }
      #expect(try await eventually(within: .seconds(120)) { log.most == 2 })
      try await isEnding.value()
      task.cancel()
      #expect(try await task.value == WorkerSummary(done: 1))
      try await work(configuration, until: { try await start() == 2 }) { log.note($0) }
      #expect(log.attempts == ["1:1"])
    }
  }
}
