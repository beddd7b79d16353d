// Headers and frames as bytes.

import MillraceProtocol
import NIOCore
import Testing

@Suite struct HeaderTests {
  @Test func `an ApiVersions v3 request has a flexible header with a plain client id`() throws {
    let frame = try encodeRequest(
      ApiVersionsRequest(clientSoftwareName: "ab", clientSoftwareVersion: "1"), version: 3, correlationId: 7,
      clientId: "me")
    #expect(
      hex(frame.buffer)
        == """
        00000013 0012 0003 00000007 0002 6d65 00
        03 6162 02 31 00
        """.filter(\.isHexDigit))
    var reader = MessageReader(frame.buffer.dropping(4))
    let header = try RequestHeader.read(from: &reader)
    #expect(header == RequestHeader(apiKey: .apiVersions, apiVersion: 3, correlationId: 7, clientId: "me"))
    let request = try ApiVersionsRequest(from: &reader, version: header.apiVersion)
    #expect(request.clientSoftwareName == "ab")
    #expect(reader.remaining == 0)
  }
}
