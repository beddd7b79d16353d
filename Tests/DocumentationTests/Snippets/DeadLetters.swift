// The code of DeadLetters.md.
import MillraceClient
import MillraceTesting
import Synchronization
import Testing

private struct ProviderUnavailable: Error, CustomStringConvertible {
  var description: String { "the payment provider does not answer" }
}

@Suite struct DeadLetters {
  private let said = Said()

  private func print(_ text: String) { said.add(text) }

  @Test func `records that cannot be processed become letters, and go back`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send(["12.50", "as it were", "7.20"].map { ProducerRecord(topic: "orders", value: $0) })
      let client = broker.clientConfiguration
      let isProviderUp = Atomic<Bool>(false)
      let charged = Said()
      @Sendable func charge(_ total: Double) async throws {
        guard isProviderUp.load(ordering: .sequentiallyConsistent) else { throw ProviderUnavailable() }
        charged.add("\(total)")
      }

      let worker = try worker(client)
      try await run(
        { try await Self.work(worker, charge) }, until: { try await recordCount(of: "orders-dlt", client) >= 3 })
      #expect(charged.count == 0)

      try await read(client)
      let letters = Set(said.all.compactMap { $0.split(separator: ":").first.map(String.init) })
      #expect(letters == ["order 0 failed 3 times", "order 1 failed 1 times", "order 2 failed 3 times"])

      isProviderUp.store(true, ordering: .sequentiallyConsistent)
      let summary = try await redrive(client)
      #expect(summary[.redriven] == 2)
      #expect(said.all.last == "2 of 3 letters go back")

      let again = try self.worker(client)
      try await run({ try await Self.work(again, charge) }, until: { Set(charged.all).count == 2 })
      #expect(Set(charged.all) == ["12.5", "7.2"])
    }
  }

  private func worker(_ client: ClientConfiguration) throws -> RecordWorker {
    var configuration = WorkerConfiguration(ConsumerConfiguration(client, groupId: "billing"))
    configuration.consumer.autoOffsetReset = .earliest
    configuration.policy = RetryPolicy(
      maxAttempts: 3, backoff: .exponential(from: .milliseconds(20), to: .seconds(5)))
    let worker = RecordWorker(configuration)

    return worker
  }

  private static func work(
    _ worker: RecordWorker, _ charge: @escaping @Sendable (Double) async throws -> Void
  ) async throws {
    try await worker.run(["orders"]) { delivery in
      let text = try delivery.record.value(.string)
      guard let total = Double(text) else {
        throw HandlerFailure(.reject, exceptionClass: "MalformedOrder", message: "'\(text)' is no amount")
      }
      do {
        try await charge(total)
      } catch {
        throw HandlerFailure(.retry, exceptionClass: "ProviderUnavailable", message: "\(error)")
      }
    }
  }

  private func read(_ client: ClientConfiguration) async throws {
    var configuration = ConsumerConfiguration(client)
    configuration.isolation = .readCommitted
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: ["orders-dlt"], from: .earliest)
    for try await record in consumer.records {
      guard let letter = DeadLetter(record.headers), let offset = letter.offset else { continue }
      print("order \(offset) failed \(letter.attempts ?? 0) times: \(letter.exceptionMessage ?? "")")
    }
    await consumer.close()
  }

  private func redrive(_ client: ClientConfiguration) async throws -> RedriveSummary {
    var configuration = RedriveConfiguration(client, topic: "orders-dlt")
    configuration.filter.exceptionClass = "ProviderUnavailable"
    configuration.rate = 100
    let redrive = Redrive(configuration)

    let plan = try await redrive.plan()
    print("\(plan[.redriven]) of \(plan.total) letters go back")

    let summary = try await redrive.run()

    return summary
  }

  @Test func `a record waits in retry topics while others go on`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send(["late", "12.50"].map { ProducerRecord(topic: "orders", value: $0) })
      var configuration = WorkerConfiguration(ConsumerConfiguration(broker.clientConfiguration, groupId: "billing"))
      configuration.consumer.autoOffsetReset = .earliest

      configuration.policy = RetryPolicy(maxAttempts: 2, retryTopicDelays: [.seconds(60), .seconds(600)])

      configuration.policy.backoff = .none
      let worker = RecordWorker(configuration)
      try await run(
        {
          try await worker.run(["orders"]) { delivery in
            if try delivery.record.value(.string) == "late" { throw ProviderUnavailable() }
          }
        },
        until: { try await recordCount(of: "orders-retry-1", broker.clientConfiguration) >= 1 })
      #expect(try await broker.records(in: "orders-retry-1", count: 1).map { try $0.value(.string) } == ["late"])
    }
  }

  @Test func `a loop of one's own writes letters by itself`() async throws {
    try await withBroker { broker in
      try await broker.createTopic("orders")
      try await broker.send([ProducerRecord(topic: "orders", value: "as it were")])
      let producer = try await Producer(ProducerConfiguration(broker.clientConfiguration))
      let failure = HandlerFailure(.reject, exceptionClass: "MalformedOrder", message: "it is no amount")
      for record in try await broker.records(in: "orders", count: 1) {
        let letter = DeadLetter(of: record, group: "billing", failure, attempts: 1)
        try await producer.send(letter.producerRecord(for: record, to: "orders-dlt"))
      }
      await producer.close()
      let letters = try await broker.records(in: "orders-dlt", count: 1)
      #expect(letters.map { DeadLetter($0.headers)?.exceptionClass } == ["MalformedOrder"])
    }
  }

  @Test func `a share group has letters of its own`() async throws {
    try await withBroker(settings: quickShareGroups) { broker in
      try await broker.createTopic("mails")
      try await broker.send(
        ["a@example.org", "nobody", "b@example.org"].map { ProducerRecord(topic: "mails", value: $0) })
      let client = broker.clientConfiguration
      try await configure(client)
      let sent = Said()
      try await run({ try await Self.mail(client) { sent.add($0) } }, until: { Set(sent.all).count == 2 })
      let letters = try await broker.records(in: "dlq.mailers", count: 1, isolation: .readCommitted)
      #expect(try letters.map { try $0.value(.string) } == ["nobody"])
      #expect(letters.compactMap { DeadLetter($0.headers)?.group } == ["mailers"])
    }
  }

  private func configure(_ client: ClientConfiguration) async throws {
    let admin = try await Admin(client)
    let changes: [ConfigChange] = [
      .set("share.auto.offset.reset", "earliest"),
      .set("share.delivery.count.limit", "3"),
      .set("errors.deadletterqueue.topic.name", "dlq.mailers"),
    ]
    try await admin.alterConfigs([.group("mailers"): changes])[.group("mailers")]?.get()
    await admin.close()
  }

  private static func mail(
    _ client: ClientConfiguration, _ send: @escaping @Sendable (String) async throws -> Void
  ) async throws {
    var configuration = ShareWorkerConfiguration(ShareConsumerConfiguration(client, groupId: "mailers"))
    configuration.concurrency = 8
    try await ShareWorker(configuration).run(["mails"]) { delivery in
      let address = try delivery.record.value(.string)
      guard address.contains("@") else {
        throw HandlerFailure(.reject, exceptionClass: "NoAddress", message: "'\(address)' is no address")
      }
      try await send(address)
    }
  }
}
