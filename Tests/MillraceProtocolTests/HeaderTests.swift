// Headers and frames as bytes, and the table of APIs they are chosen by.

import MillraceProtocol
import NIOCore
import Testing

@Suite struct HeaderTests {
  @Test func `an ApiVersions v3 request has a flexible header with a plain client id`() throws {
    let request = ApiVersionsRequest(clientSoftwareName: "ab", clientSoftwareVersion: "1")
    let frame = try encodeRequest(request, version: 3, correlationId: 7, clientId: "me")
    let expected = "00000013 0012 0003 00000007 0002 6d65 00 03 6162 02 31 00".filter(\.isHexDigit)
    #expect(hex(frame.buffer) == expected)
    var reader = MessageReader(frame.buffer.dropping(4))
    let header = try RequestHeader.read(from: &reader)
    #expect(header == RequestHeader(apiKey: .apiVersions, apiVersion: 3, correlationId: 7, clientId: "me"))
    #expect(try ApiVersionsRequest(from: &reader, version: header.apiVersion) == request)
    #expect(reader.remaining == 0)
  }

  @Test func `a request below the flexible versions has the old header`() throws {
    let frame = try encodeRequest(HeartbeatRequest(groupId: "g"), version: 0, correlationId: 1, clientId: nil)
    #expect(hex(frame.buffer) == "00000013 000c 0000 00000001 ffff 0001 67 00000000 0000".filter(\.isHexDigit))
  }

  @Test func `a response header has tagged fields from the flexible versions on, but never for ApiVersions`() throws {
    let plain = try encodeResponse(HeartbeatResponse(errorCode: 27), version: 3, correlationId: 5)
    #expect(hex(plain.buffer) == "0000000a 00000005 00000000 001b".filter(\.isHexDigit))
    let flexible = try encodeResponse(HeartbeatResponse(errorCode: 27), version: 4, correlationId: 5)
    #expect(hex(flexible.buffer) == "0000000c 00000005 00 00000000 001b 00".filter(\.isHexDigit))
    let versions = try encodeResponse(ApiVersionsResponse(), version: 3, correlationId: 5)
    #expect(hex(versions.buffer) == "0000000c 00000005 0000 01 00000000 00".filter(\.isHexDigit))
    #expect(
      try decodeResponse(to: ApiVersionsRequest.self, version: 3, versions.buffer.dropping(4)).response
        == ApiVersionsResponse())
  }

  @Test func `the header of a version yet to come can be read`() throws {
    var reader = MessageReader(bytes("0012 0063 00000001 0001 61 00 ffff"))
    let header = try RequestHeader.read(from: &reader)
    #expect(header.apiVersion == 99)
    #expect(header.clientId == "a")
    #expect(reader.remaining == 2)
  }

  @Test(arguments: [-1, 4, 7, 999, Int16.max, .min]) func `the header of an unknown API cannot`(_ key: Int16) {
    var writer = MessageWriter()
    writer.writeInt16(key)
    writer.buffer.writeRepeatingByte(0, count: 20)
    var reader = MessageReader(writer.buffer)
    #expect(throws: ProtocolError.unknownApi(key)) { try RequestHeader.read(from: &reader) }
  }

  @Test func `the table of interfaces agrees with their messages`() {
    #expect(Api.all.count == MessageCatalog.requests.count)
    for (api, request) in zip(Api.all, MessageCatalog.requests) { agree(api, request) }
    #expect(Api.all.filter(\.latestVersionIsUnstable).map(\.key) == [.initProducerId])
    #expect(ApiKey(rawValue: 7).name == "7")
  }

  private func agree<R: Request>(_ api: Api, _ request: R.Type) {
    #expect(api.key == R.apiKey)
    #expect(api.key == R.Response.apiKey)
    #expect("\(request)" == "\(api.name)Request")
    #expect(Api[api.key]?.name == api.name)
    #expect(api.key.name == api.name)
    #expect(api.validVersions == R.validVersions)
    #expect(api.validVersions == R.Response.validVersions)
    #expect(api.latestVersionIsUnstable == R.latestVersionIsUnstable)
    for version in api.validVersions { #expect(api.isFlexible(version) == R.isFlexible(version)) }
  }

  @Test func `an error code has a name and says whether to try again`() {
    #expect(ErrorCode.none.rawValue == 0)
    #expect(ErrorCode.unknownServerError.rawValue == -1)
    #expect(ErrorCode.offsetOutOfRange.name == "OFFSET_OUT_OF_RANGE")
    #expect(!ErrorCode.offsetOutOfRange.isRetriable)
    #expect(ErrorCode.notLeaderOrFollower.isRetriable)
    #expect(ErrorCode(rawValue: -2).name == "UNKNOWN(-2)")
    #expect(ErrorCode(rawValue: .min).name == "UNKNOWN(-32768)")
  }
}
