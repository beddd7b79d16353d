// Takes what was paid for off the shelf.

import MillraceClient

struct InventoryService: Sendable {
  let warehouse: Warehouse
  let topics: Topics

  func handle(_ records: [ConsumerRecord]) throws -> [ProducerRecord] {
    try records.map { record in
      let payment = try PaymentProcessed(record)
      warehouse.reserve(payment.quantity, of: payment.product, for: payment.orderId)
      return try InventoryUpdated(
        orderId: payment.orderId, product: payment.product, quantity: payment.quantity, placedAt: payment.placedAt
      ).record(to: topics.inventoryUpdated)
    }
  }
}
