// Spans of time as people and as Kafka's tools write them.

enum DurationText {
  /// Milliseconds of `500ms`, `30s`, `5m`, `2h`, `7d`, or of ISO 8601 as Kafka's tools take it: `PT5M`, `P1DT2H30M`, `P2W`.
  /// Nil if it is none of these or too large.
  static func milliseconds(_ text: String) -> Int64? {
    let upper = text.uppercased()
    return upper.hasPrefix("P") || upper.hasPrefix("-P") ? isoMilliseconds(upper) : unitMilliseconds(text)
  }

  private static func unitMilliseconds(_ text: String) -> Int64? {
    let units: [(String, Int64)] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)]
    for (suffix, factor) in units where text.hasSuffix(suffix) {
      guard let count = Int64(text.dropLast(suffix.count)), count >= 0 else { continue }
      let (product, overflow) = count.multipliedReportingOverflow(by: factor)
      return overflow ? nil : product
    }
    return nil
  }

  private static func isoMilliseconds(_ text: String) -> Int64? {
    var rest = text[...]
    let sign: Double = rest.first == "-" ? -1 : 1
    if sign < 0 { rest.removeFirst() }
    rest.removeFirst()  // P
    var inTime = false
    var total = 0.0
    var parts = 0
    while let first = rest.first {
      if first == "T", !inTime {
        inTime = true
        rest.removeFirst()
        guard !rest.isEmpty else { return nil }
        continue
      }
      guard let end = rest.firstIndex(where: \.isLetter), let number = Double(rest[..<end]), number.isFinite else {
        return nil
      }
      let unit: Double
      switch (rest[end], inTime) {
      case ("W", false): unit = 7 * 86_400_000
      case ("D", false): unit = 86_400_000
      case ("H", true): unit = 3_600_000
      case ("M", true): unit = 60_000
      case ("S", true): unit = 1000
      default: return nil
      }
      total += number * unit
      parts += 1
      rest = rest[rest.index(after: end)...]
    }
    return parts > 0 && total.magnitude < 9.0e18 ? Int64(sign * total) : nil
  }
}
