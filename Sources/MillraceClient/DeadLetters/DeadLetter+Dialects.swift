// Reads what others wrote about a record that failed. Text is UTF-8 except for Spring's numbers:
//
//                 __dlq.errors.              __streams.errors.  __connect.errors.         kafka_dlt-
//   topic         topic                      topic              topic                     original-topic
//   partition     partition                  partition          partition                 original-partition   4 bytes
//   offset        offset                     offset             offset                    original-offset      8 bytes
//   timestamp                                                                             original-timestamp   8 bytes
//   group         group                                         connector.name            original-consumer-group
//   class         exception.class            exception          exception.class.name      exception-fqcn
//   message       exception.message          message            exception.message         exception-message
//   stack         exception.stacktrace       stacktrace         exception.stacktrace      exception-stacktrace
//   reason        message
//   counts        delivery.count, attempts                                                (retry_topic-attempts 4 bytes)
//   first failure first.failure.timestamp                                                 (retry_topic-original-timestamp)
//
// Spring's numbers are big-endian. Of headers that repeat the last counts, as in Kafka: a record that failed again was
// given new ones behind the old. Everything that is read is bounded, and what cannot be read counts as missing.

import NIOCore

extension DeadLetter {
  static let replaysHeader = "__dlq.replays"
  static let kafkaPrefix = "__dlq.errors."
  private static let streamsPrefix = "__streams.errors."
  private static let connectPrefix = "__connect.errors."
  private static let springPrefix = "kafka_dlt-"

  /// How much of a text is kept.
  static let textLimit = 4 << 10
  static let stackTraceLimit = 16 << 10
  /// The longest decimal number of 64 bits.
  private static let digitsLimit = 20

  /// Reads the headers of a record in a dead-letter topic; nil when there are none of a dialect that is known.
  ///
  /// A record can have headers of more than one, as when a redriven one failed somewhere else: the first in the order
  /// of ``Dialect`` counts.
  public init?(_ headers: [RecordHeader]) {
    guard let dialect = Dialect.allCases.first(where: { dialect in headers.contains { dialect.owns($0.key) } }) else {
      return nil
    }
    self.init(dialect)
    let source = Source(headers)
    switch dialect {
    case .kafka: readKafka(source)
    case .streams: readStreams(source)
    case .connect: readConnect(source)
    case .spring: readSpring(source)
    }
    replays = Self.replays(in: headers)
  }

  /// How often a record was put back to where it came from; more than 0 is what tells one that a redrive wrote.
  public static func replays(in headers: [RecordHeader]) -> Int {
    Source(headers).count(replaysHeader) ?? 0
  }

  /// The decimal number in a header; nil without one.
  static func number(_ key: String, in headers: [RecordHeader]) -> Int64? {
    Source(headers).number(key)
  }

  private mutating func readKafka(_ source: Source) {
    let prefix = Self.kafkaPrefix
    topic = source.text(prefix + "topic")
    partition = source.partition(prefix + "partition")
    offset = source.number(prefix + "offset")
    group = source.text(prefix + "group")
    deliveryCount = source.count(prefix + "delivery.count")
    message = source.text(prefix + "message")
    exceptionClass = source.text(prefix + "exception.class")
    exceptionMessage = source.text(prefix + "exception.message")
    stackTrace = source.text(prefix + "exception.stacktrace", limit: Self.stackTraceLimit)
    attempts = source.count(prefix + "attempts")
    firstFailureTimestamp = source.number(prefix + "first.failure.timestamp")
  }

  private mutating func readStreams(_ source: Source) {
    let prefix = Self.streamsPrefix
    topic = source.text(prefix + "topic")
    partition = source.partition(prefix + "partition")
    offset = source.number(prefix + "offset")
    exceptionClass = source.text(prefix + "exception")
    exceptionMessage = source.text(prefix + "message")
    stackTrace = source.text(prefix + "stacktrace", limit: Self.stackTraceLimit)
  }

  private mutating func readConnect(_ source: Source) {
    let prefix = Self.connectPrefix
    topic = source.text(prefix + "topic")
    partition = source.partition(prefix + "partition")
    offset = source.number(prefix + "offset")
    group = source.text(prefix + "connector.name")
    exceptionClass = source.text(prefix + "exception.class.name")
    exceptionMessage = source.text(prefix + "exception.message")
    stackTrace = source.text(prefix + "exception.stacktrace", limit: Self.stackTraceLimit)
  }

  private mutating func readSpring(_ source: Source) {
    let prefix = Self.springPrefix
    topic = source.text(prefix + "original-topic")
    partition = source.integer(prefix + "original-partition", as: Int32.self)
    offset = source.integer(prefix + "original-offset", as: Int64.self)
    timestamp = source.integer(prefix + "original-timestamp", as: Int64.self)
    group = source.text(prefix + "original-consumer-group")
    exceptionClass = source.text(prefix + "exception-fqcn")
    exceptionMessage = source.text(prefix + "exception-message")
    stackTrace = source.text(prefix + "exception-stacktrace", limit: Self.stackTraceLimit)
    attempts = source.integer("retry_topic-attempts", as: Int32.self).map { Int($0) }
    firstFailureTimestamp = source.integer("retry_topic-original-timestamp", as: Int64.self)
  }
}

extension DeadLetter.Dialect {
  func owns(_ key: String) -> Bool {
    switch self {
    case .kafka: key.hasPrefix("__dlq.errors.")
    case .streams: key.hasPrefix("__streams.errors.")
    case .connect: key.hasPrefix("__connect.errors.")
    case .spring: key.hasPrefix("kafka_dlt-")
    }
  }
}

extension DeadLetter {
  /// The last value of each header.
  private struct Source {
    private var values: [String: ByteBuffer] = [:]

    init(_ headers: [RecordHeader]) {
      for header in headers { values[header.key] = header.value }
    }

    func text(_ key: String, limit: Int = DeadLetter.textLimit) -> String? {
      guard var value = values[key], let bytes = value.readSlice(length: min(value.readableBytes, limit)) else {
        return nil
      }
      return DeadLetter.bounded(String(buffer: bytes), to: limit)
    }

    /// A decimal number that is not negative.
    func number(_ key: String) -> Int64? {
      guard let value = values[key], value.readableBytes <= DeadLetter.digitsLimit,
        let number = Int64(String(buffer: value)), number >= 0
      else { return nil }
      return number
    }

    func partition(_ key: String) -> Int32? {
      number(key).flatMap { Int32(exactly: $0) }
    }

    func count(_ key: String) -> Int? {
      number(key).flatMap { Int(exactly: $0) }
    }

    /// A big-endian number that is not negative and has exactly the size of its type.
    func integer<Integer: FixedWidthInteger>(_ key: String, as type: Integer.Type) -> Integer? {
      guard let value = values[key], value.readableBytes == MemoryLayout<Integer>.size,
        let number = value.getInteger(at: value.readerIndex, as: type), number >= 0
      else { return nil }
      return number
    }
  }

  /// The text, cut between characters when its UTF-8 is longer than `limit`.
  static func bounded(_ text: String, to limit: Int) -> String {
    guard text.utf8.count > limit else { return text }
    var end = text.utf8.index(text.utf8.startIndex, offsetBy: limit)
    while end > text.startIndex, end.samePosition(in: text.unicodeScalars) == nil {
      end = text.utf8.index(before: end)
    }
    return String(text[..<end])
  }
}
