// The hash that Kafka's clients agree on for choosing a partition by key: murmur2, 32 bits, with Kafka's seed.

enum Murmur2 {
  private static let seed: UInt32 = 0x9747_B28C
  private static let multiplier: UInt32 = 0x5BD1_E995
  private static let shift: UInt32 = 24

  static func hash(_ bytes: UnsafeRawBufferPointer) -> UInt32 {
    var hash = seed ^ UInt32(truncatingIfNeeded: bytes.count)
    var index = 0
    while bytes.count - index >= 4 {
      var word = UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: index, as: UInt32.self)) &* multiplier
      word = (word ^ (word >> shift)) &* multiplier
      hash = (hash &* multiplier) ^ word
      index += 4
    }
    let rest = bytes.count - index
    if rest > 0 {
      for offset in (0..<rest).reversed() { hash ^= UInt32(bytes[index + offset]) << UInt32(8 * offset) }
      hash = hash &* multiplier
    }
    hash = (hash ^ (hash >> 13)) &* multiplier
    return hash ^ (hash >> 15)
  }

  /// The partition of a key: the hash without its sign bit, as Kafka's `toPositive` does it.
  static func partition(ofKey key: UnsafeRawBufferPointer, among count: Int) -> Int {
    Int(hash(key) & 0x7FFF_FFFF) % count
  }
}
