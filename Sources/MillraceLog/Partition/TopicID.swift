// The 16 bytes that name a topic for good (KIP-516). In text, as in `partition.metadata`, they are 22 characters of
// unpadded base64 in the URL alphabet. Data directories and clusters are named the same way.

package struct TopicID: Hashable, Sendable, CustomStringConvertible {
  package var high: UInt64
  package var low: UInt64

  package init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  package static let zero = TopicID(high: 0, low: 0)

  /// A version 4 uuid.
  package static func random(using generator: inout some RandomNumberGenerator) -> TopicID {
    let high: UInt64 = generator.next()
    let low: UInt64 = generator.next()
    return TopicID(high: high & ~0xF000 | 0x4000, low: low & ~(3 << 62) | 2 << 62)
  }

  /// The bits of three characters. Ids are random: half of the bits of two are different, hardly ever less than a third.
  private static let mostDamagedBits = 18

  /// Whether this can be what damage to a few characters has left of `other`, and no other topic's id.
  package func isNear(_ other: TopicID) -> Bool {
    (high ^ other.high).nonzeroBitCount + (low ^ other.low).nonzeroBitCount <= Self.mostDamagedBits
  }

  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
  private static let characterCount = 22

  package var description: String {
    String(decoding: (0..<Self.characterCount).map { Self.alphabet[Int(sextet($0))] }, as: UTF8.self)
  }

  /// Reads what `description` writes.
  package init?(_ text: some StringProtocol) {
    guard text.utf8.count == Self.characterCount else { return nil }
    self = .zero
    for (index, character) in text.utf8.enumerated() {
      guard let value = Self.alphabet.firstIndex(of: character) else { return nil }
      setSextet(index, UInt64(value))
    }
    guard description == text else { return nil }
  }

  // Six bits at a time over the 128, from the top; the 22nd character holds the last two in its upper bits.
  private func sextet(_ index: Int) -> UInt64 {
    let from = 128 - 6 * (index + 1)
    if from < 0 { return low << UInt64(-from) & 0x3F }
    if from >= 64 { return high >> UInt64(from - 64) & 0x3F }
    if from + 6 <= 64 { return low >> UInt64(from) & 0x3F }
    return (high << UInt64(64 - from) | low >> UInt64(from)) & 0x3F
  }

  private mutating func setSextet(_ index: Int, _ value: UInt64) {
    let from = 128 - 6 * (index + 1)
    if from < 0 {
      low |= value >> UInt64(-from)
    } else if from >= 64 {
      high |= value << UInt64(from - 64)
    } else {
      low |= value << UInt64(from)
      if from + 6 > 64 { high |= value >> UInt64(64 - from) }
    }
  }
}
