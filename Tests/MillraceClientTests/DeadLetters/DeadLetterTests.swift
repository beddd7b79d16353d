// Headers as the writers of dead letters make them, and as nobody should.

import NIOCore
import Testing

@testable import MillraceClient

@Suite struct DeadLetterTests {
  private func header(_ key: String, bytes: [UInt8]) -> RecordHeader {
    RecordHeader(key: key, value: ByteBuffer(bytes: bytes))
  }

  @Test func `a letter is written with Kafka's headers and read back`() {
    var letter = DeadLetter(topic: "orders", partition: 3, offset: 42, group: "billing")
    letter.deliveryCount = 5
    letter.message = "Offset delivery count exceeded the threshold."
    letter.exceptionClass = "Billing.Refused"
    letter.exceptionMessage = "no such customer: Jörg"
    letter.stackTrace = "0 main"
    letter.attempts = 3
    letter.firstFailureTimestamp = 1_700_000_000_000
    let expected: [(String, String)] = [
      ("__dlq.errors.topic", "orders"), ("__dlq.errors.partition", "3"), ("__dlq.errors.offset", "42"),
      ("__dlq.errors.group", "billing"), ("__dlq.errors.delivery.count", "5"),
      ("__dlq.errors.message", "Offset delivery count exceeded the threshold."),
      ("__dlq.errors.exception.class", "Billing.Refused"),
      ("__dlq.errors.exception.message", "no such customer: Jörg"), ("__dlq.errors.exception.stacktrace", "0 main"),
      ("__dlq.errors.attempts", "3"), ("__dlq.errors.first.failure.timestamp", "1700000000000"),
    ]
    #expect(letter.headers == expected.map { RecordHeader(key: $0.0, value: $0.1) })
    #expect(DeadLetter(letter.headers) == letter)
  }

