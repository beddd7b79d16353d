// Reads all topics from their beginning with a consumer of its own, committed records only, and tells the audit.

import MillraceClient

struct AuditReader: Sendable {
  let client: ClientConfiguration
  let topics: Topics

  func read() async throws -> Audit {
    var configuration = ConsumerConfiguration(client)
    configuration.isolation = .readCommitted
    configuration.stopAtEnd = true
    let consumer = try await Consumer(configuration)
    try await consumer.assign(topics: topics.all, from: .earliest)
    var audit = Audit()
    for try await batch in consumer.batches {
      for record in batch { try take(record, of: batch.topic, into: &audit) }
    }
    await consumer.close()
    return audit
  }

  private func take(_ record: ConsumerRecord, of topic: String, into audit: inout Audit) throws {
    let id = record.orderId
    switch topic {
    case topics.orderPlaced: audit.note(id, DeadLetter.replays(in: record.headers) > 0 ? \.redriven : \.placed)
    case topics.deadLetters:
      audit.note(id, \.letters)
      audit.noteLetter(kind: DeadLetter(record.headers)?.exceptionClass ?? "unknown")
    case topics.ledger: audit.note(id, \.charges)
    case topics.paymentProcessed: audit.note(id, \.payments)
    case topics.paymentFailed:
      audit.note(id, \.failures)
      audit.noteFailure(reason: try PaymentFailed(record).reason)
    case topics.inventoryUpdated: audit.note(id, \.inventoryUpdates)
    case topics.customerNotified: audit.note(id, \.notifications)
    default: audit.note(id, \.fulfilments)
    }
  }
}
