// Which letters are meant, and what becomes of them.

import NIOCore
import Testing

@testable import MillraceClient

@Suite struct RedriveRuleTests {
  private let own = [
    RecordHeader(key: "trace", value: "1"), RecordHeader(key: "trace", value: nil), RecordHeader(key: "", value: "x"),
  ]

  private func record(
    key: String? = "k", value: String? = "v", offset: Int64 = 7, timestamp: Int64 = 500, headers: [RecordHeader]
  ) throws -> ConsumerRecord {
    try #require(
      try ConsumerRecord.made(
        TopicPartition("orders-dlt", 1), offset: offset, timestamp: timestamp, key: key.map { ByteBuffer(string: $0) },
        value: value.map { ByteBuffer(string: $0) }, headers: headers))
  }

  private var letter: DeadLetter {
    var letter = DeadLetter(topic: "orders", partition: 3, offset: 42, group: "billing")
    letter.exceptionClass = "timeout"
    letter.exceptionMessage = "no answer from bank"
    letter.message = RetryPolicy.exhausted
    return letter
  }

  private func decide(_ record: ConsumerRecord, _ change: (inout RedriveRule) -> Void = { _ in })
    -> RedriveRule.Decision
  {
    var rule = RedriveRule(deadLetterTopic: "orders-dlt")
    change(&rule)
    return rule.decide(record)
  }

  private func written(_ decision: RedriveRule.Decision) -> ProducerRecord? {
    if case .write(let record) = decision { record } else { nil }
  }

  private func skipped(_ decision: RedriveRule.Decision) -> RedriveOutcome? {
    if case .skip(let outcome) = decision { outcome } else { nil }
  }

  // MARK: What is written

  @Test(arguments: [("k", "v"), ("", "v"), (nil, nil), ("k", ""), ("k", nil)] as [(String?, String?)])
  func `a letter goes back to where it came from as it was`(_ key: String?, _ value: String?) throws {
    let back = try #require(
      written(decide(try record(key: key, value: value, headers: [own[0]] + letter.headers + own[1...]))))
    #expect(back.topic == "orders" && back.partition == nil && back.timestamp == 500)
    #expect(back.key == key.map { ByteBuffer(string: $0) } && back.value == value.map { ByteBuffer(string: $0) })
    #expect(
      back.headers == own + [
        RecordHeader(key: "__dlq.replays", value: "1"), RecordHeader(key: "__dlq.redriven.topic", value: "orders-dlt"),
        RecordHeader(key: "__dlq.redriven.partition", value: "1"),
        RecordHeader(key: "__dlq.redriven.offset", value: "7"),
      ])
  }

  @Test func `replays are counted, and earlier provenance goes`() throws {
    let first = try #require(written(decide(try record(headers: own + letter.headers))))
    let second = try #require(written(decide(try record(offset: 9, headers: first.headers + letter.headers))))
    #expect(DeadLetter.replays(in: second.headers) == 2)
    #expect(DeadLetter.withoutLetter(second.headers) == own)
    #expect(second.headers.count == own.count + 4)
  }

  @Test func `letters of all dialects are understood, and none of their headers goes back`() throws {
    func number(_ bytes: [UInt8]) -> ByteBuffer { ByteBuffer(bytes: bytes) }
    let spring = [
      RecordHeader(key: "kafka_dlt-original-topic", value: "orders"),
      RecordHeader(key: "kafka_dlt-original-partition", value: number([0, 0, 0, 3])),
      RecordHeader(key: "kafka_dlt-original-timestamp", value: number([0, 0, 0, 0, 0, 0, 0, 99])),
    ]
    let connect = [RecordHeader(key: "__connect.errors.topic", value: "orders")]
    let streams = [RecordHeader(key: "__streams.errors.topic", value: "orders")]
    for (headers, timestamp) in [(spring, Int64(99)), (connect, 500), (streams, 500), (connect + spring, 500)] {
      let back = try #require(written(decide(try record(headers: headers + own))))
      #expect(back.topic == "orders" && back.timestamp == timestamp)
      #expect(DeadLetter.withoutLetter(back.headers) == own && back.headers.count == own.count + 4)
    }
  }

  @Test func `a topic that is named is where all letters go, also those of nowhere`() throws {
    #expect(written(decide(try record(headers: letter.headers)) { $0.target = "x" })?.topic == "x")
    #expect(written(decide(try record(headers: own)) { $0.target = "x" })?.topic == "x")
    #expect(skipped(decide(try record(headers: own))) == .withoutSource)
    let circular = DeadLetter(topic: "orders-dlt", partition: 0, offset: 0)
    #expect(skipped(decide(try record(headers: circular.headers))) == .withoutSource)
  }

  @Test func `what came back too often stays`() throws {
    for (replays, limit, stays) in [("2", 3, false), ("3", 3, true), ("9", 3, true), ("0", 0, true), ("9", nil, false)]
      as [(String, Int?, Bool)]
    {
      let record = try record(headers: letter.headers + [RecordHeader(key: "__dlq.replays", value: replays)])
      let decision = decide(record) { $0.maxReplays = limit }
      #expect(skipped(decision) == (stays ? .replayedTooOften : nil), "\(replays) of \(limit ?? -1)")
    }
    let absurd = try record(
      headers: letter.headers + [RecordHeader(key: "__dlq.replays", value: "9223372036854775807")])
    #expect(written(decide(absurd)) != nil)
  }

  // MARK: Which are meant

  private func fits(_ change: (inout LetterFilter) -> Void) throws -> Bool {
    var filter = LetterFilter()
    change(&filter)
    let record = try record(headers: own + letter.headers)
    return filter.matches(record, DeadLetter(record.headers))
  }

  @Test func `each condition has to fit`() throws {
    #expect(try fits { _ in })
    #expect(try fits { $0.keys = [ByteBuffer(string: "j"), ByteBuffer(string: "k")] })
    #expect(try !fits { $0.keys = [ByteBuffer(string: "j")] })
    #expect(try fits { $0.headers = [.init(name: "trace", value: ByteBuffer(string: "1")), .init(name: "")] })
    #expect(try !fits { $0.headers = [.init(name: "trace"), .init(name: "span")] })
    #expect(try !fits { $0.headers = [.init(name: "trace", value: ByteBuffer(string: "2"))] })
    #expect(try fits { $0.exceptionClass = "timeout" })
    #expect(try !fits { $0.exceptionClass = "time" })
    #expect(try fits { $0.message = "answer from" })
    #expect(try fits { $0.message = "threshold." })
    #expect(try !fits { $0.message = "answer to" })
    #expect(try fits { $0.timestamps = 500..<501 })
    #expect(try !fits { $0.timestamps = 501..<Int64.max })
    #expect(try fits { $0.offsets = 7..<8 })
    #expect(try !fits { $0.offsets = 0..<7 })
    #expect(try fits { $0.partitions = [0, 1] })
    #expect(try !fits { $0.partitions = [0] })
    #expect(try fits { $0.sourceTopic = "orders" })
    #expect(try !fits { $0.sourceTopic = "order" })
    #expect(try fits { $0.group = "billing" })
    #expect(try !fits { $0.group = "shipping" })
    #expect(
      try !fits { filter in
        filter.group = "billing"
        filter.sourceTopic = "x"
      })
    #expect(skipped(decide(try record(headers: letter.headers)) { $0.filter.group = "x" }) == .filtered)
  }

  @Test func `what is not known fits no condition about it`() throws {
    let record = try record(key: nil, headers: [])
    for change in [
      { $0.keys = [ByteBuffer()] }, { $0.exceptionClass = "" }, { $0.message = "" }, { $0.sourceTopic = "" },
      { $0.group = "" }, { $0.headers = [.init(name: "a")] },
    ] as [(inout LetterFilter) -> Void] {
      var filter = LetterFilter()
      change(&filter)
      #expect(!filter.matches(record, nil))
    }
  }

  // MARK: Chunks

  @Test func `a chunk knows how far it goes and what becomes of whom, whole and in parts`() throws {
    var chunk = RedriveChunk()
    #expect(chunk.isEmpty)
    let letters = try (0..<3).map { try record(offset: $0 * 2, headers: letter.headers) }
    chunk.add(letters[0], .redriven, writing: ProducerRecord(topic: "orders", value: "v"))
    chunk.add(letters[1], .filtered)
    chunk.add(letters[2], .redriven, writing: ProducerRecord(topic: "x", value: "v"))
    #expect(chunk.offsets.mapValues(\.offset) == [TopicPartition("orders-dlt", 1): 5])
    #expect(chunk.summary[.redriven] == 2 && chunk.summary[.filtered] == 1 && chunk.summary.total == 3)
    #expect(chunk.summary.targets == ["orders": 1, "x": 1])
    #expect(!chunk.isFull(4) && chunk.isFull(3))
    chunk.finish([TopicPartition("orders-dlt", 1): .init(start: 0, end: 9)])
    #expect(chunk.offsets.mapValues(\.offset) == [TopicPartition("orders-dlt", 1): 9])
    #expect(chunk.parts.map { $0.offsets.values.first?.offset } == [1, 3, 5, 9])
    #expect(chunk.parts.map { $0.place?.offset } == [0, 2, 4, nil])
  }

  @Test func `a rate spreads letters over time, and time that was not used is lost`() {
    #expect(RedriveChunk.limit(rate: nil) == 1000)
    #expect(RedriveChunk.limit(rate: 0.1) == 1)
    #expect(RedriveChunk.limit(rate: 100) == 20)
    #expect(RedriveChunk.limit(rate: 1e9) == 1000)
    let start = ContinuousClock.now
    var pace = RedrivePace(100, now: start)
    #expect(pace.pass(20, now: start) == start + .milliseconds(200))
    #expect(pace.pass(20, now: start + .milliseconds(200)) == start + .milliseconds(400))
    let late = start + .seconds(60)
    #expect(pace.pass(20, now: late) == late)
    #expect(pace.pass(20, now: late) == late + .milliseconds(200))
  }
}
