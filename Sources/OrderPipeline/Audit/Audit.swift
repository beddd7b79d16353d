// The proof: what the topics say about every order, compared with what was ordered. It knows nothing that is not written
// there, and does not read by itself; `AuditReader` feeds it.

struct Audit: Sendable {
  private(set) var histories: [String: OrderHistory] = [:]
  private(set) var failureReasons: [String: Int] = [:]
  private(set) var letterKinds: [String: Int] = [:]
  private(set) var recordCount = 0

  mutating func note(_ orderId: String, _ event: WritableKeyPath<OrderHistory, Int>) {
    histories[orderId, default: OrderHistory()][keyPath: event] += 1
    recordCount += 1
  }

  /// Why an order failed, or was dead-lettered.
  mutating func noteFailure(reason: String) { failureReasons[reason, default: 0] += 1 }
  mutating func noteLetter(kind: String) { letterKinds[kind, default: 0] += 1 }

  /// Compares with the orders that there should be.
  func report(orders: [String]) -> AuditReport {
    var report = AuditReport()
    report.recordCount = recordCount
    report.failureReasons = failureReasons
    report.letterKinds = letterKinds
    var strangers = histories
    for orderId in orders {
      report.add(orderId, strangers.removeValue(forKey: orderId) ?? OrderHistory())
    }
    report.unknown = strangers.keys.sorted()
    return report
  }
}

/// What an audit found.
struct AuditReport: Sendable {
  /// How many examples of each violation are named.
  private static let exampleLimit = 3

  var recordCount = 0
  var orders = 0
  var fulfilled = 0
  var failed = 0
  var deadLettered = 0
  /// Of those, or of the others: how many were dead-lettered once and put back.
  var redriven = 0
  var charges = 0
  var failureReasons: [String: Int] = [:]
  var letterKinds: [String: Int] = [:]
  var violations: [OrderHistory.Violation: Int] = [:]
  var examples: [OrderHistory.Violation: [String]] = [:]
  /// Orders that nobody placed.
  var unknown: [String] = []
  /// Products whose stock the cache has wrong, which no event corrected.
  var staleProducts = 0

  var holds: Bool { violations.isEmpty && unknown.isEmpty && staleProducts == 0 }

  mutating func add(_ orderId: String, _ history: OrderHistory) {
    orders += 1
    charges += history.charges
    if history.redriven > 0 { redriven += 1 }
    switch history.ending {
    case .fulfilled: fulfilled += 1
    case .failed: failed += 1
    case .deadLettered: deadLettered += 1
    case nil: break
    }
    for violation in history.violations {
      violations[violation, default: 0] += 1
      if examples[violation, default: []].count < Self.exampleLimit { examples[violation, default: []].append(orderId) }
    }
  }
}
