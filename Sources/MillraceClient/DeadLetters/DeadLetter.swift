// Why a record is in a dead-letter topic, as one value whoever wrote it. Reading is in `DeadLetter+Dialects`, writing in
// `DeadLetter+Writing`.

/// What is known about a record that could not be processed.
///
/// ```swift
/// for try await record in consumer.records {
///   guard let letter = DeadLetter(record.headers) else { continue }
///   print(letter.topic ?? "?", letter.offset ?? -1, letter.exceptionMessage ?? letter.message ?? "no reason given")
/// }
/// ```
///
/// Nothing is certain to be there: the writers differ, and a header that makes no sense counts as missing.
public struct DeadLetter: Sendable, Hashable {
  /// Whose headers these are.
  public enum Dialect: String, Sendable, CaseIterable {
    /// `__dlq.errors.*`: Kafka's share groups (KIP-1191) and Millrace.
    case kafka
    /// `__streams.errors.*`: Kafka Streams (KIP-1034).
    case streams
    /// `__connect.errors.*`: Kafka Connect (KIP-298).
    case connect
    /// `kafka_dlt-*`: Spring for Apache Kafka.
    case spring
  }

  /// Whose headers it was read from.
  public var dialect: Dialect
  /// Where the record came from.
  public var topic: String?
  /// The partition that the record came from.
  public var partition: Int32?
  /// The record's offset there.
  public var offset: Int64?
  /// The record's timestamp there, in milliseconds since 1970.
  public var timestamp: Int64?
  /// Who could not process it: the consumer group, or the connector.
  public var group: String?
  /// How often a broker handed it out.
  public var deliveryCount: Int?
  /// How often the client tried.
  public var attempts: Int?
  /// Why it was given up, in a sentence.
  public var message: String?
  /// The type of the last error.
  public var exceptionClass: String?
  /// What the last error said.
  public var exceptionMessage: String?
  /// Where the last error happened.
  public var stackTrace: String?
  /// When it failed first, in milliseconds since 1970.
  public var firstFailureTimestamp: Int64?
  /// How often it was put back to where it came from and failed again.
  public var replays = 0

  /// A letter about a record that a consumer could not process.
  public init(topic: String, partition: Int32, offset: Int64, group: String? = nil) {
    dialect = .kafka
    self.topic = topic
    self.partition = partition
    self.offset = offset
    self.group = group
  }

  /// A letter about a record that a consumer of its own, not a ``RecordWorker``, gives up.
  ///
  /// ```swift
  /// let letter = DeadLetter(of: record, group: "billing", failure, attempts: 3)
  /// try await transaction.enqueue(letter.producerRecord(for: record, to: "orders-dlt"))
  /// ```
  ///
  /// - Parameters:
  ///   - record: the record that is given up.
  ///   - group: the consumer group that could not process it.
  ///   - failure: why. With verdict `.reject` the letter says that the record was rejected, otherwise that it had no
  ///     attempts left.
  ///   - attempts: how many there were.
  public init(of record: ConsumerRecord, group: String?, _ failure: HandlerFailure, attempts: Int) {
    self.init(topic: record.topic, partition: record.partition, offset: record.offset, group: group)
    timestamp = record.timestamp
    self.attempts = attempts
    deliveryCount = attempts
    message = failure.verdict == .reject ? RetryPolicy.rejected : RetryPolicy.exhausted
    exceptionClass = failure.exceptionClass
    exceptionMessage = failure.message
    stackTrace = failure.stackTrace
    replays = DeadLetter.replays(in: record.headers)
  }

  init(_ dialect: Dialect) {
    self.dialect = dialect
  }
}

extension DeadLetter {
  /// A letter about a record of which `failures` attempts failed, the last one with `failure`.
  ///
  /// - Parameter reason: why it is given up, in Kafka's words (KIP-1191); nil when it is not yet.
  init(
    _ delivery: RecordDelivery, group: String?, failure: HandlerFailure, failures: Int, firstFailureTimestamp: Int64,
    reason: String?
  ) {
    self.init(of: delivery.record, group: group, failure, attempts: failures)
    // It may have come by retry topics.
    let origin = delivery.origin
    (topic, partition, offset) = (origin.topic, origin.partition, origin.offset)
    timestamp = origin.timestamp
    message = reason
    self.firstFailureTimestamp = firstFailureTimestamp
  }
}
