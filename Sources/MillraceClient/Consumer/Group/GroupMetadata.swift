// The blobs that members of a classic group exchange through the coordinator: what a member is subscribed to, and what
// the leader gives it.
//
//    ┌───────────┬──────────────────────────────────────────────┐
//    │ version 2 │ ConsumerProtocolSubscription or …Assignment  │
//    └───────────┴──────────────────────────────────────────────┘
//
// Members of other clients and newer versions write them too: a version that we do not know is read as the last we do,
// since versions only ever add at the end.

import MillraceProtocol
import NIOCore

struct GroupSubscription: Sendable, Equatable {
  private static let version: Int16 = 1

  var topics: [String]
  var userData: ByteBuffer?
  var ownedPartitions: [TopicPartition] = []
  var rack: String?

  init(topics: [String], ownedPartitions: [TopicPartition] = []) {
    self.topics = topics
    self.ownedPartitions = ownedPartitions
  }

  init(decoding bytes: ByteBuffer) throws(ProtocolError) {
    let message = try ConsumerProtocolSubscription(decodingVersioned: bytes)
    topics = message.topics
    userData = message.userData
    ownedPartitions = message.ownedPartitions.flatMap { topic in
      topic.partitions.map { TopicPartition(topic.topic, $0) }
    }
    rack = message.rackId
  }

  func encoded() throws(ProtocolError) -> ByteBuffer {
    try ConsumerProtocolSubscription(
      topics: topics, userData: userData,
      ownedPartitions: ownedPartitions.groupedByTopic().map { .init(topic: $0.topic, partitions: $0.partitions) }
    )
    .encodedVersioned(Self.version)
  }
}

struct GroupAssignment: Sendable, Equatable {
  private static let version: Int16 = 1

  var partitions: [TopicPartition]
  var userData: ByteBuffer?

  init(partitions: [TopicPartition]) {
    self.partitions = partitions
  }

  /// No bytes at all stand for no partitions: a member that joined after the assignment was made gets that.
  init(decoding bytes: ByteBuffer) throws(ProtocolError) {
    guard bytes.readableBytes > 0 else {
      partitions = []
      return
    }
    let message = try ConsumerProtocolAssignment(decodingVersioned: bytes)
    partitions = message.assignedPartitions.flatMap { topic in topic.partitions.map { TopicPartition(topic.topic, $0) }
    }
    .sorted()
    userData = message.userData
  }

  func encoded() throws(ProtocolError) -> ByteBuffer {
    try ConsumerProtocolAssignment(
      assignedPartitions: partitions.groupedByTopic().map { .init(topic: $0.topic, partitions: $0.partitions) },
      userData: userData
    )
    .encodedVersioned(Self.version)
  }
}

extension VersionedMessage {
  fileprivate init(decodingVersioned bytes: ByteBuffer) throws(ProtocolError) {
    var reader = MessageReader(bytes)
    let version = try reader.readInt16()
    guard version >= Self.validVersions.lowerBound else {
      throw .unsupportedVersion(version, of: "\(Self.self)")
    }
    try self.init(from: &reader, version: min(version, Self.validVersions.upperBound))
  }

  fileprivate func encodedVersioned(_ version: Int16) throws(ProtocolError) -> ByteBuffer {
    var writer = MessageWriter()
    writer.writeInt16(version)
    try write(to: &writer, version: version)
    return writer.buffer
  }
}
