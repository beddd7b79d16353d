// Every message at every version: bytes made from the schema are read, written again, and must be the same bytes.

import MessageSchema
import MillraceProtocol
import NIOCore
import Testing

@Suite struct RoundTripTests {
  @Test func `the catalogue holds exactly the messages of the schemas`() throws {
    let names = try Schemas.messages().map(\.name)
    #expect(Set(names).count == names.count)
    #expect(Set(names) == Set(Schemas.types.keys))
  }

  @Test func `every message at every version gives back the bytes it was read from`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("round trip seed: \(seed)")
    var random = SplitMix(seed: seed)
    for message in try Schemas.messages() {
      let type = try #require(Schemas.types[message.name])
      #expect(type.validVersions == message.versions)
      #expect(type.flexibleVersions == message.flexibleVersions)
      for version in message.versions {
        for _ in 0..<4 {
          let messageSeed = random.next()
          let bytes = RandomMessage.bytes(message, version: version, seed: messageSeed)
          try roundTrip(type, version: version, bytes, seed: messageSeed)
        }
      }
    }
  }

  private func roundTrip<M: VersionedMessage>(
    _ type: M.Type, version: Int16, _ bytes: ByteBuffer, seed: UInt64
  ) throws {
    let place: Comment = "\(type) version \(version) seed \(seed): \(hex(bytes))"
    var reader = MessageReader(bytes)
    let message: M
    do {
      message = try M(from: &reader, version: version)
    } catch {
      Issue.record("\(error) reading \(place)")
      return
    }
    #expect(reader.remaining == 0, place)
    var writer = MessageWriter()
    do {
      try message.write(to: &writer, version: version)
    } catch {
      Issue.record("\(error) writing \(place)")
      return
    }
    #expect(writer.buffer == bytes, place)
    var again = MessageReader(writer.buffer)
    #expect(try M(from: &again, version: version) == message, place)
    // No prefix of a message is a message.
    for length in stride(from: 0, to: bytes.readableBytes, by: max(1, bytes.readableBytes / 7)) {
      var cut = MessageReader(bytes.getSlice(at: 0, length: length) ?? ByteBuffer())
      #expect(throws: ProtocolError.self, place) { try M(from: &cut, version: version) }
    }
  }

  @Test func `a version outside of the valid ones is neither read nor written`() {
    for type in MessageCatalog.everything {
      for version in [type.validVersions.lowerBound - 1, type.validVersions.upperBound + 1] {
        refuses(type, version: version)
      }
    }
  }

  private func refuses<M: VersionedMessage>(_ type: M.Type, version: Int16) {
    let expected = ProtocolError.unsupportedVersion(version, of: "\(type)")
    var reader = MessageReader(ByteBuffer(repeating: 0, count: 500))
    #expect(throws: expected) { try M(from: &reader, version: version) }
  }
}
