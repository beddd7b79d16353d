// What a run of the pipeline can be told. The command line is one way to say it, a test is another.

struct Settings: Sendable {
  /// How many orders are placed, and for how long at most; whichever is over first ends the intake.
  var orders = 100_000
  var duration: Duration?
  /// Orders a second; nil for as fast as they are worked off.
  var rate: Double?
  /// How many orders may be under way. The shop takes no more until some have come to their end.
  var openOrders = 10_000
  /// Shares of all orders, from 0 to 1: those that make no sense, those whose payment does not work at once, and those
  /// whose card is declined.
  var malformed = 0.02
  var flaky = 0.05
  var declined = 0.01
  /// Decides on all that is random here.
  var seed: UInt64 = 1
  var partitions: Int32 = 4
  /// How many instances of the payment service share its partitions; it is the one that waits for somebody.
  var paymentInstances = 4
  /// What the chaos monkey may do; nil for peace.
  var chaos: Chaos?
  /// Stands before the names of all topics, groups and transactional ids.
  var prefix = ""
  /// How long nothing may move before the run is given up.
  var patience: Duration = .seconds(60)
}

struct Chaos: Sendable {
  /// How long it is from one strike to the next, on average.
  var interval: Duration = .milliseconds(300)
  /// After how many strikes there is peace; nil for never.
  var strikes: Int?
}

/// The topics of the pipeline. All have the same partitions, so that an order stays in the one that its id gives it.
///
///     order-placed ──▶ payment ─┬▶ payment-processed ──▶ inventory ──▶ inventory-updated ─┬▶ notification, cache
///          │    ▲               └▶ payment-failed ──▶ notification                        └▶ fulfilment ──▶ order-fulfilled
///          ▼    │ redrive
///     order-placed-dlt
struct Topics: Sendable {
  let prefix: String

  var orderPlaced: String { prefix + "order-placed" }
  var paymentProcessed: String { prefix + "payment-processed" }
  var paymentFailed: String { prefix + "payment-failed" }
  var inventoryUpdated: String { prefix + "inventory-updated" }
  var orderFulfilled: String { prefix + "order-fulfilled" }
  var customerNotified: String { prefix + "customer-notified" }
  /// Orders that cannot be processed.
  var deadLetters: String { prefix + "order-placed-dlt" }
  /// The payment provider's own book: a record for every time that a card was charged.
  var ledger: String { prefix + "provider-ledger" }

  var all: [String] {
    [
      orderPlaced, paymentProcessed, paymentFailed, inventoryUpdated, orderFulfilled, customerNotified, deadLetters,
      ledger,
    ]
  }
}
