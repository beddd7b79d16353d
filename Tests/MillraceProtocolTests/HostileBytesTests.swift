// Bytes that claim more than they are. What they make us allocate is bounded by what they really hold.

import MillraceProtocol
import NIOCore
import Testing

@Suite struct HostileBytesTests {
  @Test func `an array may not claim more elements than the rest could hold`() throws {
    // Two billion topics in four bytes, and one more than fits.
    for (count, claimed) in [("7fffffff", 0x7FFF_FFFF), ("00000003", 3)] {
      var reader = MessageReader(bytes(count + "0000 0000"))
      #expect(throws: ProtocolError.invalidLength(claimed, at: 4)) { try MetadataRequest(from: &reader, version: 0) }
    }
    var reader = MessageReader(bytes("00000002 0000 0000"))
    #expect(try MetadataRequest(from: &reader, version: 0).topics?.count == 2)
  }

  @Test func `a section may not claim more tagged fields than the rest could hold`() {
    var reader = MessageReader(bytes("0000 ffffffff07 0000"))
    #expect(throws: ProtocolError.invalidLength(0x7FFF_FFFF, at: 7)) {
      try SnapshotFooterRecord(from: &reader, version: 0)
    }
  }

  @Test func `a message may not bring tens of thousands of tagged fields of almost nothing`() throws {
    func read(_ count: Int) throws -> Int {
      var frame = ByteBuffer(integer: Int16(0))
      frame.writeBytes([UInt8(count & 0x7F) | 0x80, UInt8(count >> 7 & 0x7F) | 0x80, UInt8(count >> 14)])
      for _ in 0..<count { frame.writeBytes([0x7F, 0]) }
      var reader = MessageReader(frame)
      return try SnapshotFooterRecord(from: &reader, version: 0).unknownTaggedFields.count
    }
    #expect(try read(4000) == 4000)
    #expect(throws: ProtocolError.self) { try read(50_000) }
  }

  @Test func `a large count that proves true only in part fails after that part`() throws {
    var writer = MessageWriter()
    writer.writeInt32(1_000_000)
    // Room for a million names by their smallest size, but the first claims it all.
    writer.writeInt16(32767)
    writer.buffer.writeRepeatingByte(0xFF, count: 2_000_000)
    var reader = MessageReader(writer.buffer)
    #expect(throws: ProtocolError.invalidUTF8(at: 6)) { try MetadataRequest(from: &reader, version: 0) }
  }

  @Test(arguments: [Int32(0), 1, 1000]) func `a frame length within the limit is taken`(_ length: Int32) throws {
    #expect(try FrameLength.check(length, maximum: 1000) == Int(length))
  }

  @Test(arguments: [Int32(-1), .min, 1001, .max]) func `a frame length out of bounds is refused`(_ length: Int32) {
    #expect(throws: FrameLength.Refused(length: length, maximum: 1000)) {
      try FrameLength.check(length, maximum: 1000)
    }
  }
}
