// What goes into a producer and what comes back.

import NIOCore

/// A header of a record: a name and a value.
public struct RecordHeader: Sendable, Hashable {
  /// The header's name. A record may have several of one name.
  public var key: String
  /// The header's value; it may be null.
  public var value: ByteBuffer?

  /// A header whose value is bytes, or null.
  public init(key: String, value: ByteBuffer?) {
    self.key = key
    self.value = value
  }

  /// A header whose value is text, as UTF-8.
  public init(key: String, value: String) {
    self.init(key: key, value: ByteBuffer(string: value))
  }
}

/// A record to send.
public struct ProducerRecord: Sendable, Hashable {
  /// The topic to write to.
  public var topic: String
  /// Nil to let the key decide, or without a key the producer.
  public var partition: Int32?
  /// Decides on the partition; nil for no key.
  public var key: ByteBuffer?
  /// Nil deletes the key's earlier records from a compacted topic.
  public var value: ByteBuffer?
  /// The headers in their order; names may repeat.
  public var headers: [RecordHeader]
  /// Milliseconds since 1970; nil for the time of sending.
  public var timestamp: Int64?

  /// A record of bytes.
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

  /// A record of text, as UTF-8.
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
  /// The topic that has the record.
  public var topic: String
  /// The partition that has the record, counted from 0.
  public var partition: Int32
  /// -1 when the broker did not say: with `Acks.none`, and when it had the record already from an earlier attempt.
  public var offset: Int64
  /// Milliseconds since 1970, by the broker's clock if the topic says so.
  public var timestamp: Int64

  /// The partition that has the record.
  public var topicPartition: TopicPartition { TopicPartition(topic, partition) }
}

/// What became of a batch of records.
public struct DeliveryReport: Sendable {
  /// The topic that the batch was for.
  public var topic: String
  /// The partition that the batch was for, counted from 0.
  public var partition: Int32
  /// How many records were in the batch.
  public var recordCount: Int
  /// The offset of the first record, the others follow; -1 when the broker did not say or the batch failed.
  public var baseOffset: Int64
  /// What was given with each record, in order.
  public var tokens: [UInt64]
  /// Nil when the records were written.
  public var error: KafkaError?
}
