// What is written about one order, over all topics, and what is wrong with it.

/// How often each thing happened to an order.
struct OrderHistory: Sendable, Equatable {
  var placed = 0
  var redriven = 0
  var letters = 0
  var charges = 0
  var payments = 0
  var failures = 0
  var inventoryUpdates = 0
  var notifications = 0
  var fulfilments = 0

  /// Letters that nobody put back.
  var openLetters: Int { letters - redriven }

  enum Ending: Sendable { case fulfilled, failed, deadLettered }

  /// What became of the order; nil when that is nothing, or more than one thing.
  var ending: Ending? {
    switch (fulfilments, failures, openLetters) {
    case (1, 0, 0): .fulfilled
    case (0, 1, 0): .failed
    case (0, 0, 1): .deadLettered
    default: nil
    }
  }

  /// What is wrong with an order, in the order of how bad it is.
  enum Violation: String, Sendable, CaseIterable {
    case chargedTwice = "charged more than once"
    case lost = "lost"
    case severalEndings = "with more than one ending"
    case duplicated = "with an event written twice"
    case fulfilledUnpaid = "fulfilled without a charge"
    case chargedForNothing = "charged and not fulfilled"
    case incomplete = "with a step left out"
    case placedTwice = "placed more than once"
    case neverPlaced = "never placed"
  }

  var violations: [Violation] {
    var violations: [Violation] = []
    func check(_ isWrong: Bool, _ violation: Violation) { if isWrong { violations.append(violation) } }
    check(charges > 1, .chargedTwice)
    check(placed > 0 && fulfilments + failures + openLetters <= 0, .lost)
    check(fulfilments.signum() + failures.signum() + max(0, openLetters).signum() > 1, .severalEndings)
    check(
      max(payments, failures, inventoryUpdates, notifications, fulfilments, openLetters) > 1 || openLetters < 0,
      .duplicated)
    check(fulfilments > 0 && charges == 0, .fulfilledUnpaid)
    check(fulfilments == 0 && charges > 0, .chargedForNothing)
    check(isIncomplete, .incomplete)
    check(placed > 1, .placedTwice)
    check(placed == 0, .neverPlaced)
    return violations
  }

  private var isIncomplete: Bool {
    switch ending {
    case .fulfilled: payments == 0 || inventoryUpdates == 0 || notifications == 0
    case .failed: notifications == 0
    case .deadLettered, nil: false
    }
  }
}
