// Frames that real clients and brokers sent: each is read to its last byte, and written again as the same bytes.

import Foundation
import MillraceProtocol
import NIOCore
import Testing

@Suite struct CapturedFrameTests {
  struct Captured: Sendable, CustomStringConvertible {
    var isRequest: Bool
    var api: Api
    var version: Int16
    var frame: ByteBuffer
    var speaker: String

    var description: String { "\(api.name) v\(version) \(isRequest ? "request" : "response") of \(speaker)" }
  }

  static let frames: [Captured] = {
    let file = URL(filePath: #filePath).deletingLastPathComponent().appending(path: "Fixtures/frames.txt")
    let text = (try? String(contentsOf: file, encoding: .utf8)) ?? ""
    return text.split(separator: "\n").compactMap { line in
      let parts = line.split(separator: "#", maxSplits: 1, omittingEmptySubsequences: false)
      let words = parts[0].split(separator: " ")
      guard words.count == 4, let key = Int16(words[1]), let api = Api[ApiKey(rawValue: key)],
        let version = Int16(words[2])
      else { return nil }
      return Captured(
        isRequest: words[0] == "request", api: api, version: version, frame: bytes(String(words[3])),
        speaker: parts[1].trimmingCharacters(in: .whitespaces))
    }
  }()

  @Test func `the fixtures cover many interfaces, both ways`() {
    #expect(Self.frames.count > 60)
    #expect(Set(Self.frames.filter(\.isRequest).map(\.api.key)).count >= 30)
    #expect(Set(Self.frames.filter { !$0.isRequest }.map(\.api.key)).count >= 15)
  }

  @Test(arguments: frames) func `a captured frame is understood to its last byte`(_ captured: Captured) throws {
    let type = try #require(MessageCatalog.requests.first { $0.apiKey == captured.api.key })
    if captured.isRequest {
      try readRequest(type, captured)
    } else {
      try readResponse(type, captured)
    }
  }

  private func readRequest<R: Request>(_ type: R.Type, _ captured: Captured) throws {
    var reader = MessageReader(captured.frame)
    let header = try RequestHeader.read(from: &reader)
    #expect(header.apiKey == captured.api.key)
    #expect(header.apiVersion == captured.version)
    let request = try R(from: &reader, version: captured.version)
    #expect(reader.remaining == surplus(of: captured))
    let again = try encodeRequest(
      request, version: captured.version, correlationId: header.correlationId, clientId: header.clientId)
    #expect(again.buffer.dropping(FrameLength.byteCount) == captured.frame.dropping(last: surplus(of: captured)))
  }

  /// librdkafka ends this request with one byte too many, which a broker has to put up with.
  private func surplus(of captured: Captured) -> Int {
    captured.api.key == .alterUserScramCredentials && captured.isRequest ? 1 : 0
  }

  private func readResponse<R: Request>(_ type: R.Type, _ captured: Captured) throws {
    let (correlationId, response) = try decodeResponse(to: type, version: captured.version, captured.frame)
    let again = try encodeResponse(response, version: captured.version, correlationId: correlationId)
    #expect(again.buffer.dropping(FrameLength.byteCount) == captured.frame)
  }

  // MARK: What some of them say

  private func captured(_ key: ApiKey, _ version: Int16, request: Bool) throws -> Captured {
    try #require(Self.frames.first { $0.api.key == key && $0.version == version && $0.isRequest == request })
  }

  @Test func `a captured Produce holds a batch that is a slice of the frame`() throws {
    var reader = MessageReader(try captured(.produce, 10, request: true).frame)
    _ = try RequestHeader.read(from: &reader)
    let request = try ProduceRequest(from: &reader, version: 10)
    #expect(request.acks == -1)
    #expect(request.topicData.map(\.name) == ["orders"])
    guard case .bytes(var batch) = request.topicData[0].partitionData[0].records else {
      Issue.record("no records")
      return
    }
    #expect(batch.readInteger(as: Int64.self) == 0)
    #expect(batch.readInteger(as: Int32.self).map(Int.init) == batch.readableBytes)
  }

  @Test func `a captured JoinGroup holds a subscription`() throws {
    var reader = MessageReader(try captured(.joinGroup, 5, request: true).frame)
    _ = try RequestHeader.read(from: &reader)
    let request = try JoinGroupRequest(from: &reader, version: 5)
    #expect(request.groupInstanceId == "inst")
    #expect(request.protocols.map(\.name) == ["range", "roundrobin"])
    for proposal in request.protocols {
      let subscription = try ConsumerProtocol.decode(ConsumerProtocolSubscription.self, from: proposal.metadata)
      #expect(subscription.topics == ["orders"])
      #expect(subscription.rackId == "rack-a")
    }
  }
}
