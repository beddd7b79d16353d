// Tells customers how their order is doing, and how many are left in case they want another.

import MillraceClient

struct NotificationService: Sendable {
  let cache: StockCache
  let topics: Topics

  func handle(_ records: [ConsumerRecord]) async throws -> [ProducerRecord] {
    var notifications: [ProducerRecord] = []
    notifications.reserveCapacity(records.count)
    for record in records {
      let message = record.topic == topics.paymentFailed ? try regret(record) : try await goodNews(record)
      notifications.append(
        try CustomerNotified(orderId: record.orderId, message: message).record(to: topics.customerNotified))
    }
    return notifications
  }

  private func regret(_ record: ConsumerRecord) throws -> String {
    "We could not take your order: \(try PaymentFailed(record).reason)."
  }

  private func goodNews(_ record: ConsumerRecord) async throws -> String {
    let update = try InventoryUpdated(record)
    return "Your order is being packed. \(try await cache.level(of: update.product)) of \(update.product) are left."
  }
}
