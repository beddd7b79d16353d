// Writes dead letters with Kafka's headers (KIP-1191) and a few more that a client knows and a broker does not. The record
// itself stays as it was, byte for byte: its key, value, timestamp and headers, of which only earlier headers of the same
// kind go.

import NIOCore

extension DeadLetter {
  /// The headers, in Kafka's dialect whichever one the letter was read from. Texts are cut where they are too long.
  public var headers: [RecordHeader] {
    var headers: [RecordHeader] = []
    func add(_ name: String, _ value: String?, limit: Int = textLimit) {
      guard let value else { return }
      headers.append(RecordHeader(key: kafkaPrefix + name, value: Self.bounded(value, to: limit)))
    }
    add("topic", topic)
    add("partition", partition.map { "\($0)" })
    add("offset", offset.map { "\($0)" })
    add("group", group)
    add("delivery.count", deliveryCount.map { "\($0)" })
    add("message", message)
    add("exception.class", exceptionClass)
    add("exception.message", exceptionMessage)
    add("exception.stacktrace", stackTrace, limit: Self.stackTraceLimit)
    add("attempts", attempts.map { "\($0)" })
    add("first.failure.timestamp", firstFailureTimestamp.map { "\($0)" })
    return headers
  }

  private var kafkaPrefix: String { Self.kafkaPrefix }
  private var textLimit: Int { Self.textLimit }

  /// The record to write to a dead-letter topic.
  ///
  /// - Parameters:
  ///   - record: the record that could not be processed, whose key, value and headers the letter has.
  ///   - deadLetterTopic: where the letter goes.
  ///   - partitionCount: of the dead-letter topic: the partition is the source's modulo that. Nil leaves it to the key.
  public func producerRecord(
    for record: ConsumerRecord, to deadLetterTopic: String, partitionCount: Int32? = nil
  ) -> ProducerRecord {
    let source = max(0, partition ?? record.partition)
    return ProducerRecord(
      topic: deadLetterTopic, partition: partitionCount.flatMap { $0 > 0 ? source % $0 : nil },
      key: record.key, value: record.value, headers: Self.withoutErrors(record.headers) + headers,
      timestamp: timestamp ?? record.timestamp)
  }

  /// The headers that a record had before it was dead-lettered or put off in Kafka's dialect.
  public static func withoutErrors(_ headers: [RecordHeader]) -> [RecordHeader] {
    headers.filter { !$0.key.hasPrefix(kafkaPrefix) && !$0.key.hasPrefix(RetryHeaders.prefix) }
  }
}
