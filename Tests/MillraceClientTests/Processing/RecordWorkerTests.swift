// A worker and a real broker: what is handled, tried again, put off, dead-lettered and committed.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.serialized) struct RecordWorkerTests {
  private struct Refused: Error, CustomStringConvertible {
    var description: String { "no such customer" }
  }

  /// What handlers saw, and a way to make them fail.
  private final class Log: Sendable {
    private let entries = Mutex<[(text: String, attempt: Int, topic: String)]>([])
    private let recorded = Mutex<[WorkerEvent]>([])

    func note(_ delivery: RecordDelivery) {
      entries.withLock { $0.append((delivery.record.text, delivery.attempt, delivery.record.topic)) }
    }
    func tell(_ event: WorkerEvent) { recorded.withLock { $0.append(event) } }
    var texts: [String] { entries.withLock { $0.map(\.text) } }
    var attempts: [String] { entries.withLock { $0.map { "\($0.text):\($0.attempt)" } } }
    func places(_ topic: String) -> [String] {
      entries.withLock { $0.filter { $0.topic == topic }.map { "\($0.text):\($0.attempt)" } }
    }
    var notWritten: [KafkaError] {
      recorded.withLock { $0.compactMap { if case .notWritten(_, _, let error) = $0 { error } else { nil } } }
    }
  }

  private func configuration(_ cluster: TestCluster, _ log: Log, attempts: Int = 2) -> WorkerConfiguration {
    var consumer = ConsumerConfiguration(cluster.client, groupId: "g")
    consumer.autoOffsetReset = .earliest
    consumer.autoCommitInterval = .milliseconds(50)
    consumer.heartbeatInterval = .milliseconds(100)
    consumer.sessionTimeout = .seconds(120)
    var configuration = WorkerConfiguration(consumer)
    configuration.policy = RetryPolicy(maxAttempts: attempts, backoff: .constant(.milliseconds(20)))
    configuration.onEvent = { log.tell($0) }
    return configuration
  }

  /// Runs a worker until `isDone`, and stops it.
  @discardableResult
  private func work(
    _ configuration: WorkerConfiguration, on topics: [String] = ["t"], until isDone: () async throws -> Bool,
    _ handler: @escaping RecordHandler
  ) async throws -> WorkerSummary {
    let task = Task { try await RecordWorker(configuration).run(topics, handler) }
    let wasDone = try await eventually(within: .seconds(120), isDone)
    task.cancel()
    let summary = try await task.value
    #expect(wasDone)
    return summary
  }

  private func committed(_ cluster: TestCluster, _ group: String = "g") async throws -> [TopicPartition: Int64] {
    let admin = try await Admin(cluster.client)
    let offsets = try await admin.groupOffsets(group)
    await admin.close()
    return offsets.mapValues(\.offset)
  }

  @Test func `records are handled in order, and all of them are committed`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 200, batches: 10)
      let log = Log()
      let summary = try await work(configuration(cluster, log), until: { log.texts.count == 200 }) { log.note($0) }
      #expect(log.texts == (0..<200).map { "\($0)" })
      #expect(summary.done == 200)
      #expect(try await committed(cluster)[TopicPartition("t", 0)] == 200)
    }
  }

  @Test func `what fails every time is dead-lettered as it was, and what is behind it goes on`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      let time = Producer.nowMs() - 1_000_000
      let headers = [
        RecordHeader(key: "h", value: "1"), RecordHeader(key: "h", value: nil), RecordHeader(key: "", value: "x"),
      ]
      for (key, value) in [("a", "good"), ("", "bad"), ("c", nil as String?), ("d", "good")] {
        _ = try await producer.send(
          ProducerRecord(
            topic: "t", partition: 1, key: ByteBuffer(string: key), value: value.map { ByteBuffer(string: $0) },
            headers: headers, timestamp: time))
      }
      await producer.close()
      let log = Log()
      let before = Producer.nowMs()
      let summary = try await work(
        configuration(cluster, log), until: { log.texts.last == "good" && log.texts.count == 6 }
      ) {
        log.note($0)
        if $0.record.text != "good" { throw Refused() }
      }
      #expect(log.attempts == ["good:1", "bad:1", "bad:2", "nil:1", "nil:2", "good:1"])
      #expect(summary == WorkerSummary(done: 2, failedAttempts: 4, deadLettered: 2))
      #expect(try await committed(cluster)[TopicPartition("t", 1)] == 4)

      let letters = try await cluster.contents(of: "t-dlt")
      #expect(letters.keys.sorted() == [1], "the partition is the source's")
      let first = try #require(letters[1]?.first)
      #expect(first.key == ByteBuffer() && first.text == "bad" && first.timestamp == time)
      #expect(DeadLetter.withoutErrors(first.headers) == headers)
      let letter = try #require(DeadLetter(first.headers))
      #expect(letter.topic == "t" && letter.partition == 1 && letter.offset == 1 && letter.group == "g")
      #expect(letter.attempts == 2 && letter.exceptionMessage == "no such customer")
      #expect(letter.exceptionClass?.hasSuffix("Refused") == true)
      #expect(letter.message == "Offset delivery count exceeded the threshold.")
      #expect((before...Producer.nowMs()).contains(letter.firstFailureTimestamp ?? 0))
      #expect(letters[1]?.last?.value == nil && letters[1]?.count == 2)
    }
  }

  @Test func `one partition that waits keeps no other from going on`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 3)
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      for partition in Int32(0)..<3 {
        for number in 0..<20 {
          try await producer.enqueue(
            ProducerRecord(topic: "t", partition: partition, value: ByteBuffer(string: "\(partition)-\(number)")))
        }
      }
      await producer.close()
      let log = Log()
      var configuration = configuration(cluster, log)
      configuration.policy.backoff = .constant(.seconds(600))
      let summary = try await work(configuration, until: { log.texts.count == 41 }) {
        log.note($0)
        if $0.record.partition == 1 { throw Refused() }
      }
      #expect(summary.done == 40 && summary.deadLettered == 0)
      let offsets = try await committed(cluster)
      #expect(offsets[TopicPartition("t", 0)] == 20 && offsets[TopicPartition("t", 2)] == 20)
      #expect((offsets[TopicPartition("t", 1)] ?? 0) == 0, "it was given back")
    }
  }

  @Test func `retry topics are waited for, and the dead letter tells of the first place`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 3)
      let log = Log()
      var configuration = configuration(cluster, log, attempts: 1)
      configuration.policy.retryTopicDelays = [.milliseconds(300), .milliseconds(600)]
      let early = Mutex<[Int64]>([])
      let summary = try await work(configuration, until: { log.attempts.contains("1:3") && log.texts.contains("2") }) {
        log.note($0)
        if let due = RetryHeaders.due(in: $0.record.headers), Producer.nowMs() < due - 50 {
          early.withLock { $0.append(due) }
        }
        if $0.record.text == "1" { throw Refused() }
      }
      #expect(early.withLock { $0 }.isEmpty, "within what two clocks may differ")
      // The others go on meanwhile: in their own order, and in none with what is retried.
      #expect(log.places("t") == ["0:1", "1:1", "2:1"])
      #expect(log.places("t-retry-1") == ["1:2"] && log.places("t-retry-2") == ["1:3"])
      #expect(summary.postponed == 2 && summary.deadLettered == 1)
      let record = try #require(try await cluster.contents(of: "t-dlt")[0]?.first)
      let source = try #require(try await cluster.contents(of: "t")[0]?.dropFirst().first)
      let letter = try #require(DeadLetter(record.headers))
      #expect(letter.topic == "t" && letter.offset == 1 && letter.attempts == 3)
      #expect(record.timestamp == source.timestamp)
      #expect(DeadLetter.withoutErrors(record.headers).isEmpty)
    }
  }

  @Test func `a rejected record is not tried again`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 2)
      let log = Log()
      var configuration = configuration(cluster, log, attempts: 9)
      configuration.policy.deadLetterTopic = "dead"
      try await work(configuration, until: { log.texts.count == 2 }) {
        log.note($0)
        throw HandlerFailure(.reject, exceptionClass: "NoOrder", message: "no")
      }
      let letters = try await cluster.contents(of: "dead")[0] ?? []
      #expect(
        letters.compactMap { DeadLetter($0.headers)?.message } == Array(repeating: RetryPolicy.rejected, count: 2))
    }
  }

  @Test func `a handler that cannot go on stops the work, and its record is not passed`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 5)
      let log = Log()
      let configuration = configuration(cluster, log)
      let failure = await #expect(throws: HandlerFailure.self) {
        try await RecordWorker(configuration).run(["t"]) {
          log.note($0)
          if $0.record.text == "2" { throw HandlerFailure(.stop, exceptionClass: "Gone", message: "not found") }
        }
      }
      #expect(failure?.message == "not found")
      #expect(try await committed(cluster)[TopicPartition("t", 0)] == 2)
      let admin = try await Admin(cluster.client)
      #expect(try await admin.listTopics().map(\.name) == ["t"])
      await admin.close()
    }
  }

  @Test func `without dead letters the first record that fails for good ends the work`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 3)
      let log = Log()
      var configuration = configuration(cluster, log)
      configuration.writesDeadLetters = false
      _ = await #expect(throws: HandlerFailure.self) {
        try await RecordWorker(configuration).run(["t"]) {
          log.note($0)
          if $0.record.text == "1" { throw Refused() }
        }
      }
      #expect(log.attempts == ["0:1", "1:1", "1:2"])
      #expect(try await committed(cluster)[TopicPartition("t", 0)] == 1)
    }
  }

  @Test func `what the dead-letter topic does not take is not passed, and goes there when it does`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.create("t-dlt", configs: ["max.message.bytes": "200"])
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      for value in [String(repeating: "x", count: 1000), "small"] {
        _ = try await producer.send(ProducerRecord(topic: "t", value: value))
      }
      await producer.close()
      let admin = try await Admin(cluster.client)
      let log = Log()
      var isHealed = false
      try await work(
        configuration(cluster, log, attempts: 1),
        until: {
          if log.notWritten.count >= 2, !isHealed {
            isHealed = true
            #expect(try await committed(cluster)[TopicPartition("t", 0)] ?? 0 == 0)
            _ = try await admin.alterConfigs([.topic("t-dlt"): [.set("max.message.bytes", "100000")]])
          }
          return log.texts.last == "small"
        }
      ) {
        log.note($0)
        if $0.record.text != "small" { throw Refused() }
      }
      #expect(log.notWritten.contains { $0.brokerCode == .messageTooLarge })
      #expect(try await cluster.contents(of: "t-dlt")[0]?.count == 1)
      #expect(try await committed(cluster)[TopicPartition("t", 0)] == 2)
      await admin.close()
    }
  }

  @Test func `members that come and go leave no record out`() async throws {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 4)
      let producer = try await Producer(ProducerConfiguration(cluster.client))
      for number in 0..<800 {
        try await producer.enqueue(
          ProducerRecord(topic: "t", partition: Int32(number % 4), value: ByteBuffer(string: "\(number)")))
        if number % 40 == 39 { try await producer.flush() }
      }
      await producer.close()
      let log = Log()
      var configuration = configuration(cluster, log, attempts: 1)
      configuration.concurrency = 2
      configuration.grace = .milliseconds(20)
      configuration.consumer.maxPollInterval = .seconds(120)
      let worker = RecordWorker(configuration)
      func start() -> Task<WorkerSummary, any Error> {
        Task {
          try await worker.run(["t"]) {
            try await Task.sleep(for: .milliseconds(Int64.random(in: 0...4)))
            log.note($0)
            if $0.record.text.hasSuffix("7") { throw Refused() }
          }
        }
      }
      var members = [start()]
      for _ in 0..<6 {
        try await Task.sleep(for: .milliseconds(Int64.random(in: 50...250, using: &generator)))
        members.append(start())
        if members.count > 3 { members.removeFirst().cancel() }
      }
      let isDone = try await eventually(within: .seconds(240)) {
        try await committed(cluster).values.reduce(0, +) == 800
      }
      for member in members { member.cancel() }
      for member in members { _ = try await member.value }
      #expect(isDone, "seed \(seed)")
      #expect(Set(log.texts).count == 800, "seed \(seed)")
      let dead = Set(try await cluster.contents(of: "t-dlt").values.joined().map(\.text))
      #expect(dead == Set((0..<800).map { "\($0)" }.filter { $0.hasSuffix("7") }), "seed \(seed)")
    }
  }
}
