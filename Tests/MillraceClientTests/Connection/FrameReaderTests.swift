import NIOCore
import Testing

@testable import MillraceClient

@Suite struct FrameReaderTests {
  private func frame(_ payload: String) -> ByteBuffer {
    var buffer = ByteBuffer()
    buffer.writeInteger(Int32(payload.utf8.count))
    buffer.writeString(payload)
    return buffer
  }

  private func frames(_ reader: inout FrameReader) throws -> [String] {
    var frames: [String] = []
    while let next = try reader.next() { frames.append(String(buffer: next)) }
    return frames
  }

  @Test func `frames are the same however the bytes are cut`() throws {
    let payloads = ["first", "", "the third one", String(repeating: "x", count: 300)]
    var bytes = ByteBuffer()
    for payload in payloads { bytes.writeImmutableBuffer(frame(payload)) }
    for size in 1...bytes.readableBytes {
      var reader = FrameReader(limit: 1000)
      var rest = bytes
      var seen: [String] = []
      while let piece = rest.readSlice(length: min(size, rest.readableBytes)), piece.readableBytes > 0 {
        reader.receive(piece)
        seen += try frames(&reader)
      }
      #expect(seen == payloads, "in pieces of \(size)")
    }
  }

  @Test func `a size above the limit is refused`() {
    var reader = FrameReader(limit: 10)
    reader.receive(frame("12345678901"))
    #expect(throws: FrameReader.Failure.tooLarge(11, limit: 10)) { try reader.next() }
  }

  @Test func `a negative size is refused`() {
    var reader = FrameReader(limit: 10)
    reader.receive(ByteBuffer(integer: Int32(-1)))
    #expect(throws: FrameReader.Failure.negativeSize(-1)) { try reader.next() }
  }

  @Test func `a size alone allocates little`() throws {
    var reader = FrameReader(limit: .max)
    reader.receive(ByteBuffer(integer: Int32.max))
    #expect(try reader.next() == nil)
    reader.receive(ByteBuffer(string: "a few bytes"))
    #expect(try reader.next() == nil)
  }
}
