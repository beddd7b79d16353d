import MillraceClient
import NIOCore
import Testing

@testable import MillraceCLI

@Suite("Dead letters: options and reports")
struct DeadLetterCommandTests {
  // MARK: Which letters

  private func filter(_ arguments: String...) throws -> LetterFilter {
    try LetterFilterOptions.parse(arguments).filter(nowMs: 10_000_000)
  }

  @Test func `options make a filter`() throws {
    #expect(try filter() == LetterFilter())
    let made = try filter(
      "--key", "a", "--key", "", "--header", "h=1=2", "-H", "x", "--error-class", "timeout", "--error-message", "bank",
      "--since", "1h", "--until", "1970-01-01T02:00:00", "-p", "0", "-p", "3", "--offsets", "10-20", "--source-topic",
      "orders", "--group", "billing")
    var expected = LetterFilter()
    expected.keys = [ByteBuffer(string: "a"), ByteBuffer()]
    expected.headers = [.init(name: "h", value: ByteBuffer(string: "1=2")), .init(name: "x")]
    expected.exceptionClass = "timeout"
    expected.message = "bank"
    expected.timestamps = 6_400_000..<7_200_000
    expected.partitions = [0, 3]
    expected.offsets = 10..<21
    expected.sourceTopic = "orders"
    expected.group = "billing"
    #expect(made == expected)
    #expect(try filter("--since", "1h").timestamps == 6_400_000..<Int64.max)
    #expect(try filter("--since", "1h", "--until", "2h").timestamps?.isEmpty == true)
  }

  @Test func `a range of offsets has both ends, one, or is a single one`() {
    #expect(LetterFilterOptions.range("10-20") == 10..<21)
    #expect(LetterFilterOptions.range("10-") == 10..<Int64.max)
    #expect(LetterFilterOptions.range("10") == 10..<11)
    for text in [
      "", "-", "-5", "20-10", "a", "1-b", "9223372036854775807", "0-9223372036854775807", "99999999999999999999",
    ] {
      #expect(LetterFilterOptions.range(text) == nil, "\(text)")
    }
  }

  @Test(arguments: [
    ["redrive", "t-dlt", "--to", "t-dlt"], ["redrive", "t-dlt", "--rate", "0"], ["redrive", "t-dlt", "--rate", "nan"],
    ["redrive", "t-dlt", "--max-replays", "-2"], ["redrive", "t-dlt", "--since", "soon"],
    ["redrive", "t-dlt", "--header", "=1"], ["show", "t-dlt", "42"], ["show", "t-dlt", "0:-1"],
    ["purge", "t-dlt"], ["purge", "t-dlt", "--all", "--redriven"], ["purge", "t-dlt", "--before-offset", "7"],
    ["list", "--limit", "0"],
  ])
  func `options that make no sense are refused`(_ arguments: [String]) {
    #expect(throws: (any Error).self) { try DeadLetters.parseAsRoot(arguments) }
  }

  // MARK: Topics

  @Test func `topics of dead letters are known by their names`() {
    for name in ["orders-dlt", "orders.DLT", "dlq.orders", "orders_dlq", "orders-dead-letter", "my.dead-letters.x"] {
      #expect(DeadLetterTopic.looksLike(name), "\(name)")
    }
    for name in ["orders", "dlt", "dltorders", "orders-dlt-reader", "dead-orders", "orders-retry-1"] {
      #expect(!DeadLetterTopic.looksLike(name), "\(name)")
    }
  }

  @Test func `ages are told in their two largest units`() {
    #expect(DeadLetterTopic.age(0) == "0s")
    #expect(DeadLetterTopic.age(59_999) == "59s")
    #expect(DeadLetterTopic.age(3_600_000) == "1h")
    #expect(DeadLetterTopic.age(273_600_000) == "3d 4h")
  }

  @Test func `a purge deletes what is there of what is meant`() {
    let (a, b, c) = (TopicPartition("t", 0), TopicPartition("t", 1), TopicPartition("t", 2))
    let spans: [TopicPartition: LetterReader.Span] = [
      a: .init(start: 5, end: 10), b: .init(start: 0, end: 3), c: .init(start: 4, end: 4),
    ]
    #expect(PurgeLetters.plan(spans, [a: 7, b: 99, c: 9]) == [a: 7, b: 3])
    #expect(PurgeLetters.plan(spans, [a: 5, TopicPartition("t", 9): 1]).isEmpty)
  }

  // MARK: Reports

  private var summary: RedriveSummary {
    var summary = RedriveSummary()
    summary.counts = [.redriven: 12, .filtered: 3]
    summary.targets = ["payments": 2, "orders": 10]
    return summary
  }

  @Test func `a redrive tells what became of how many`() {
    #expect(
      RedriveReport.lines(summary, isPlan: false) == ["redriven  12  (orders 10, payments 2)", "filtered  3"])
    #expect(RedriveReport.lines(summary, isPlan: true).first == "to redrive  12  (orders 10, payments 2)")
    #expect(RedriveReport.lines(RedriveSummary(), isPlan: false) == ["no letters"])
    #expect(
      RedriveReport.json("t", summary, isPlan: true, isComplete: true).text
        == #"{"topic":"t","dryRun":true,"complete":true,"redriven":12,"filtered":3,"replayedTooOften":0,"withoutSource":0,"sourceMissing":0,"targets":{"orders":10,"payments":2}}"#
    )
  }

  @Test func `progress is a bar`() {
    var progress = RedriveProgress()
    progress.total = 50_000
    progress.passed = 25_000
    #expect(
      RedriveReport.bar(progress, elapsed: .seconds(25))
        == "[###############---------------] 50 %  25000 of 50000, 1000/s")
    progress.total = 0
    #expect(RedriveReport.bar(progress, elapsed: .zero).contains("100 %"))
  }

  @Test func `bytes are dumped sixteen a line`() {
    #expect(LetterReport.hexLines([] as [UInt8]).isEmpty)
    #expect(
      LetterReport.hexLines(Array("0123456789abcdef\n".utf8)) == [
        "00000000  30 31 32 33 34 35 36 37 38 39 61 62 63 64 65 66  |0123456789abcdef|",
        "00000010  0a                                               |.|",
      ])
  }

  @Test func `JSON is indented`() throws {
    let value = try JSONParser.parse(Array(#"{"a":[1,{"b":null}],"c":{},"d":"x"}"#.utf8))
    #expect(
      value.indentedLines() == [
        "{", #"  "a": ["#, "    1,", "    {", #"      "b": null"#, "    }", "  ],", #"  "c": {},"#, #"  "d": "x""#, "}",
      ])
  }
}
