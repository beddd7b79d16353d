// Reads records and writes them out until there are enough, nothing comes any more, the end is reached, or somebody
// says stop. The output is written aside, so that a slow reader of it does not keep the consumer from its heartbeats.
import MillraceClient

struct Consuming: Sendable {
  enum Ending: Sendable { case limit, idle, end, interrupted }

  struct Outcome: Sendable {
    var count = 0
    var ending = Ending.end
  }

  var format: RecordFormat
  var limit: Int?
  /// The longest wait for a record.
  var idleTimeout: Duration?

  /// - Parameter start: subscribes or assigns.
  func run(
    _ configuration: ConsumerConfiguration, start: @escaping @Sendable (Consumer) async throws -> Void
  ) async throws -> Outcome {
    if limit == 0 { return Outcome(ending: .limit) }
    let consumer = try await Consumer(configuration)
    let isGroup = configuration.groupId != nil
    return try await supervise {
      try await start(consumer)
    } read: { progress in
      try await read(consumer, isGroup: isGroup, progress)
    } close: {
      await consumer.close()
    }
  }

  /// Takes records as a member of a share group.
  ///
  /// - Parameter type: how they are acknowledged, once they are written out.
  func run(
    sharing configuration: ShareConsumerConfiguration, topics: [String], _ type: Acknowledgement = .accept
  ) async throws -> Outcome {
    if limit == 0 { return Outcome(ending: .limit) }
    var configuration = configuration
    configuration.acknowledgementMode = .explicit
    if let limit { configuration.maxRecords = min(configuration.maxRecords, limit) }
    let consumer = try await ShareConsumer(configuration)
    return try await supervise {
      try await consumer.subscribe(to: topics)
    } read: { progress in
      try await read(consumer, type, progress)
    } close: {
      await consumer.close()
    }
  }

  /// Runs `read` until it ends, nothing came for too long, or somebody interrupts it.
  private func supervise(
    start: @escaping @Sendable () async throws -> Void,
    read: @escaping @Sendable (_ progress: @escaping @Sendable (_ count: Int) -> Void) async throws -> Ending,
    close: () async -> Void
  ) async throws -> Outcome {
    let outcome = Guarded(Outcome())
    var failure: (any Error)?
    do {
      let interrupted = try await Interruption.watch {
        try await start()
        let watch = IdleWatch()
        let ending = try await withThrowingTaskGroup(of: Ending.self) { group in
          group.addTask {
            try await read { count in
              watch.touch()
              outcome.change { $0.count = count }
            }
          }
          group.addTask {
            try await watch.untilIdle(for: idleTimeout)
            return .idle
          }
          defer { group.cancelAll() }
          return try await group.next() ?? .end
        }
        outcome.change { $0.ending = ending }
      }
      if interrupted { outcome.change { $0.ending = .interrupted } }
    } catch { failure = error }
    await close()
    if let failure { throw failure }
    try await Output.standard.flushAside()
    return outcome.value
  }

  private func read(
    _ consumer: Consumer, isGroup: Bool, _ progress: @Sendable (_ count: Int) -> Void
  ) async throws -> Ending {
    var count = 0
    if isGroup, let limit {
      // One by one: what is committed at the end is what was written out, not the batch that it came in.
      for try await record in consumer.records {
        Output.standard.append { format.append(record, to: &$0) }
        try await Output.standard.flushAside()
        count += 1
        progress(count)
        if count >= limit { return .limit }
      }
      return .end
    }
    for try await batch in consumer.batches {
      Output.standard.append { bytes in
        for record in batch where count < limit ?? .max {
          format.append(record, to: &bytes)
          count += 1
        }
      }
      try await Output.standard.flushAside()
      progress(count)
      if count >= limit ?? .max { return .limit }
    }
    return .end
  }

  private func read(
    _ consumer: ShareConsumer, _ type: Acknowledgement, _ progress: @Sendable (_ count: Int) -> Void
  ) async throws -> Ending {
    var count = 0
    for try await record in consumer.records {
      Output.standard.append { format.append(record.record, deliveryCount: record.deliveryCount, to: &$0) }
      try await Output.standard.flushAside()
      do throws(KafkaError) {
        try consumer.acknowledge(record, type)
      } catch {
        guard error.brokerCode == .invalidRecordState else { throw error }
        note("Note: \(error)")
      }
      count += 1
      progress(count)
      if count >= limit ?? .max { return .limit }
    }
    return .end
  }
}
