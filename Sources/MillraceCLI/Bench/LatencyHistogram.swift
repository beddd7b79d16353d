// How often each latency was seen, to within 1 %: buckets that double in width every 128 values. 64 buckets-of-buckets
// cover all of Int64 in 58 KiB.

struct LatencyHistogram: Sendable {
  private static let linearBits = 7
  private var counts = [Int64](repeating: 0, count: (64 - linearBits) << linearBits)
  private(set) var count: Int64 = 0

  mutating func add(_ value: Int64) {
    counts[Self.bucket(UInt64(max(0, value)))] += 1
    count += 1
  }

  /// A value that the given fraction of all values does not exceed; 0 without values.
  func value(at fraction: Double) -> Int64 {
    guard count > 0 else { return 0 }
    let rank = max(1, min(count, Int64((fraction * Double(count)).rounded(.up))))
    var seen: Int64 = 0
    for (bucket, number) in counts.enumerated() where number > 0 {
      seen += number
      if seen >= rank { return Self.upperBound(bucket) }
    }
    return 0
  }

  /// Below 128 a bucket a value; above, 128 buckets for each doubling.
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
