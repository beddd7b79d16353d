// What a version can and cannot say, tagged fields, and splice points.

import MillraceProtocol
import NIOCore
import Testing

@Suite struct WritingTests {
  private func write(_ message: some Message, version: Int16) throws -> ByteBuffer {
    var writer = MessageWriter()
    try message.write(to: &writer, version: version)
    return writer.buffer
  }

  private func read<M: Message>(_ type: M.Type, _ text: String, version: Int16) throws -> M {
    var reader = MessageReader(bytes(text))
    let message = try M(from: &reader, version: version)
    #expect(reader.remaining == 0)
    return message
  }

  // MARK: Versions

  @Test func `a value that a version has no room for is refused`() throws {
    let request = MetadataRequest(topics: [], allowAutoTopicCreation: false)
    #expect(throws: ProtocolError.notRepresentable(field: "MetadataRequest.allowAutoTopicCreation", version: 3)) {
      try write(request, version: 3)
    }
    #expect(hex(try write(request, version: 4)) == "00000000 00".filter(\.isHexDigit))
  }

  @Test func `an ignorable value that a version has no room for is dropped`() throws {
    let response = FindCoordinatorResponse(throttleTimeMs: 9, errorMessage: "why", nodeId: 1, host: "h", port: 2)
    #expect(hex(try write(response, version: 0)) == "0000 00000001 0001 68 00000002".filter(\.isHexDigit))
  }

  @Test func `null is refused by a version that does not know it`() throws {
    let everything = MetadataRequest(topics: nil)
    #expect(throws: ProtocolError.nullNotAllowed(field: "MetadataRequest.topics", version: 0)) {
      try write(everything, version: 0)
    }
    #expect(hex(try write(everything, version: 1)) == "ffffffff")
    #expect(try read(MetadataRequest.self, "ffffffff", version: 1).topics == nil)
    #expect(throws: ProtocolError.unexpectedNull(at: 4)) {
      try read(MetadataRequest.self, "ffffffff", version: 0)
    }
  }

  @Test func `a field that a version lacks is read as its default`() throws {
    let request = try read(MetadataRequest.self, "00000000", version: 1)
    #expect(request.allowAutoTopicCreation)
    #expect(request.topics == [])
  }

  @Test func `a struct that may be null has a byte in front`() throws {
    let none = DescribeTopicPartitionsRequest(topics: [], responsePartitionLimit: 1)
    #expect(hex(try write(none, version: 0)) == "01 00000001 ff 00".filter(\.isHexDigit))
    var some = none
    some.cursor = .init(topicName: "t", partitionIndex: 7)
    #expect(hex(try write(some, version: 0)) == "01 00000001 01 0274 00000007 00 00".filter(\.isHexDigit))
    #expect(try read(DescribeTopicPartitionsRequest.self, "01 00000001 01 0274 00000007 00 00", version: 0) == some)
  }

  /// Kafka's definition leaves the default of this field a struct, so null is said aloud; in a tagged field it is a
  /// varint of 0.
  @Test func `a tagged struct that may be null tells null from absent`() throws {
    var member = ConsumerGroupMemberMetadataValue(classicMemberMetadata: nil)
    let bytes = try write(member, version: 0)
    #expect(hex(bytes).hasSuffix("01 00 01 00".filter(\.isHexDigit)))
    #expect(try read(ConsumerGroupMemberMetadataValue.self, hex(bytes), version: 0) == member)
    member.classicMemberMetadata = .init()
    #expect(hex(try write(member, version: 0)).hasSuffix("00"))
  }

  // MARK: Tagged fields

  @Test func `tagged fields are written in order of tag, and only where they differ from the default`() throws {
    let request = FetchRequest(
      clusterId: "c", replicaState: .init(replicaId: 1, replicaEpoch: 2),
      unknownTaggedFields: [
        TaggedField(tag: 300, data: bytes("beef")), TaggedField(tag: 9, data: ByteBuffer()),
      ])
    let written = hex(try write(request, version: 15))
    let tagged = "04 00 02 0263 01 0d 00000001 0000000000000002 00 09 00 ac02 02 beef".filter(\.isHexDigit)
    #expect(written.hasSuffix(tagged))
    var again = request
    again.unknownTaggedFields.reverse()
    #expect(try read(FetchRequest.self, written, version: 15) == again)
    #expect(hex(try write(FetchRequest(), version: 15)).hasSuffix("01 00".filter(\.isHexDigit)))
  }

  @Test func `a tagged field may be longer than a size of one byte can say`() throws {
    let long = String(repeating: "x", count: 200)
    let request = FetchRequest(clusterId: long, rackId: "r")
    let written = try write(request, version: 12)
    #expect(hex(written).contains("0272 01 00 ca01 c901 7878".filter(\.isHexDigit)))
    #expect(try read(FetchRequest.self, hex(written), version: 12) == request)
    let many = (10..<210).map { TaggedField(tag: $0, data: ByteBuffer(integer: UInt16($0))) }
    let crowded = FetchRequest(clusterId: "c", unknownTaggedFields: many)
    #expect(try read(FetchRequest.self, hex(try write(crowded, version: 12)), version: 12) == crowded)
  }

  @Test func `an unknown tag may not claim a defined one, nor go where there are no tags`() {
    let claiming = FetchRequest(unknownTaggedFields: [TaggedField(tag: 1, data: ByteBuffer())])
    #expect(throws: ProtocolError.taggedFieldRefused(1)) { try write(claiming, version: 15) }
    let unknown = FetchRequest(unknownTaggedFields: [TaggedField(tag: 7, data: ByteBuffer())])
    #expect(throws: ProtocolError.taggedFieldRefused(7)) { try write(unknown, version: 11) }
  }

  @Test func `a tagged field stays within its size`() throws {
    let fixed = "00000000 00000000 00000000 00 00000000 ffffffff 01 01 01"
    // Cluster id in v12: a string of one byte in a field of two.
    #expect(try read(FetchRequest.self, "ffffffff" + fixed + "01 00 02 0263", version: 12).clusterId == "c")
    for field in ["01 00 03 026300", "01 00 01 0263", "01 00 02 0363", "02 00 02 0263", "01 01 00"] {
      #expect(throws: ProtocolError.self, "\(field)") {
        try read(FetchRequest.self, "ffffffff" + fixed + field, version: 12)
      }
    }
  }

  // MARK: The buffer

  @Test func `a writer appends to the buffer it is given, wherever that begins`() throws {
    var given = bytes("aaaa bb")
    given.moveReaderIndex(forwardBy: 2)
    var writer = MessageWriter(given)
    writer.writeInt16(1)
    try FetchRequest(clusterId: String(repeating: "c", count: 150)).write(to: &writer, version: 12)
    #expect(hex(writer.buffer).hasPrefix("bb0001ffffffff"))
    var reader = MessageReader(writer.buffer.dropping(3))
    #expect(try FetchRequest(from: &reader, version: 12).clusterId?.count == 150)
    #expect(reader.remaining == 0)
  }

  @Test func `what was taken out of a writer stays as it was`() {
    var writer = MessageWriter()
    var taken: [ByteBuffer] = []
    for value in 0..<Int32(300) {
      writer.writeInt32(value)
      if value.isMultiple(of: 7) { taken.append(writer.buffer) }
    }
    let whole = writer.buffer
    #expect(whole.readableBytes == 1200)
    for (index, buffer) in taken.enumerated() {
      #expect(buffer == whole.getSlice(at: 0, length: 4 * (7 * index + 1)))
    }
    for value in 0..<300 { #expect(whole.getInteger(at: 4 * value, as: Int32.self) == Int32(value)) }
  }

  @Test func `bytes put into the buffer by hand keep their place`() {
    var writer = MessageWriter()
    writer.writeInt8(1)
    writer.buffer.writeInteger(UInt8(2))
    writer.writeInt8(3)
    #expect(hex(writer.buffer) == "010203")
  }

  // MARK: Records

  @Test func `records are written as bytes or leave a splice point`() throws {
    typealias Partition = FetchResponse.PartitionData
    let response = FetchResponse(responses: [
      .init(
        topic: "t",
        partitions: [
          Partition(partitionIndex: 0, records: .splice(id: 4, byteCount: 1000)),
          Partition(partitionIndex: 1, records: .bytes(bytes("abcd"))),
          Partition(partitionIndex: 2, records: .splice(id: 5, byteCount: 3)),
        ])
    ])
    let frame = try encodeResponse(response, version: 12, correlationId: 3)
    #expect(frame.splices.map(\.id) == [4, 5])
    #expect(frame.byteCount == frame.buffer.readableBytes + 1003)
    var whole = ByteBuffer()
    var rest = frame.buffer
    var place = 0
    for splice in frame.splices {
      whole.writeImmutableBuffer(rest.readSlice(length: splice.offset - place) ?? ByteBuffer())
      whole.writeRepeatingByte(UInt8(splice.id), count: splice.byteCount)
      place = splice.offset
    }
    whole.writeImmutableBuffer(rest)
    #expect(whole.getInteger(at: 0, as: Int32.self).map(Int.init) == whole.readableBytes - 4)
    let (correlationId, read) = try decodeResponse(to: FetchRequest.self, version: 12, whole.dropping(4))
    #expect(correlationId == 3)
    let records = read.responses[0].partitions.map(\.records)
    #expect(
      records == [
        .bytes(ByteBuffer(repeating: 4, count: 1000)), .bytes(bytes("abcd")),
        .bytes(ByteBuffer(repeating: 5, count: 3)),
      ])
  }
}
