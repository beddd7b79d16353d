// That nothing stays behind when a task is cancelled, whatever it was doing: no connection at the broker, no task, no
// object. Everything that belongs to a client knows its logger, so the logger's handler is watched: it goes when the last
// of them has gone.

import Logging
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite(.everyTransport, .timeLimit(.minutes(10))) struct LeakTests {
  private final class Presence: Sendable {}

  private struct PresenceLogHandler: LogHandler {
    let presence: Presence
    var metadata: Logger.Metadata = [:]
    var logLevel = Logger.Level.critical
    var metadataProvider: Logger.MetadataProvider?

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
      get { metadata[key] }
      set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {}
  }

  /// What a cancelled task leaves is looked for so long.
  private static let patience = Duration.seconds(120)

  private func client(_ cluster: TestCluster, _ presence: Presence) -> ClientConfiguration {
    var client = cluster.client
    client.requestTimeout = .seconds(300)
    client.logger = Logger(label: "watched", factory: { _ in PresenceLogHandler(presence: presence) })
    return client
  }

  /// Runs `body` until it says that it is where it is to be cancelled, cancels it, and looks what is left.
  private func cancel(
    _ cluster: TestCluster, _ what: String,
    _ body: @escaping @Sendable (ClientConfiguration, Deferred<Void>) async throws -> Void
  ) async throws {
    weak var remains: Presence?
    do {
      let presence = Presence()
      remains = presence
      let isThere = Deferred<Void>()
      let task = Task { [client = client(cluster, presence)] in try await body(client, isThere) }
      let ends = Task {
        // If it fails before, that is to be seen.
        let result = await task.result
        isThere.fulfil(.success(()))
        return result
      }
      try await isThere.value()
      task.cancel()
      // What waits for an answer now gets none before it is cancelled; who says good-bye is to be heard.
      try await cluster.line.stall(false)
      if case .failure(let error) = await ends.value {
        #expect((error as? KafkaError)?.code == .cancelled || error is CancellationError, "\(what): \(error)")
      }
    }
    #expect(
      try await eventually(within: Self.patience) { cluster.connectionCount == 0 },
      "\(what) leaves \(cluster.connectionCount) connections")
    #expect(try await eventually(within: Self.patience) { remains == nil }, "\(what) leaves an object or a task")
  }

  private func record(_ value: String = "x") -> ProducerRecord {
    ProducerRecord(topic: "t", partition: 0, value: ByteBuffer(string: value))
  }

  @Test func `a producer`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cancel(cluster, "a producer that is idle") { client, isThere in
        let producer = try await Producer(ProducerConfiguration(client))
        try await producer.send(record())
        isThere.fulfil(.success(()))
        try await producer.run()
      }
      try await cancel(cluster, "a producer that waits for an acknowledgement") { client, isThere in
        let producer = try await Producer(ProducerConfiguration(client))
        try await producer.send(record())
        try await cluster.line.stall(true)
        async let sent = producer.send(record())
        isThere.fulfil(.success(()))
        _ = try await sent
      }
      try await cancel(cluster, "a producer that waits for room") { client, isThere in
        var configuration = ProducerConfiguration(client)
        configuration.maxRequestBytes = 1000
        configuration.bufferBytes = 1000
        let producer = try await Producer(configuration)
        try await producer.send(record())
        try await cluster.line.stall(true)
        try await producer.enqueue(record(String(repeating: "x", count: 800)))
        isThere.fulfil(.success(()))
        try await producer.enqueue(record(String(repeating: "y", count: 800)))
      }
      try await cancel(cluster, "a producer that flushes") { client, isThere in
        let producer = try await Producer(ProducerConfiguration(client))
        try await producer.send(record())
        try await cluster.line.stall(true)
        try await producer.enqueue(record())
        isThere.fulfil(.success(()))
        try await producer.flush()
      }
      try await cancel(cluster, "a producer that closes") { client, isThere in
        let producer = try await Producer(ProducerConfiguration(client))
        try await producer.send(record())
        try await cluster.line.stall(true)
        try await producer.enqueue(record())
        isThere.fulfil(.success(()))
        await producer.close()
      }
      try await cancel(cluster, "a transaction") { client, isThere in
        let producer = try await TransactionalProducer(ProducerConfiguration(client), transactionalId: "tx")
        try await producer.withTransaction { transaction in
          try await transaction.send(record())
          isThere.fulfil(.success(()))
          try await Task.sleep(for: .seconds(3600))
        }
      }
    }
  }

  @Test func `a client that nobody answers`() async throws {
    try await TestCluster.run { cluster in
      cluster.line.lead(to: nil)
      for what in ["a producer", "a consumer"] {
        try await cancel(cluster, "\(what) that cannot connect") { client, isThere in
          var client = client
          client.bootstrapTimeout = .seconds(3600)
          isThere.fulfil(.success(()))
          if what == "a producer" {
            _ = try await Producer(ProducerConfiguration(client))
          } else {
            _ = try await Consumer(ConsumerConfiguration(client))
          }
        }
      }
    }
  }

  @Test(arguments: [nil, GroupProtocol.classic, .consumer])
  func `a consumer`(_ groupProtocol: GroupProtocol?) async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t", partitions: 2)
      try await cluster.fill("t", 20, batches: 2)

      @Sendable func reading(_ client: ClientConfiguration) async throws -> Consumer {
        var configuration = ConsumerConfiguration(client, groupId: groupProtocol.map { "g-\($0)" })
        configuration.groupProtocol = groupProtocol ?? .classic
        configuration.autoOffsetReset = .earliest
        configuration.heartbeatInterval = .milliseconds(100)
        let consumer = try await Consumer(configuration)
        if groupProtocol == nil {
          try await consumer.assign(topics: ["t"], from: .earliest)
        } else {
          try await consumer.subscribe(to: ["t"])
        }
        return consumer
      }

      let kind = groupProtocol.map { "a member of a \($0) group" } ?? "a consumer"
      try await cancel(cluster, "\(kind) that waits for records") { client, isThere in
        let consumer = try await reading(client)
        var count = 0
        for try await batch in consumer.batches {
          count += batch.recordCount
          if groupProtocol != nil { try await consumer.commit() }
          // There is no more to come, or another has read it already.
          isThere.fulfil(.success(()))
        }
      }
      try await cancel(cluster, "\(kind) in the middle of a batch") { client, isThere in
        let consumer = try await reading(client)
        if groupProtocol == nil {
          for try await _ in consumer.records {
            isThere.fulfil(.success(()))
            try await Task.sleep(for: .seconds(3600))
          }
        } else {
          isThere.fulfil(.success(()))
          for try await _ in consumer.records { try await Task.sleep(for: .seconds(3600)) }
        }
      }
      try await cancel(cluster, "\(kind) that is a service") { client, isThere in
        let consumer = try await reading(client)
        isThere.fulfil(.success(()))
        try await consumer.run()
      }
      try await cancel(cluster, "\(kind) that is dropped") { client, isThere in
        let consumer = try await reading(client)
        isThere.fulfil(.success(()))
        _ = consumer.assignment
      }
      try await cancel(cluster, "\(kind) whose broker is silent") { client, isThere in
        let consumer = try await reading(client)
        try await cluster.line.stall(true)
        isThere.fulfil(.success(()))
        try await readAll(consumer)
      }
      try await cancel(cluster, "\(kind) that is closed") { client, isThere in
        let consumer = try await reading(client)
        isThere.fulfil(.success(()))
        try? await Task.sleep(for: .seconds(3600))
        await consumer.close()
      }
    }
  }

  @Test func `a share consumer`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cancel(cluster, "a share consumer that waits for records") { client, isThere in
        let consumer = try await ShareConsumer(ShareConsumerConfiguration(client, groupId: "s"))
        try await consumer.subscribe(to: ["t"])
        isThere.fulfil(.success(()))
        for try await _ in consumer.records {}
      }
      try await cancel(cluster, "a share consumer that is a service") { client, isThere in
        let consumer = try await ShareConsumer(ShareConsumerConfiguration(client, groupId: "s"))
        try await consumer.subscribe(to: ["t"])
        isThere.fulfil(.success(()))
        try await consumer.run()
      }
      try await cancel(cluster, "a share consumer whose broker is silent") { client, isThere in
        let consumer = try await ShareConsumer(ShareConsumerConfiguration(client, groupId: "s"))
        try await consumer.subscribe(to: ["t"])
        try await cluster.line.stall(true)
        isThere.fulfil(.success(()))
        for try await _ in consumer.records {}
      }
    }
  }

  @Test func `a worker`() async throws {
    try await TestCluster.run { cluster in
      try await cluster.create("t")
      try await cluster.fill("t", 10)

      @Sendable func configuration(_ client: ClientConfiguration, _ group: String) -> WorkerConfiguration {
        var consumer = ConsumerConfiguration(client, groupId: group)
        consumer.autoOffsetReset = .earliest
        var configuration = WorkerConfiguration(consumer)
        configuration.grace = .zero
        return configuration
      }

      try await cancel(cluster, "a worker whose handler runs") { client, isThere in
        try await RecordWorker(configuration(client, "runs")).run(["t"]) { _ in
          isThere.fulfil(.success(()))
          try await Task.sleep(for: .seconds(3600))
        }
      }
      try await cancel(cluster, "a worker that waits before an attempt") { client, isThere in
        var configuration = configuration(client, "waits")
        configuration.policy = RetryPolicy(maxAttempts: 2, backoff: .constant(.seconds(3600)))
        configuration.onEvent = { if case .failed = $0 { isThere.fulfil(.success(())) } }
        try await RecordWorker(configuration).run(["t"]) { _ in throw CancellationError() }
      }
      try await cancel(cluster, "a worker that cannot write a letter") { client, isThere in
        var configuration = configuration(client, "letters")
        configuration.createsTopics = false
        configuration.policy = RetryPolicy(maxAttempts: 1, deadLetterTopic: "not a topic")
        configuration.onEvent = { if case .notWritten = $0 { isThere.fulfil(.success(())) } }
        try await RecordWorker(configuration).run(["t"]) { _ in throw CancellationError() }
      }
      try await cancel(cluster, "a worker that has done everything") { client, isThere in
        try await RecordWorker(configuration(client, "done")).run(["t"]) { delivery in
          if delivery.record.offset == 9 { isThere.fulfil(.success(())) }
        }
      }
      try await cancel(cluster, "a share worker") { client, isThere in
        let consumer = ShareConsumerConfiguration(client, groupId: "s")
        isThere.fulfil(.success(()))
        try await ShareWorker(ShareWorkerConfiguration(consumer)).run(["t"]) { _ in }
      }
    }
  }
}
