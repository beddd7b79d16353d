// Base64 (RFC 4648, padded): in SCRAM's messages, and in the program's output for keys and values that are not text.

package enum Base64 {
  private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)

  package static func encode(_ bytes: some Collection<UInt8>) -> String {
    var text: [UInt8] = []
    text.reserveCapacity((bytes.count + 2) / 3 * 4)
    var group: UInt32 = 0
    var held = 0
    func put(_ count: Int) {
      for place in 0..<count { text.append(alphabet[Int(group >> UInt32(18 - 6 * place)) & 63]) }
      for _ in count..<4 { text.append(UInt8(ascii: "=")) }
    }
    for byte in bytes {
      group |= UInt32(byte) << UInt32(16 - 8 * held)
      held += 1
      if held == 3 {
        put(4)
        (group, held) = (0, 0)
      }
    }
    if held > 0 { put(held + 1) }
    return String(decoding: text, as: UTF8.self)
  }

  /// Nil if `text` is not Base64.
  package static func decode(_ text: String) -> [UInt8]? {
    let digits = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }.reversed()
    guard text.utf8.count % 4 == 0, text.utf8.count - digits.count <= 2 else { return nil }
    var bytes: [UInt8] = []
    var bits: UInt32 = 0
    var held = 0
    for digit in digits {
      guard let value = alphabet.firstIndex(of: digit) else { return nil }
      bits = bits << 6 | UInt32(value)
      held += 6
      if held >= 8 {
        held -= 8
        bytes.append(UInt8(truncatingIfNeeded: bits >> UInt32(held)))
      }
    }
    return bits & (1 << UInt32(held) - 1) == 0 ? bytes : nil
  }
}
