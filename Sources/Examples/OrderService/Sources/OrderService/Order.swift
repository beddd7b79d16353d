// An order, and the topic that has what becomes of it.

import Hummingbird
import MillraceClient
import MillraceJSON

struct Order: Codable, Sendable, Equatable {
  enum State: String, Codable { case placed, packed }

  var id: String
  var item: String
  var quantity: Int
  var state: State

  /// Each record is an order as it has become, under its id. Those of an order are in one partition, so in order.
  static let topic = TypedTopic("orders", key: .string, value: .json(Order.self))
}

extension Order: ResponseEncodable {}

/// What `POST /orders` takes.
struct OrderRequest: Decodable {
  var item: String
  var quantity: Int
}
