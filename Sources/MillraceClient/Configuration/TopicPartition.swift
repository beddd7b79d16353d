/// A partition of a topic.
public struct TopicPartition: Hashable, Sendable {
  /// The topic's name.
  public var topic: String
  /// Counted from 0.
  public var partition: Int32

  /// A partition of a topic.
  public init(topic: String, partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  /// A partition of a topic.
  public init(_ topic: String, _ partition: Int32) {
    self.init(topic: topic, partition: partition)
  }
}

extension TopicPartition: Comparable {
  public static func < (left: Self, right: Self) -> Bool {
    left.topic == right.topic ? left.partition < right.partition : left.topic < right.topic
  }
}

extension TopicPartition: CustomStringConvertible {
  public var description: String { "\(topic)-\(partition)" }
}

extension Sequence<TopicPartition> {
  /// The partitions by topic, as most requests list them.
  func groupedByTopic() -> [(topic: String, partitions: [Int32])] {
    Dictionary(grouping: self, by: \.topic)
      .map { (topic: $0.key, partitions: $0.value.map(\.partition).sorted()) }
      .sorted { $0.topic < $1.topic }
  }
}

extension [TopicPartition: OffsetAndMetadata] {
  /// The offsets by topic, as requests that commit list them.
  func groupedByTopic() -> [(topic: String, offsets: [(partition: Int32, offset: OffsetAndMetadata)])] {
    keys.groupedByTopic().map { topic, partitions in
      (topic, partitions.compactMap { index in self[TopicPartition(topic, index)].map { (index, $0) } })
    }
  }
}

/// An offset of a consumer group, as committed or to be committed.
public struct OffsetAndMetadata: Hashable, Sendable {
  /// The offset of the next record to read.
  public var offset: Int64
  /// The leader epoch of the record before, when known.
  public var leaderEpoch: Int32?
  /// A remark of whoever committed it.
  public var metadata: String

  /// An offset to commit: that of the next record to read.
  public init(offset: Int64, leaderEpoch: Int32? = nil, metadata: String = "") {
    self.offset = offset
    self.leaderEpoch = leaderEpoch
    self.metadata = metadata
  }
}

/// What a reader may see of transactions.
public enum IsolationLevel: Int8, Sendable {
  /// Every record, also of transactions that are open or were aborted.
  case readUncommitted = 0
  /// Records of committed transactions and those without one, up to the first transaction that is open.
  case readCommitted = 1
}
