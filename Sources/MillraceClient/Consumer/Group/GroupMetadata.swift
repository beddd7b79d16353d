// The blobs that members of a classic group exchange through the coordinator: what a member is subscribed to, and what
// the leader gives it.
//
//    ┌───────────┬──────────────────────────────────────────────┐
//    │ version 2 │ ConsumerProtocolSubscription or …Assignment  │
//    └───────────┴──────────────────────────────────────────────┘
//
// Members that use the sticky assignor have given up everything by the time they join. What they had is in the
// subscription's user data, in a layout of the Java client's (int32, big-endian):
//
//    [topic string, [partition]] generation
//
// Members of other clients and newer versions write them too: a version that we do not know is read as the last we do,
// since versions only ever add at the end.

import MillraceProtocol
import NIOCore

struct GroupSubscription: Sendable, Equatable {
  private static let version: Int16 = 3

  var topics: [String]
  var userData: ByteBuffer?
  var ownedPartitions: [TopicPartition] = []
  /// Since which generation they are owned.
  var generation: Int32 = -1
  var rack: String?

  init(topics: [String], ownedPartitions: [TopicPartition] = [], generation: Int32 = -1) {
    self.topics = topics
    self.ownedPartitions = ownedPartitions
    self.generation = generation
  }

  /// What a member joins with, for the case that the group chooses `assignor`.
  init(_ joining: ClassicMembership.Joining, for assignor: GroupAssignor) {
    self.init(topics: joining.topics.sorted())
    switch assignor {
    case .range, .roundRobin: break
    case .sticky:
      if !joining.last.isEmpty { userData = Self.stickyData(joining.last, joining.lastGeneration) }
    case .cooperativeSticky:
      ownedPartitions = joining.owned
      generation = joining.lastGeneration
    }
  }

  /// What the member had before, and since which generation.
  var previous: (partitions: [TopicPartition], generation: Int32) {
    guard ownedPartitions.isEmpty, let userData, let previous = try? Self.previous(fromStickyData: userData) else {
      return (ownedPartitions, generation)
    }
    return previous
  }

  private static func stickyData(_ partitions: [TopicPartition], _ generation: Int32) -> ByteBuffer {
    let topics = partitions.groupedByTopic()
    var data = ByteBuffer()
    data.writeInteger(Int32(topics.count))
    for (topic, indexes) in topics {
      data.writeInteger(Int16(topic.utf8.count))
      data.writeString(topic)
      data.writeInteger(Int32(indexes.count))
      for index in indexes { data.writeInteger(index) }
    }
    data.writeInteger(generation)
    return data
  }

  private static func previous(
    fromStickyData data: ByteBuffer
  ) throws(ProtocolError) -> (partitions: [TopicPartition], generation: Int32) {
    var reader = MessageReader(data)
    var partitions: [TopicPartition] = []
    for _ in 0..<max(0, try reader.readInt32()) {
      let topic = try reader.readString(false)
      for _ in 0..<max(0, try reader.readInt32()) { partitions.append(TopicPartition(topic, try reader.readInt32())) }
    }
    // The first version of the layout had no generation.
    return (partitions, (try? reader.readInt32()) ?? -1)
  }

  init(decoding bytes: ByteBuffer) throws(ProtocolError) {
    let message = try ConsumerProtocolSubscription(decodingVersioned: bytes)
    topics = message.topics
    userData = message.userData
    ownedPartitions = message.ownedPartitions.flatMap { topic in
      topic.partitions.map { TopicPartition(topic.topic, $0) }
    }
    generation = message.generationId
    rack = message.rackId
  }

  func encoded() throws(ProtocolError) -> ByteBuffer {
    try ConsumerProtocolSubscription(
      topics: topics, userData: userData,
      ownedPartitions: ownedPartitions.groupedByTopic().map { .init(topic: $0.topic, partitions: $0.partitions) },
      generationId: generation, rackId: rack
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
