// What all services between two topics have in common: consume, transform, produce, exactly once.
//
//    input ── batches ──▶ transform ── records ─┐
//      ▲                                        ├─ one transaction
//      └────────── offsets of the batches ──────┘
//
// It does not try to save anything when something goes wrong: it throws, its supervisor starts it again, and the group's
// offsets say where to go on. All that was not committed is done again, and none of it was ever seen.

import MillraceClient

struct Stage: Sendable {
  /// What comes of some records. It may be asked for the same ones again, so what it does elsewhere has to be idempotent.
  typealias Transform = @Sendable ([ConsumerRecord]) async throws -> [ProducerRecord]

  /// How much goes into a transaction, and how long one waits for that.
  private static let transactionRecords = 2_000
  private static let linger = Duration.milliseconds(10)

  let client: ClientConfiguration
  let group: String
  /// Which instance of the service this is. Whoever comes with the same number takes its place.
  let instance: Int
  let inputs: [String]
  let tally: StageTally
  let transform: Transform

  func run() async throws {
    // The producer comes first: it fences a predecessor and ends its open transaction, so that the offsets which the
    // consumer finds are final.
    let producer = try await TransactionalProducer(
      ProducerConfiguration(client), transactionalId: "\(group)-\(instance)")
    let consumer = try await Consumer(consumerConfiguration)
    do {
      try await consumer.subscribe(to: inputs)
      while true {
        let records = try await consumer.nextBatches(upTo: Self.transactionRecords, linger: Self.linger).flatMap { $0 }
        if records.isEmpty { break }
        try await producer.withTransaction { transaction in
          for record in try await transform(records) { try await transaction.enqueue(record) }
          try await transaction.commit(of: consumer)
        }
        tally.committed(records.count)
      }
    } catch {
      await producer.close()
      await consumer.close()
      throw error
    }
    await producer.close()
    await consumer.close()
  }

  private var consumerConfiguration: ConsumerConfiguration {
    var configuration = ConsumerConfiguration(client, groupId: group)
    // A static member: when it is started again it has the same partitions at once.
    configuration.groupInstanceId = "\(instance)"
    configuration.isolation = .readCommitted
    configuration.autoOffsetReset = .earliest
    configuration.autoCommitInterval = nil
    return configuration
  }
}
