// How many orders took how long. Exact: there are never more different latencies than milliseconds in a run.

struct Latencies: Sendable {
  private var counts: [Int64: Int] = [:]
  private var count = 0

  mutating func add(_ milliseconds: Int64) {
    counts[max(0, milliseconds), default: 0] += 1
    count += 1
  }

  /// The smallest latency in milliseconds that the given share of all does not exceed; nil without any.
  func percentile(_ share: Double) -> Int64? {
    let rank = max(1, Int((share * Double(count)).rounded(.up)))
    var seen = 0
    for (milliseconds, number) in counts.sorted(by: { $0.key < $1.key }) {
      seen += number
      if seen >= rank { return milliseconds }
    }
    return nil
  }
}