  @Test func `Spring's binary numbers are understood`() throws {
    let letter = try #require(
      DeadLetter([
        RecordHeader(key: "kafka_dlt-original-topic", value: "orders"),
        header("kafka_dlt-original-partition", bytes: [0, 0, 1, 2]),
        header("kafka_dlt-original-offset", bytes: [0, 0, 0, 0, 0, 1, 0, 0]),
        header("kafka_dlt-original-timestamp", bytes: [0, 0, 0x01, 0x8B, 0xCF, 0xE5, 0x68, 0]),
        RecordHeader(key: "kafka_dlt-original-timestamp-type", value: "CreateTime"),
        RecordHeader(key: "kafka_dlt-original-consumer-group", value: "billing"),
        RecordHeader(key: "kafka_dlt-exception-fqcn", value: "java.lang.IllegalStateException"),
        RecordHeader(key: "kafka_dlt-exception-message", value: "boom"),
        RecordHeader(key: "kafka_dlt-exception-stacktrace", value: "at A.b"),
        header("retry_topic-attempts", bytes: [0, 0, 0, 4]),
      ]))
    #expect(letter.dialect == .spring)
    #expect(letter.topic == "orders")
    #expect(letter.partition == 258)
    #expect(letter.offset == 65536)
    #expect(letter.timestamp == 1_700_000_000_000)
    #expect(letter.group == "billing")
    #expect(letter.exceptionClass == "java.lang.IllegalStateException")
    #expect(letter.exceptionMessage == "boom")
    #expect(letter.stackTrace == "at A.b")
    #expect(letter.attempts == 4)
  }

  @Test func `Connect's headers are understood`() throws {
    let letter = try #require(
      DeadLetter(
        [
          ("topic", "orders"), ("partition", "1"), ("offset", "7"), ("connector.name", "sink"), ("task.id", "0"),
          ("stage", "VALUE_CONVERTER"), ("class.name", "C"), ("exception.class.name", "DataException"),
          ("exception.message", "bad"), ("exception.stacktrace", "at C"),
        ].map { RecordHeader(key: "__connect.errors." + $0.0, value: $0.1) }))
    var expected = DeadLetter(topic: "orders", partition: 1, offset: 7, group: "sink")
    expected.dialect = .connect
    expected.exceptionClass = "DataException"
    expected.exceptionMessage = "bad"
    expected.stackTrace = "at C"
    #expect(letter == expected)
  }

  @Test func `Streams' headers are understood`() throws {
    let letter = try #require(
      DeadLetter(
        [
          ("exception", "E"), ("message", "bad"), ("stacktrace", "at E"), ("topic", "orders"), ("partition", "1"),
          ("offset", "7"),
        ].map { RecordHeader(key: "__streams.errors." + $0.0, value: $0.1) }))
    var expected = DeadLetter(topic: "orders", partition: 1, offset: 7)
    expected.dialect = .streams
    expected.exceptionClass = "E"
    expected.exceptionMessage = "bad"
    expected.stackTrace = "at E"
    #expect(letter == expected)
  }

  @Test func `a record without such headers is no dead letter`() {
    #expect(DeadLetter([]) == nil)
    #expect(
      DeadLetter([RecordHeader(key: "trace", value: "1"), RecordHeader(key: "__dlq.replays", value: "1")]) == nil)
  }

  @Test func `of headers that repeat the last counts`() {
    let headers = ["1", "2"].map { RecordHeader(key: "__dlq.errors.offset", value: $0) }
    #expect(DeadLetter(headers)?.offset == 2)
    #expect(DeadLetter(headers + [RecordHeader(key: "__dlq.errors.offset", value: nil)])?.offset == nil)
  }

  @Test(arguments: ["", "-1", "x", "1 ", "99999999999999999999", "9223372036854775808", "\u{0}", "١"])
  func `a number that is none counts as missing`(_ text: String) {
    let letter = DeadLetter(
      ["partition", "offset", "delivery.count", "attempts"].map { RecordHeader(key: "__dlq.errors." + $0, value: text) }
    )
    #expect(letter != nil)
    #expect(letter?.partition == nil)
    #expect(letter?.offset == nil)
    #expect(letter?.deliveryCount == nil)
    #expect(letter?.attempts == nil)
  }

  @Test func `binary numbers of another size or sign count as missing`() {
    for bytes: [UInt8] in [[], [1], [0, 0, 0], [0xFF, 0xFF, 0xFF, 0xFF], Array(repeating: 0, count: 9)] {
      let letter = DeadLetter([header("kafka_dlt-original-partition", bytes: bytes)])
      #expect(letter != nil)
      #expect(letter?.partition == nil)
    }
  }

  @Test func `random headers never trap`() {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    let keys = [
      "__dlq.errors.topic", "__dlq.errors.offset", "__dlq.errors.exception.stacktrace", "kafka_dlt-original-partition",
      "kafka_dlt-original-offset", "__connect.errors.partition", "__streams.errors.message", "__dlq.replays",
    ]
    for _ in 0..<2000 {
      let headers = (0..<Int.random(in: 0...6, using: &generator)).map { _ in
        header(
          keys.randomElement(using: &generator)!,
          bytes: (0..<Int.random(in: 0...24, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator)
          })
      }
      if let letter = DeadLetter(headers) {
        #expect(
          letter.headers.allSatisfy { ($0.value?.readableBytes ?? 0) <= DeadLetter.stackTraceLimit }, "seed \(seed)")
      }
    }
  }

  @Test func `long texts are cut between characters, written and read`() {
    var letter = DeadLetter(topic: "t", partition: 0, offset: 0)
    letter.exceptionMessage = "x" + String(repeating: "ä", count: 10_000)
    letter.stackTrace = String(repeating: "€", count: 100_000)
    let back = DeadLetter(letter.headers)
    #expect(back?.exceptionMessage == "x" + String(repeating: "ä", count: (DeadLetter.textLimit - 1) / 2))
    #expect(back?.stackTrace == String(repeating: "€", count: DeadLetter.stackTraceLimit / 3))
    let raw = RecordHeader(key: "__connect.errors.exception.message", value: letter.stackTrace!)
    #expect((DeadLetter([raw])?.exceptionMessage?.utf8.count ?? .max) <= DeadLetter.textLimit)
  }

  @Test func `earlier headers of the kind go, all others stay in order`() {
    let own = [
      RecordHeader(key: "a", value: "1"), RecordHeader(key: "a", value: nil), RecordHeader(key: "", value: "x"),
    ]
    let letter = DeadLetter(topic: "t", partition: 0, offset: 1)
    #expect(DeadLetter.withoutErrors([own[0]] + letter.headers + own[1...]) == own)
  }

  @Test func `replays are counted whoever wrote the letter`() {
    let replays = RecordHeader(key: "__dlq.replays", value: "2")
    #expect(DeadLetter([replays, RecordHeader(key: "kafka_dlt-original-topic", value: "t")])?.replays == 2)
    #expect(DeadLetter([RecordHeader(key: "kafka_dlt-original-topic", value: "t")])?.replays == 0)
  }
}
