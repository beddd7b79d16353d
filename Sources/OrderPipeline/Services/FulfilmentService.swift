// Packs and ships what is reserved.

import MillraceClient

struct FulfilmentService: Sendable {
  let topics: Topics

  func handle(_ records: [ConsumerRecord]) throws -> [ProducerRecord] {
    try records.map { record in
      let update = try InventoryUpdated(record)
      return try OrderFulfilled(
        orderId: update.orderId, parcel: "parcel-\(update.orderId)", placedAt: update.placedAt
      ).record(to: topics.orderFulfilled)
    }
  }
}
