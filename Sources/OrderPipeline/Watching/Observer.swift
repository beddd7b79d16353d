// Watches the ends of the pipeline from outside, as any reader of committed records could: which orders have come out, and
// how long that took. Seeing a record again changes nothing, so it can begin anew at any time.

import MillraceClient

struct Observer: Sendable {
  let client: ClientConfiguration
  let topics: Topics
  let progress: Progress

  func run() async throws {
    var configuration = ConsumerConfiguration(client)
    configuration.isolation = .readCommitted
    let consumer = try await Consumer(configuration)
    let ends = [topics.orderFulfilled, topics.paymentFailed, topics.customerNotified, topics.deadLetters]
    try await consumer.assign(topics: ends, from: .earliest)
    for try await batch in consumer.batches { try take(batch) }
  }

  private func take(_ batch: RecordBatch) throws {
    let now = Clock.nowMs()
    switch batch.topic {
    case topics.orderFulfilled:
      for record in batch { progress.ended(record.orderId, after: now - (try OrderFulfilled(record)).placedAt) }
    case topics.paymentFailed:
      for record in batch { progress.ended(record.orderId, after: now - (try PaymentFailed(record)).placedAt) }
    case topics.customerNotified:
      for record in batch { progress.notified(record.orderId) }
    default:
      for record in batch {
        if DeadLetter(record.headers)?.exceptionClass == PaymentService.providerUnavailable {
          progress.waits(record.orderId)
        } else {
          progress.rejected(record.orderId)
        }
      }
    }
  }
}
