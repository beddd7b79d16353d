// The primitive encodings as bytes.

import MillraceProtocol
import NIOCore
import Testing

@Suite struct PrimitiveTests {
  private func written(_ body: (inout MessageWriter) throws -> Void) rethrows -> String {
    var writer = MessageWriter()
    try body(&writer)
    return hex(writer.buffer)
  }

  private func reader(_ hex: String) -> MessageReader { MessageReader(bytes(hex)) }

  @Test func `numbers are big-endian`() throws {
    #expect(written { $0.writeInt8(-2) } == "fe")
    #expect(written { $0.writeInt16(0x0102) } == "0102")
    #expect(written { $0.writeUInt16(0xFFFE) } == "fffe")
    #expect(written { $0.writeInt32(-1) } == "ffffffff")
    #expect(written { $0.writeUInt32(0x8000_0001) } == "80000001")
    #expect(written { $0.writeInt64(0x0102_0304_0506_0708) } == "0102030405060708")
    #expect(written { $0.writeBool(true) } == "01")
    #expect(written { $0.writeFloat64(1.5) } == "3ff8000000000000")
    var reader = reader("fe 0102 fffe ffffffff 80000001 0102030405060708 02 3ff8000000000000")
    #expect(try reader.readInt8() == -2)
    #expect(try reader.readInt16() == 0x0102)
    #expect(try reader.readUInt16() == 0xFFFE)
    #expect(try reader.readInt32() == -1)
    #expect(try reader.readUInt32() == 0x8000_0001)
    #expect(try reader.readInt64() == 0x0102_0304_0506_0708)
    #expect(try reader.readBool())
    #expect(try reader.readFloat64() == 1.5)
    #expect(reader.remaining == 0)
    #expect(reader.offset == 30)
    #expect(throws: ProtocolError.truncated(at: 30)) { try reader.readInt8() }
  }

  @Test(
    arguments: [
      (0, "00"), (1, "01"), (127, "7f"), (128, "8001"), (300, "ac02"), (16383, "ff7f"), (16384, "808001"),
      (UInt32.max, "ffffffff0f"),
    ] as [(UInt32, String)])
  func `an unsigned varint has seven bits a byte, low ones first`(_ value: UInt32, _ text: String) throws {
    #expect(written { $0.writeUnsignedVarint(value) } == text)
    var reader = reader(text)
    #expect(try reader.readUnsignedVarint() == value)
  }

  @Test(
    arguments: [(0, "00"), (-1, "01"), (1, "02"), (-2, "03"), (150, "ac02"), (.min, "ffffffff0f")] as [(Int32, String)])
  func `a varint is zigzag`(_ value: Int32, _ text: String) throws {
    #expect(written { $0.writeVarint(value) } == text)
    var reader = reader(text)
    #expect(try reader.readVarint() == value)
  }

  @Test(arguments: [(-1, "01"), (.max, "feffffffffffffffff01"), (.min, "ffffffffffffffffff01")] as [(Int64, String)])
  func `a varlong takes up to ten bytes`(_ value: Int64, _ text: String) throws {
    #expect(written { $0.writeVarlong(value) } == text)
    var reader = reader(text)
    #expect(try reader.readVarlong() == value)
  }

  @Test func `a varint that is too long or too large is refused`() {
    for text in ["8080808080 00", "ffffffff10", "ffffffffff 01"] {
      var reader = reader(text)
      #expect(throws: ProtocolError.invalidVarint(at: 0)) { try reader.readUnsignedVarint() }
    }
    for text in ["ffffffffffffffffff02", "ffffffffffffffffffff01"] {
      var reader = reader(text)
      #expect(throws: ProtocolError.invalidVarint(at: 0)) { try reader.readVarlong() }
    }
    var cut = reader("80")
    #expect(throws: ProtocolError.truncated(at: 1)) { try cut.readUnsignedVarint() }
  }

  @Test func `strings have a length of two bytes, or a varint of one more`() throws {
    #expect(try written { try $0.writeString("hé", false) } == "000368c3a9")
    #expect(try written { try $0.writeString("hé", true) } == "0468c3a9")
    #expect(try written { try $0.writeNullableString(nil, false) } == "ffff")
    #expect(try written { try $0.writeNullableString(nil, true) } == "00")
    #expect(try written { try $0.writeString("", true) } == "01")
    var reader = reader("000368c3a9 0468c3a9 ffff 00 01")
    #expect(try reader.readString(false) == "hé")
    #expect(try reader.readNullableString(true) == "hé")
    #expect(try reader.readNullableString(false) == nil)
    #expect(try reader.readNullableString(true) == nil)
    #expect(try reader.readString(true) == "")
  }

