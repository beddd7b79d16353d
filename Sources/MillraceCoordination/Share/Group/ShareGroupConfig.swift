// The settings that share groups obey, under Kafka's names and with Kafka's defaults: a group's own, or where it has
// none the broker's (`ConfigResolver.shareGroup`).

package struct ShareGroupConfig: Sendable, Equatable {
  package enum IsolationLevel: String, Sendable {
    case readUncommitted = "read_uncommitted"
    case readCommitted = "read_committed"
  }

  /// `group.share.session.timeout.ms`, or the group's `share.session.timeout.ms`
  package var sessionTimeoutMs: Int32 = 45_000
  /// `group.share.heartbeat.interval.ms`, or the group's `share.heartbeat.interval.ms`
  package var heartbeatIntervalMs: Int32 = 5_000
  /// `group.share.max.size`
  package var maxSize: Int32 = 200
  /// `group.share.initialize.retry.interval.ms`: after so long an initialization that nobody heard of is tried again.
  package var initializeRetryIntervalMs: Int64 = 30_000
  /// How records are treated: locks, deliveries, retries.
  package var policy = SharePolicy()
  /// `share.auto.offset.reset`
  package var autoOffsetReset = ShareOffsetReset.latest
  /// `share.isolation.level`
  package var isolationLevel = IsolationLevel.readUncommitted
  /// `share.renew.acknowledge.enable`: a member may prolong its lock of a record.
  package var allowsRenewal = true
  /// `errors.deadletterqueue.topic.name`; nil: what is given up is only archived.
  package var deadLetterTopic: String?
  /// `errors.deadletterqueue.copy.record.enable`: a dead letter carries the record, not only where it is.
  package var copiesRecordIntoDeadLetter = true

  package init() {}
}

/// Where a share group begins with a partition that it has not consumed yet.
package enum ShareOffsetReset: Sendable, Equatable {
  case earliest
  case latest
  /// So many milliseconds ago.
  case byDuration(Int64)

  /// Nil for a text that says none of these: `earliest`, `latest`, `by_duration:PnDTnHnMn.nS`.
  package init?(_ text: String) {
    let durationPrefix = "by_duration:"
    switch text {
    case "earliest": self = .earliest
    case "latest": self = .latest
    case _ where text.hasPrefix(durationPrefix):
      guard let ms = isoDurationMs(text.dropFirst(durationPrefix.count)), ms >= 0 else { return nil }
      self = .byDuration(ms)
    default: return nil
    }
  }
}

/// ISO 8601's `PnDTnHnMn.nS` in milliseconds, as `java.time.Duration` reads it: upper or lower case, each number with a
/// sign of its own, a fraction of up to nine digits on the seconds.
private func isoDurationMs(_ text: Substring) -> Int64? {
  var rest = text.uppercased()[...]
  let isNegated = rest.first == "-"
  if isNegated || rest.first == "+" { rest.removeFirst() }
  guard rest.popFirst() == "P" else { return nil }
  var units: [(sign: Character, ms: Int64)] = [("D", 86_400_000)]
  var total: Int64 = 0
  var isEmpty = true
  while let next = rest.first {
    if next == "T", units.first?.sign == "D" || units.isEmpty, rest.count > 1 {
      rest.removeFirst()
      units = [("H", 3_600_000), ("M", 60_000), ("S", 1_000)]
      continue
    }
    let number = rest.prefix { !$0.isLetter }
    rest = rest[number.endIndex...]
    guard let sign = rest.popFirst(), let unit = units.firstIndex(where: { $0.sign == sign }),
      let ms = milliseconds(number, times: units[unit].ms, isFractionAllowed: sign == "S")
    else { return nil }
    let (sum, overflow) = total.addingReportingOverflow(ms)
    if overflow { return nil }
    total = sum
    // Units come in this order, each once.
    units.removeSubrange(...unit)
    isEmpty = false
  }
  return isEmpty ? nil : isNegated ? 0 &- total : total
}

private func milliseconds(_ number: Substring, times factor: Int64, isFractionAllowed: Bool) -> Int64? {
  let parts = number.split(maxSplits: 1, omittingEmptySubsequences: false) { $0 == "." || $0 == "," }
  guard let whole = parts.first.flatMap({ Int64($0) }) else { return nil }
  let (product, overflow) = whole.multipliedReportingOverflow(by: factor)
  if overflow { return nil }
  guard parts.count == 2 else { return product }
  guard isFractionAllowed, parts[1].utf8.count <= 9, parts[1].utf8.allSatisfy({ (48...57).contains($0) }) else {
    return nil
  }
  let thousandths = Int64((parts[1] + "000").prefix(3)) ?? 0
  let (sum, tooMuch) = product.addingReportingOverflow(number.first == "-" ? -thousandths : thousandths)
  return tooMuch ? nil : sum
}
