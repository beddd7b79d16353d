// What goes into a producer and what comes back.

import NIOCore

/// A header of a record: a name and a value.
public struct RecordHeader: Sendable, Hashable {
  public var key: String
  public var value: ByteBuffer?

  public init(key: String, value: ByteBuffer?) {
    self.key = key
    self.value = value
  }

  public init(key: String, value: String) {
    self.init(key: key, value: ByteBuffer(string: value))
  }
}

/// A record to send.
public struct ProducerRecord: Sendable, Hashable {
  public var topic: String
  /// Nil to let the key decide, or without a key the producer.
  public var partition: Int32?
  public var key: ByteBuffer?
  /// Nil deletes the key's earlier records from a compacted topic.
  public var value: ByteBuffer?
  public var headers: [RecordHeader]
  /// Milliseconds since 1970; nil for the time of sending.
  public var timestamp: Int64?

  public init(
    topic: String, partition: Int32? = nil, key: ByteBuffer? = nil, value: ByteBuffer?, headers: [RecordHeader] = [],
    timestamp: Int64? = nil
  ) {
    self.topic = topic
    self.partition = partition
    self.key = key
    self.value = value
    self.headers = headers
    self.timestamp = timestamp
  }

  public init(
    topic: String, partition: Int32? = nil, key: String? = nil, value: String, headers: [RecordHeader] = [],
    timestamp: Int64? = nil
  ) {
    self.init(
      topic: topic, partition: partition, key: key.map { ByteBuffer(string: $0) }, value: ByteBuffer(string: value),
      headers: headers, timestamp: timestamp)
  }
}

/// Where a record was written.
public struct RecordMetadata: Sendable, Hashable {
  public var topic: String
  public var partition: Int32
  /// -1 when the broker did not say: with `Acks.none`, and when it had the record already from an earlier attempt.
  public var offset: Int64
  /// Milliseconds since 1970, by the broker's clock if the topic says so.
  public var timestamp: Int64

  public var topicPartition: TopicPartition { TopicPartition(topic, partition) }
}

/// What became of a batch of records.
public struct DeliveryReport: Sendable {
  public var topic: String
  public var partition: Int32
  public var recordCount: Int
  /// The offset of the first record, the others follow; -1 when the broker did not say or the batch failed.
  public var baseOffset: Int64
  /// What was given with each record, in order.
  public var tokens: [UInt64]
  /// Nil when the records were written.
  public var error: KafkaError?
}
