// The shop's record of what is in stock: a database, as far as the pipeline is concerned. A reservation is made once for
// each order, however often it is asked for.

import Synchronization

final class Warehouse: Sendable {
  /// What is ordered anew when a product runs low.
  private static let delivery = 10_000

  private struct State {
    var levels: [String: Int] = [:]
    var reserved: Set<String> = []
  }

  private let state = Mutex(State())

  /// Takes products off the shelf for an order.
  func reserve(_ quantity: Int, of product: String, for orderId: String) {
    state.withLock { state in
      guard state.reserved.insert(orderId).inserted else { return }
      var level = state.levels[product] ?? Self.delivery
      if level < quantity { level += Self.delivery }
      state.levels[product] = level - quantity
    }
  }

  func level(of product: String) -> Int { state.withLock { $0.levels[product] ?? Self.delivery } }
}
