import CMillraceCodecs
import Testing

@testable import MillraceRecords

@Suite struct `CRC-32C` {
  static func checksum(_ bytes: [UInt8]) -> UInt32 { bytes.withUnsafeBytes { CRC32C.checksum($0) } }
  static func portable(_ bytes: [UInt8]) -> UInt32 {
    bytes.withUnsafeBytes { millrace_crc32c_portable().pointee.checksum(0, $0.baseAddress, $0.count) }
  }

  /// RFC 3720, appendix B.4, and the usual check value.
  static let vectors: [(bytes: [UInt8], checksum: UInt32)] = [
    ([], 0),
    (Array("123456789".utf8), 0xE306_9283),
    ([UInt8](repeating: 0, count: 32), 0x8A91_36AA),
    ([UInt8](repeating: 0xFF, count: 32), 0x62A8_AB43),
    (Array(0..<32), 0x46DD_794E),
    (Array((0..<32).reversed()), 0x113F_DB5C),
    (
      [
        0x01, 0xC0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x14, 0, 0, 0, 0, 0, 0x04, 0, 0, 0, 0, 0x14, 0, 0, 0,
        0x18,
        0x28, 0, 0, 0, 0, 0, 0, 0, 0x02, 0, 0, 0, 0, 0, 0, 0,
      ], 0xD996_3A56
    ),
  ]

  @Test func `the published vectors come out, with and without instructions`() {
    for vector in Self.vectors {
      #expect(Self.checksum(vector.bytes) == vector.checksum)
      #expect(Self.portable(vector.bytes) == vector.checksum)
    }
  }

  @Test func `instructions and tables agree on every length, alignment and start`() throws {
    let hardware = try #require(millrace_crc32c_hardware(), "this machine has no CRC instructions to compare")
    var random = SeededGenerator(seed: 32)
    let noise = random.bytes(3 * 4096 + 3 * 512 + 3 * 64 + 200)
    var lengths = Array(0...700)
    lengths += [1535, 1536, 1537, 4096, 12287, 12288, 12289, noise.count - 16]
    noise.withUnsafeBytes { noise in
      for length in lengths {
        let offset = Int.random(in: 0..<16, using: &random)
        let start = UInt32(truncatingIfNeeded: random.next())
        let bytes = noise.baseAddress! + offset
        #expect(
          hardware.pointee.checksum(start, bytes, length)
            == millrace_crc32c_portable().pointee.checksum(start, bytes, length),
          "length \(length), offset \(offset), start \(start)")
      }
    }
  }

  @Test func `a checksum continues over pieces`() {
    var random = SeededGenerator(seed: 33)
    let bytes = random.bytes(5000)
    for cut in [0, 1, 7, 8, 100, 4999, 5000] {
      let pieces = bytes[cut...].withUnsafeBytes { CRC32C.update(Self.checksum(Array(bytes[..<cut])), $0) }
      #expect(pieces == Self.checksum(bytes))
    }
  }

  @Test func `a change at the beginning moves the checksum without reading what follows`() {
    var random = SeededGenerator(seed: 34)
    for length in [0, 1, 2, 61, 1000, 65_537, 1 << 20] {
      let rest = random.bytes(length)
      let before = random.bytes(40)
      let after = random.bytes(40)
      let difference = Self.checksum(before) ^ Self.checksum(after)
      let moved = Self.checksum(before + rest) ^ CRC32C.shift(difference, over: length)
      #expect(moved == Self.checksum(after + rest), "length \(length)")
      for implementation in [millrace_crc32c_portable(), millrace_crc32c_hardware()].compactMap(\.self) {
        #expect(implementation.pointee.shift(difference, length) == CRC32C.shift(difference, over: length))
      }
    }
  }
}
