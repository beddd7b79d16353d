import NIOCore
import Testing

@testable import MillraceServer

@Suite struct FramingTests {
  private let framing = Framing(maxFrameBytes: 100)

  @Test func `a length that has not fully arrived is waited for`() {
    #expect(framing.head(of: ByteBuffer()) == .partial(wantedBytes: 4))
    #expect(framing.head(of: ByteBuffer(bytes: [0, 0, 0])) == .partial(wantedBytes: 4))
  }

  @Test func `a frame is complete when its last byte is there`() {
    #expect(framing.head(of: ByteBuffer(bytes: [0, 0, 0, 2, 1])) == .partial(wantedBytes: 6))
    #expect(framing.head(of: ByteBuffer(bytes: [0, 0, 0, 2, 1, 2])) == .complete(byteCount: 2))
    #expect(framing.head(of: ByteBuffer(bytes: [0, 0, 0, 2, 1, 2, 0, 0])) == .complete(byteCount: 2))
  }

  @Test func `an empty frame is a frame`() {
    #expect(framing.head(of: ByteBuffer(bytes: [0, 0, 0, 0])) == .complete(byteCount: 0))
  }

  @Test func `a negative length is invalid`() {
    #expect(framing.head(of: ByteBuffer(integer: Int32(-1))) == .invalid(.negativeLength(-1)))
    #expect(framing.head(of: ByteBuffer(integer: Int32.min)) == .invalid(.negativeLength(.min)))
  }

  @Test func `the largest length is the configured one`() {
    #expect(framing.head(of: ByteBuffer(integer: Int32(100))) == .partial(wantedBytes: 104))
    #expect(framing.head(of: ByteBuffer(integer: Int32(101))) == .invalid(.tooLarge(101, limit: 100)))
    #expect(framing.head(of: ByteBuffer(integer: Int32.max)) == .invalid(.tooLarge(Int(Int32.max), limit: 100)))
  }

  @Test func `only Produce may be larger than the other requests`() {
    let framing = Framing(maxFrameBytes: 100 << 20)
    var input = ByteBuffer(integer: Int32(20 << 20))
    #expect(framing.head(of: input) == .partial(wantedBytes: 6))
    input.writeInteger(Int16(0))
    #expect(framing.head(of: input) == .partial(wantedBytes: (20 << 20) + 4))
    input.setInteger(Int16(42), at: 4)
    #expect(framing.head(of: input) == .invalid(.tooLargeForItsKind(20 << 20, apiKey: 42)))
  }

  @Test func `a length that is the beginning of something else says so`() {
    let tls = FramingError.tooLarge(0x1603_0102, limit: 100).description
    #expect(tls.hasSuffix("(100); the client seems to use TLS on a PLAINTEXT listener"))
    let http = FramingError.tooLarge(0x4745_5420, limit: 100).description
    #expect(http.hasSuffix("(100); it sent \"GET \" and seems to be no Kafka client"))
    #expect(FramingError.tooLarge(101, limit: 100).description.hasSuffix("(100)"))
  }
}
