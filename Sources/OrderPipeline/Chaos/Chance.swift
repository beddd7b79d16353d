// Randomness that can be repeated: everything that happens by chance in a run comes from its seed.

/// Chance without state: the same seed, subject and key give the same number, whoever asks and in whatever order.
struct Chance: Sendable {
  let seed: UInt64

  /// A number in 0..<1.
  func draw(_ subject: StaticString, _ key: String, _ round: Int = 0) -> Double {
    // FNV-1a, then mixed: neighbouring keys must not have neighbouring fates.
    var hash = seed ^ 0xcbf2_9ce4_8422_2325
    func take(_ byte: UInt8) { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
    subject.withUTF8Buffer { $0.forEach(take) }
    key.utf8.forEach(take)
    var generator = SplitMix64(state: hash &+ UInt64(truncatingIfNeeded: round) &* SplitMix64.step)
    return Double.random(in: 0..<1, using: &generator)
  }
}

/// Steele, Lea and Flood's generator: small, fast, and good enough for a monkey.
struct SplitMix64: RandomNumberGenerator {
  static let step: UInt64 = 0x9e37_79b9_7f4a_7c15
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= Self.step
    var word = state
    word = (word ^ (word >> 30)) &* 0xbf58_476d_1ce4_e5b9
    word = (word ^ (word >> 27)) &* 0x94d0_49bb_1331_11eb
    return word ^ (word >> 31)
  }
}
