// What a classic consumer says in its JoinGroup, and how it is told its partitions: the messages of the consumer
// protocol, which carry their version in front.
//
//   [version: Int16][the message]

import MillraceProtocol
import NIOCore

struct ClassicSubscription {
  let version: Int16
  let message: ConsumerProtocolSubscription

  /// Nil if the bytes are something else. A newer version is read as the last that is known: they only add fields.
  init?(_ bytes: ByteBuffer) {
    var bytes = bytes
    guard let version = bytes.readInteger(as: Int16.self), version >= 0 else { return nil }
    self.version = min(version, ConsumerProtocolSubscription.validVersions.upperBound)
    var reader = MessageReader(bytes)
    guard let message = try? ConsumerProtocolSubscription(from: &reader, version: self.version) else { return nil }
    self.message = message
  }

  /// The partitions that it has, of topics that are there.
  func owned(_ image: TopicImage) -> ConsumerGroup.OwnedPartitions {
    message.ownedPartitions.compactMap { owned in
      image[owned.topic].map { .init(topicId: $0.id, partitions: owned.partitions) }
    }
  }
}

extension PartitionsByTopic {
  /// As SyncGroup tells a consumer that subscribed in `version`. A topic that is gone is left out.
  func classicAssignment(version: Int16, _ image: TopicImage) -> ByteBuffer {
    let version = min(version, ConsumerProtocolAssignment.validVersions.upperBound)
    let assigned = sorted.compactMap { topic, partitions in
      image[topic].map { ConsumerProtocolAssignment.TopicPartition(topic: $0.name, partitions: partitions) }
    }
    var writer = MessageWriter()
    writer.writeInt16(version)
    // Names and partitions of topics that are there always fit.
    try? ConsumerProtocolAssignment(assignedPartitions: assigned).write(to: &writer, version: version)
    return writer.buffer
  }

  /// Assignors that clients bring along. The user data in what they assign says nothing: librdkafka's leaders repeat
  /// there what the member has said. (Kafka refuses it all the same.)
  private static let usualAssignors: Set<String> = ["range", "roundrobin", "sticky", "cooperative-sticky"]

  /// What a leader wrote for a consumer. Nil if it is something else, or has user data of an assignor that only the
  /// members understand: it would be lost.
  init?(classicAssignment bytes: ByteBuffer, by assignor: String?, _ image: TopicImage) {
    self.init()
    var bytes = bytes
    // It has joined and never synced.
    if bytes.readableBytes == 0 { return }
    guard let version = bytes.readInteger(as: Int16.self), version >= 0 else { return nil }
    var reader = MessageReader(bytes)
    let known = min(version, ConsumerProtocolAssignment.validVersions.upperBound)
    guard let message = try? ConsumerProtocolAssignment(from: &reader, version: known),
      assignor.map(Self.usualAssignors.contains) == true || message.userData.map({ $0.readableBytes == 0 }) ?? true
    else { return nil }
    for one in message.assignedPartitions {
      guard let topic = image[one.topic] else { continue }
      for partition in one.partitions where partition >= 0 && partition < topic.partitionCount {
        insert(topic.id, partition)
      }
    }
  }
}
