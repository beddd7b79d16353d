// The orders of a run: made from the seed and their number, so that an intake that starts again goes on with the same
// ones, and the audit knows what was ordered without asking anybody.

import MillraceClient
import NIOCore

struct OrderBook: Sendable {
  static let productCount = 500

  let chance: Chance
  /// The share of orders that make no sense.
  let malformed: Double

  init(_ settings: Settings) {
    chance = Chance(seed: settings.seed)
    malformed = settings.malformed
  }

  /// The id of an order by its number, from 0.
  static func id(_ number: Int) -> String {
    let digits = String(number + 1)
    return "o-" + String(repeating: "0", count: max(0, 7 - digits.count)) + digits
  }

  static func product(_ number: Int) -> String { "p-\(number)" }

  func order(_ number: Int, placedAt: Int64) -> OrderPlaced {
    let id = Self.id(number)
    let product = Int(chance.draw("product", id) * Double(Self.productCount))
    let quantity = 1 + Int(chance.draw("quantity", id) * 5)
    return OrderPlaced(
      orderId: id, customer: "c-\(Int(chance.draw("customer", id) * 10_000))", product: Self.product(product),
      quantity: quantity, totalCents: quantity * (199 + product * 7), placedAt: placedAt)
  }

  /// The order as the shop sends it, which is not always how it should.
  func record(_ number: Int, placedAt: Int64, to topic: String) throws -> ProducerRecord {
    var order = order(number, placedAt: placedAt)
    guard chance.draw("malformed", order.orderId) < malformed else { return try order.record(to: topic) }
    let key = ByteBuffer(string: order.orderId)
    switch Int(chance.draw("kind of nonsense", order.orderId) * 4) {
    case 0: return ProducerRecord(topic: topic, key: key, value: ByteBuffer(string: "<order id=\"\(order.orderId)\"/>"))
    case 1:
      let whole = try order.record(to: topic).value ?? ByteBuffer()
      return ProducerRecord(topic: topic, key: key, value: whole.getSlice(at: 0, length: whole.readableBytes / 2))
    case 2: return ProducerRecord(topic: topic, key: key, value: ByteBuffer(string: "{}"))
    default:
      order.quantity = -order.quantity
      return try order.record(to: topic)
    }
  }
}
