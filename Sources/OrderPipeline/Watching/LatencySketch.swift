// How often each latency was seen, to within 4 %: up to 32 ms a bucket for each, above that 32 for every doubling.

struct LatencySketch: Sendable {
  private static let linearBits = 5
  private var counts = [Int](repeating: 0, count: (64 - linearBits) << linearBits)
  private(set) var count = 0

  mutating func add(_ milliseconds: Int64) {
    counts[Self.bucket(UInt64(max(0, milliseconds)))] += 1
    count += 1
  }

  /// A latency in milliseconds that the given share of all does not exceed, and hardly any more than that; nil without any.
  func percentile(_ share: Double) -> Int64? {
    let rank = max(1, Int((share * Double(count)).rounded(.up)))
    var seen = 0
    for (bucket, number) in counts.enumerated() where number > 0 {
      seen += number
      if seen >= rank { return Self.upperBound(bucket) }
    }
    return nil
  }

  private static func bucket(_ value: UInt64) -> Int {
    let shift = max(0, UInt64.bitWidth - value.leadingZeroBitCount - linearBits - 1)
    return shift << linearBits + Int(value >> UInt64(shift))
  }

  private static func upperBound(_ bucket: Int) -> Int64 {
    let shift = max(0, bucket >> linearBits - 1)
    let low = UInt64(bucket - shift << linearBits) << UInt64(shift)
    return Int64(clamping: low + (1 << UInt64(shift) - 1))
  }
}
