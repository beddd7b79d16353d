import Testing

@testable import OrderPipeline

@Suite("The audit")
struct AuditTests {
  /// Takes orders through all their steps; with `without` or `twice` some is left out or done again.
  private func audit(
    _ orders: [String], without: WritableKeyPath<OrderHistory, Int>? = nil,
    twice: WritableKeyPath<OrderHistory, Int>? = nil
  ) -> Audit {
    let steps: [WritableKeyPath<OrderHistory, Int>] = [
      \.placed, \.charges, \.payments, \.inventoryUpdates, \.notifications, \.fulfilments,
    ]
    var audit = Audit()
    for order in orders {
      for step in steps where step != without {
        audit.note(order, step)
        if step == twice { audit.note(order, step) }
      }
    }
    return audit
  }

  private func violations(_ history: OrderHistory) -> Set<OrderHistory.Violation> { Set(history.violations) }

  @Test func `orders that came to their end hold`() {
    let report = audit(["o-1", "o-2"]).report(orders: ["o-1", "o-2"])
    #expect(report.holds)
    #expect(report.fulfilled == 2 && report.charges == 2)
    #expect(report.text.hasSuffix("the audit holds"))
  }

  @Test func `an order that came to no end is lost`() {
    var audit = audit(["o-1"])
    audit.note("o-2", \.placed)
    let report = audit.report(orders: ["o-1", "o-2"])
    #expect(!report.holds)
    #expect(report.violations == [.lost: 1])
    #expect(report.examples[.lost] == ["o-2"])
    #expect(report.text.hasSuffix("THE AUDIT FAILED"))
  }

  @Test func `an order of which nothing is written was never placed`() {
    let report = audit(["o-1"]).report(orders: ["o-1", "o-2"])
    #expect(report.violations == [.neverPlaced: 1])
  }

  @Test func `an order that nobody placed is found`() {
    let report = audit(["o-1", "o-2"]).report(orders: ["o-1"])
    #expect(!report.holds && report.unknown == ["o-2"])
  }

  @Test func `a second charge is found`() {
    let report = audit(["o-1"], twice: \.charges).report(orders: ["o-1"])
    #expect(report.violations == [.chargedTwice: 1])
  }

  @Test(arguments: [\OrderHistory.payments, \.inventoryUpdates, \.notifications, \.fulfilments])
  func `an event that was written twice is found`(_ event: WritableKeyPath<OrderHistory, Int> & Sendable) {
    let report = audit(["o-1"], twice: event).report(orders: ["o-1"])
    #expect(report.violations == [.duplicated: 1])
  }

  @Test(arguments: [\OrderHistory.payments, \.inventoryUpdates, \.notifications])
  func `a step that was left out is found`(_ event: WritableKeyPath<OrderHistory, Int> & Sendable) {
    let report = audit(["o-1"], without: event).report(orders: ["o-1"])
    #expect(report.violations == [.incomplete: 1])
  }

  @Test func `an order placed twice is found`() {
    #expect(audit(["o-1"], twice: \.placed).report(orders: ["o-1"]).violations == [.placedTwice: 1])
  }

  @Test func `an order that failed and was fulfilled has two endings`() {
    var history = OrderHistory(
      placed: 1, charges: 1, payments: 1, inventoryUpdates: 1, notifications: 1, fulfilments: 1)
    history.failures = 1
    #expect(violations(history) == [.severalEndings])
    #expect(history.ending == nil)
  }

  @Test func `an order that is fulfilled and still a dead letter has two endings`() {
    let history = OrderHistory(
      placed: 1, letters: 1, charges: 1, payments: 1, inventoryUpdates: 1, notifications: 1, fulfilments: 1)
    #expect(violations(history) == [.severalEndings])
  }

  @Test func `what was fulfilled was paid for, and what was charged is fulfilled`() {
    let unpaid = OrderHistory(placed: 1, payments: 1, inventoryUpdates: 1, notifications: 1, fulfilments: 1)
    #expect(violations(unpaid) == [.fulfilledUnpaid])
    #expect(violations(OrderHistory(placed: 1, charges: 1, failures: 1, notifications: 1)) == [.chargedForNothing])
    #expect(violations(OrderHistory(placed: 1, letters: 1, charges: 1)) == [.chargedForNothing])
  }

  @Test func `a failed order and a dead letter are endings too`() {
    var audit = Audit()
    for event in [\OrderHistory.placed, \.failures, \.notifications] { audit.note("o-1", event) }
    for event in [\OrderHistory.placed, \.letters] { audit.note("o-2", event) }
    let report = audit.report(orders: ["o-1", "o-2"])
    #expect(report.holds && report.failed == 1 && report.deadLettered == 1)
  }

  @Test func `a dead letter that was put back is no ending`() {
    let lost = OrderHistory(placed: 1, redriven: 1, letters: 1)
    #expect(violations(lost) == [.lost])
    let fulfilled = OrderHistory(
      placed: 1, redriven: 1, letters: 1, charges: 1, payments: 1, inventoryUpdates: 1, notifications: 1,
      fulfilments: 1)
    #expect(violations(fulfilled).isEmpty && fulfilled.ending == .fulfilled)
  }

  @Test func `a letter that was put back more often than it was written is found`() {
    #expect(violations(OrderHistory(placed: 1, redriven: 2, letters: 1)).contains(.duplicated))
  }

  @Test func `a stale cache fails the audit`() {
    var report = audit(["o-1"]).report(orders: ["o-1"])
    report.staleProducts = 1
    #expect(!report.holds)
  }
}
