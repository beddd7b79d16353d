// The payment service: charges each order, and sorts out those that cannot be.
//
//    order-placed ─┬─ charged ────────────────────────▶ payment-processed
//                  ├─ declined ───────────────────────▶ payment-failed
//                  ├─ makes no sense ─────────────────▶ order-placed-dlt (MalformedOrder)
//                  └─ no answer, after all attempts ──▶ order-placed-dlt (ProviderUnavailable), until it is redriven

import MillraceClient

struct PaymentService: Sendable {
  /// Names the letters about orders that are in order, and only wait for the provider.
  static let providerUnavailable = "ProviderUnavailable"

  let provider: PaymentProvider
  let topics: Topics
  let partitions: Int32
  let group: String
  let policy = RetryPolicy(
    maxAttempts: 5, backoff: .exponential(from: .milliseconds(5), to: .milliseconds(100)))
  let tally: StageTally

  /// Takes all orders at the same time: one that has to be tried again holds up nobody else's payment.
  func handle(_ records: [ConsumerRecord]) async throws -> [ProducerRecord] {
    try await records.concurrentMap { try await settle($0) }
  }

  private func settle(_ record: ConsumerRecord) async throws -> ProducerRecord {
    var failures = 0
    do {
      let order = try OrderPlaced(checking: record)
      while true {
        do {
          return try await pay(order)
        } catch let error as ProviderError {
          failures += 1
          guard let pause = policy.delay(afterFailures: failures) else {
            throw HandlerFailure(
              .retry, exceptionClass: Self.providerUnavailable,
              message: "the payment provider was asked \(failures) times; the last time: \(error)")
          }
          tally.retried()
          try await Task.sleep(for: pause)
        }
      }
    } catch let failure as HandlerFailure {
      tally.deadLettered()
      return DeadLetter(of: record, group: group, failure, attempts: max(failures, 1))
        .producerRecord(for: record, to: topics.deadLetters, partitionCount: partitions)
    }
  }

  private func pay(_ order: OrderPlaced) async throws -> ProducerRecord {
    switch try await provider.charge(key: order.orderId, cents: order.totalCents) {
    case .charged(let receipt):
      try PaymentProcessed(
        orderId: order.orderId, product: order.product, quantity: order.quantity, receipt: receipt,
        placedAt: order.placedAt
      ).record(to: topics.paymentProcessed)
    case .declined(let reason):
      try PaymentFailed(orderId: order.orderId, reason: reason, placedAt: order.placedAt)
        .record(to: topics.paymentFailed)
    }
  }
}
