// Kafka's UUID: 16 bytes, shown as URL-safe base64 without padding (22 characters).

public struct Uuid: Hashable, Sendable {
  public let high: UInt64
  public let low: UInt64

  public init(high: UInt64, low: UInt64) {
    self.high = high
    self.low = low
  }

  public static let zero = Uuid(high: 0, low: 0)

  /// The topic id of `__cluster_metadata`.
  public static let metadataTopic = Uuid(high: 0, low: 1)

  /// A version 4 UUID, none of the reserved ones, and never one whose text begins with a dash, since that would look
  /// like an option on a command line.
  public static func random(using generator: inout some RandomNumberGenerator) -> Uuid {
    while true {
      let high: UInt64 = generator.next() & ~0xF000 | 0x4000
      let low: UInt64 = generator.next() & ~(0b11 << 62) | (0b10 << 62)
      let uuid = Uuid(high: high, low: low)
      if !uuid.description.hasPrefix("-") { return uuid }
    }
  }

  public static func random() -> Uuid {
    var generator = SystemRandomNumberGenerator()
    return random(using: &generator)
  }
}

extension Uuid: CustomStringConvertible {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

  public var description: String {
    // 22 digits of six bits, the first from the top; the last holds two bits and four zeros.
    String(unsafeUninitializedCapacity: 22) { text in
      for index in 0..<22 { text[index] = Self.alphabet[Int(digit(index))] }
      return 22
    }
  }

  private func digit(_ index: Int) -> UInt64 {
    let shift = 122 - 6 * index
    if shift >= 64 { return high >> UInt64(shift - 64) & 63 }
    if shift >= 0 { return (low >> UInt64(shift) | (shift > 58 ? high << UInt64(64 - shift) : 0)) & 63 }
    return low << UInt64(-shift) & 63
  }

  /// From the text form; nil unless it is exactly 16 bytes, written the one way `description` writes them.
  public init?(base64 text: String) {
    let digits = text.utf8.map { Self.alphabet.firstIndex(of: $0) }
    guard digits.count == 22 else { return nil }
    var high: UInt64 = 0
    var low: UInt64 = 0
    for (index, digit) in digits.enumerated() {
      guard let digit else { return nil }
      let bits = index == 21 ? 2 : 6
      let value = UInt64(digit) >> UInt64(6 - bits)
      if index == 21, digit & 0b1111 != 0 { return nil }
      high = high << UInt64(bits) | low >> UInt64(64 - bits)
      low = low << UInt64(bits) | value
    }
    self.init(high: high, low: low)
  }
}
