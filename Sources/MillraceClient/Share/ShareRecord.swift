// What a share consumer hands out, and what can be said of it.

import NIOCore

/// What became of a record.
public enum Acknowledgement: Int8, Sendable, Hashable, CaseIterable {
  /// It was processed.
  case accept = 1
  /// It could not be processed now: somebody gets it again, until its group's delivery limit is reached.
  case release = 2
  /// It can never be processed: nobody gets it again.
  case reject = 3
  /// It is still being processed: its lock begins anew (KIP-1222), and it is acknowledged again later.
  case renew = 4
}

/// A record that was delivered to a member of a share group, under a lock that keeps it from the others.
public struct ShareRecord: Sendable {
  /// The record as it was read.
  public let record: ConsumerRecord
  /// How many times it was delivered, with this time.
  public let deliveryCount: Int

  /// The topic that it is from.
  public var topic: String { record.topic }
  /// The partition that it is from, counted from 0.
  public var partition: Int32 { record.partition }
  /// The partition that it is from.
  public var topicPartition: TopicPartition { record.topicPartition }
  /// The record's place in its partition.
  public var offset: Int64 { record.offset }
  /// Milliseconds since 1970.
  public var timestamp: Int64 { record.timestamp }
  /// The record's key.
  public var key: ByteBuffer? { record.key }
  /// The record's value.
  public var value: ByteBuffer? { record.value }
  /// The headers in their order; names may repeat.
  public var headers: [RecordHeader] { record.headers }
}

/// What a broker answered to acknowledgements of records of one partition.
public struct AcknowledgementReport: Sendable {
  /// The partition that the records are of.
  public var topicPartition: TopicPartition
  /// Which records were acknowledged, and how.
  public var acknowledgements: [Int64: Acknowledgement]
  /// Nil when all were taken. Otherwise records whose locks have run out come again.
  public var error: KafkaError?
}
