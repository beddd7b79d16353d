// Where records without a key go: to one partition until it has had about a batch, then to another at random. Batches
// are full that way, and every partition gets the same in the long run (KIP-480, counted in bytes as in KIP-794).
//
// The change comes between two batches: one that was left before it is full would wait for its linger.

struct StickyPartition {
  /// The batch that the present partition's next record would go to.
  enum Batch {
    case none
    case filling
    case full
  }

  private(set) var current: Int?
  private var byteCount = 0

  /// Whether the next record goes elsewhere.
  func isDone(with batch: Batch, batchBytes: Int) -> Bool {
    switch batch {
    case .none: byteCount >= batchBytes
    // Records with keys may keep it filling for ever.
    case .filling: byteCount >= 2 * batchBytes
    case .full: true
    }
  }

  /// Goes on to another partition. `candidates` are those with a leader, or all when there is none.
  mutating func move(among count: Int, candidates: [Int], using generator: inout some RandomNumberGenerator) -> Int {
    byteCount = 0
    let others = candidates.count > 1 ? candidates.filter { $0 != current } : candidates
    let chosen = others.randomElement(using: &generator) ?? Int.random(in: 0..<count, using: &generator)
    current = chosen
    return chosen
  }

  mutating func took(_ bytes: Int) {
    byteCount += bytes
  }
}

/// A small generator for choices that need not be secret; the same seed gives the same choices.
struct SplitMix64: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) {
    state = seed
  }

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var word = state
    word = (word ^ (word >> 30)) &* 0xBF58_476D_1CE4_E5B9
    word = (word ^ (word >> 27)) &* 0x94D0_49BB_1331_11EB
    return word ^ (word >> 31)
  }
}
