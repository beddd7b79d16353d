// The audit's result as people read it.

extension AuditReport {
  var text: String {
    var lines = ["audit: \(recordCount.grouped) records, read back from the topics as committed"]
    func line(_ count: Int, _ what: String, _ remark: String = "") {
      lines.append(count.grouped.padded(left: 12) + "  " + (remark.isEmpty ? what : what.padded(right: 16) + remark))
    }
    line(orders, "orders")
    line(fulfilled, "fulfilled", "\(charges.grouped) charges in the provider's book")
    line(failed, "failed", Self.list(failureReasons))
    line(deadLettered, "dead-lettered", "\(redriven.grouped) were redriven; letters: \(Self.list(letterKinds))")
    for violation in OrderHistory.Violation.allCases {
      guard let count = violations[violation] else {
        if violation == .lost || violation == .chargedTwice { line(0, violation.rawValue) }
        continue
      }
      line(count, violation.rawValue, "  as " + examples[violation, default: []].joined(separator: ", "))
    }
    if !unknown.isEmpty {
      line(unknown.count, "that nobody placed", "  as " + unknown.prefix(3).joined(separator: ", "))
    }
    if staleProducts > 0 { line(staleProducts, "products whose cached stock is stale") }
    lines.append(holds ? "the audit holds" : "THE AUDIT FAILED")
    return lines.joined(separator: "\n")
  }

  private static func list(_ counts: [String: Int]) -> String {
    counts.sorted { $0.key < $1.key }.map { "\($0.value.grouped) \($0.key)" }.joined(separator: ", ")
  }
}