  @Test func `a string that is not UTF-8 is refused, not repaired`() {
    for text in ["0002 c328", "0001 ff", "0003 eda080", "0002 c0af"] {
      var reader = reader(text)
      #expect(throws: ProtocolError.invalidUTF8(at: 2)) { try reader.readString(false) }
    }
  }

  @Test func `lengths are held against what is there`() {
    #expect(throws: ProtocolError.invalidLength(5, at: 2)) {
      var reader = reader("0005 6161")
      _ = try reader.readString(false)
    }
    #expect(throws: ProtocolError.invalidLength(-2, at: 2)) {
      var reader = reader("fffe 6161")
      _ = try reader.readNullableString(false)
    }
    #expect(throws: ProtocolError.invalidLength(0x7FFF_FFFF, at: 4)) {
      var reader = reader("7fffffff 00")
      _ = try reader.readBytes(false)
    }
    #expect(throws: ProtocolError.invalidLength(0xFFFF_FFFE, at: 5)) {
      var reader = reader("ffffffff0f 00")
      _ = try reader.readBytes(true)
    }
    // A string stays within 32767 bytes in the compact form too.
    #expect(throws: ProtocolError.invalidLength(32768, at: 3)) {
      var writer = MessageWriter()
      writer.writeUnsignedVarint(32769)
      writer.buffer.writeRepeatingByte(0x61, count: 32768)
      var reader = MessageReader(writer.buffer)
      _ = try reader.readString(true)
    }
  }

  @Test func `null where there must be a value is refused`() {
    var plain = reader("ffff")
    #expect(throws: ProtocolError.unexpectedNull(at: 2)) { try plain.readString(false) }
    var compact = reader("00")
    #expect(throws: ProtocolError.unexpectedNull(at: 1)) { try compact.readBytes(true) }
  }

  @Test func `a string over 32767 bytes is not written`() throws {
    let longest = String(repeating: "a", count: 32767)
    #expect(try written { try $0.writeString(longest, true) }.hasPrefix("808002"))
    for flexible in [false, true] {
      var writer = MessageWriter()
      #expect(throws: ProtocolError.tooLong(32768)) { try writer.writeString(longest + "a", flexible) }
    }
  }

  @Test func `bytes are a slice of what is read`() throws {
    var reader = reader("00000002 abcd 03 abcd ffffffff")
    #expect(try reader.readBytes(false) == ByteBuffer(bytes: [0xAB, 0xCD]))
    #expect(try reader.readNullableBytes(true) == ByteBuffer(bytes: [0xAB, 0xCD]))
    #expect(try reader.readNullableBytes(false) == nil)
  }
}

@Suite struct UuidTests {
  @Test func `a UUID is sixteen bytes, shown as base64 for URLs`() throws {
    let uuid = Uuid(high: 0x0001_0203_0405_0607, low: 0x0809_0A0B_0C0D_FEFF)
    #expect(uuid.description == "AAECAwQFBgcICQoLDA3-_w")
    #expect(Uuid(base64: "AAECAwQFBgcICQoLDA3-_w") == uuid)
    var writer = MessageWriter()
    writer.writeUuid(uuid)
    #expect(hex(writer.buffer) == "000102030405060708090a0b0c0dfeff")
    var reader = MessageReader(writer.buffer)
    #expect(try reader.readUuid() == uuid)
    #expect(Uuid.zero.description == "AAAAAAAAAAAAAAAAAAAAAA")
    #expect(Uuid.metadataTopic.description == "AAAAAAAAAAAAAAAAAAAAAQ")
  }

  @Test func `every UUID is found again from its text`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("uuid seed: \(seed)")
    var random = SplitMix(seed: seed)
    for _ in 0..<500 {
      let uuid = Uuid(high: random.next(), low: random.next())
      #expect(Uuid(base64: uuid.description) == uuid)
      let drawn = Uuid.random(using: &random)
      #expect(drawn.high >> 12 & 0xF == 4 && drawn.low >> 62 == 0b10)
      #expect(!drawn.description.hasPrefix("-"))
    }
  }

  @Test(arguments: ["", "AAAA", "AAECAwQFBgcICQoLDA3+/w", "AAECAwQFBgcICQoLDA3-_x", "AAECAwQFBgcICQoLDA3-_wA"])
  func `text that is not sixteen bytes is no UUID`(_ text: String) {
    #expect(Uuid(base64: text) == nil)
  }
}
