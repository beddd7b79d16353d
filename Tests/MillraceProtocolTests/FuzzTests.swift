// Broken bytes: decoders refuse or understand them, and never trap. The entry is the one a fuzzer drives.

import MessageSchema
import MillraceProtocol
import NIOCore
import Testing

@Suite struct FuzzTests {
  private static let inputCount = 50_000
  private static let mutationsPerMessage = 25

  @Test func `mutated messages are refused or read, and what is read can be written and read again`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("fuzz seed: \(seed)")
    var random = SplitMix(seed: seed)
    let messages = try Schemas.messages()
    var read = 0
    for _ in 0..<Self.inputCount / Self.mutationsPerMessage {
      let message = try #require(messages.randomElement(using: &random))
      let version = Int16.random(in: message.versions, using: &random)
      let original = Array(RandomMessage.bytes(message, version: version, seed: random.next()).readableBytesView)
      let type = try #require(Schemas.types[message.name])
      for _ in 0..<Self.mutationsPerMessage {
        var bytes = original
        mutate(&bytes, using: &random)
        let outcome = decode(type, version: version, ByteBuffer(bytes: bytes))
        if outcome == .stable { read += 1 }
        if outcome == .unstable {
          Issue.record("\(message.name) version \(version): \(hex(ByteBuffer(bytes: bytes)))")
        }
      }
    }
    // Otherwise the mutations are so coarse that nothing behind the first field is ever reached.
    #expect(read > Self.inputCount / 20)
  }

  @Test func `noise is refused or read`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("fuzz seed: \(seed)")
    var random = SplitMix(seed: seed)
    for _ in 0..<Self.inputCount / 5 {
      let count = Int.random(in: 0...60, using: &random)
      let bytes = (0..<count).map { _ in UInt8.random(in: 0...255, using: &random) }
      if bytes.withUnsafeBytes(decodeAnything) == .unstable { Issue.record("\(bytes)") }
    }
  }

  private func mutate(_ bytes: inout [UInt8], using random: inout SplitMix) {
    for _ in 0..<Int.random(in: 1...3, using: &random) {
      guard !bytes.isEmpty else { return }
      let index = Int.random(in: 0..<bytes.count, using: &random)
      switch Int.random(in: 0..<7, using: &random) {
      case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
      case 1: bytes[index] ^= 1 << UInt8.random(in: 0..<8, using: &random)
      case 2: bytes.removeSubrange(index...)
      case 3: bytes.remove(at: index)
      case 4: bytes.insert(UInt8.random(in: 0...255, using: &random), at: index)
      case 5: for place in index..<min(index + 4, bytes.count) { bytes[place] = 0xFF }
      default: bytes.replaceSubrange(index..<min(index + 4, bytes.count), with: [0x7F, 0xFF, 0xFF, 0xFF])
      }
    }
  }
}
