import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct ClassicMemberTests {
  /// With a search for each protocol this is over a billion comparisons.
  @Test func `of two protocols with one name the first counts, and many are taken in time in proportion`() {
    var offered: [JoinGroupRequest.JoinGroupRequestProtocol] = (0..<50_000).map { .init(name: "assignor-\($0)") }
    offered.append(.init(name: "assignor-7", metadata: ByteBuffer(string: "late")))
    let began = ContinuousClock.now
    let protocols = [SupportedProtocol](offered)
    #expect(ContinuousClock.now - began < .seconds(60))
    #expect(protocols.count == 50_000)
    #expect(protocols[7].metadata.readableBytes == 0)
  }
}
