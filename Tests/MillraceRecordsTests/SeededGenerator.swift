// Random values that can be had again: a failing test prints the seed.

struct SeededGenerator: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  /// SplitMix64.
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  mutating func bytes(_ count: Int) -> [UInt8] {
    (0..<(count + 7) / 8).map { _ in next() }.withUnsafeBytes { [UInt8]($0.prefix(count)) }
  }

  /// Bytes as messages have them: neither noise nor one letter.
  mutating func text(_ count: Int) -> [UInt8] {
    var text: [UInt8] = []
    let words = ["order", "placed", "{\"id\":", "customer", "amount\":", "42.00", ",", "}", "paid", "shipped "]
      .map { [UInt8]($0.utf8) }
    while text.count < count { text += words[Int(truncatingIfNeeded: next() % 10)] }
    return Array(text.prefix(count))
  }
}
