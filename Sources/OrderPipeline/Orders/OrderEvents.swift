// What happens to an order, as JSON. Every event is keyed by the order's id, and tells what the next service has to know,
// so that none has to ask another.

/// Something that happened to an order.
protocol OrderEvent: Codable, Sendable {
  var orderId: String { get }
}

struct OrderPlaced: OrderEvent, Equatable {
  var orderId: String
  var customer: String
  var product: String
  var quantity: Int
  var totalCents: Int
  /// Milliseconds since 1970.
  var placedAt: Int64
}

struct PaymentProcessed: OrderEvent {
  var orderId: String
  var product: String
  var quantity: Int
  var receipt: String
  var placedAt: Int64
}

struct PaymentFailed: OrderEvent {
  var orderId: String
  var reason: String
  var placedAt: Int64
}

struct InventoryUpdated: OrderEvent {
  var orderId: String
  var product: String
  var quantity: Int
  var placedAt: Int64
}

struct OrderFulfilled: OrderEvent {
  var orderId: String
  var parcel: String
  var placedAt: Int64
}

struct CustomerNotified: OrderEvent {
  var orderId: String
  var message: String
}

/// A line in the payment provider's book.
struct ChargeBooked: OrderEvent {
  var orderId: String
  var cents: Int
  var receipt: String
}
