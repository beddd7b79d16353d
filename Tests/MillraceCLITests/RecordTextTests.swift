import MillraceClient
import Testing

@testable import MillraceCLI

@Suite("Records as lines and as JSON")
struct RecordTextTests {
  private func record(_ line: String, _ properties: [String: String]) throws -> String {
    let record = try LineFormat(properties: properties).record(line: Array(line.utf8), number: 1)
    let text = { (bytes: [UInt8]?) in bytes.map { String(decoding: $0, as: UTF8.self) } ?? "null" }
    return (record.headers.map { "\($0.name)=\(text($0.value))" } + [text(record.key), text(record.value)]).joined(
      separator: "|")
  }

  @Test func `a line is a value unless told otherwise`() throws {
    #expect(try record("a\tb", [:]) == "null|a\tb")
    #expect(try record("", [:]) == "null|")
  }

  @Test func `key and headers stand before the value`() throws {
    #expect(try record("k\tv\tw", ["parse.key": "true"]) == "k|v\tw")
    #expect(try record("k::v", ["parse.key": " TRUE ", "key.separator": "::"]) == "k|v")
    #expect(try record("a:1,b:2:3\tv", ["parse.headers": "true"]) == "a=1|b=2:3|null|v")
    #expect(
      try record(
        "a=1;b=2|k-v",
        [
          "parse.headers": "true", "parse.key": "true", "headers.delimiter": "|", "headers.separator": ";",
          "headers.key.separator": "=",
          "key.separator": "-",
        ]) == "a=1|b=2|k|v")
  }

  @Test func `the null marker stands for null`() throws {
    #expect(try record("N\tN", ["parse.key": "true", "null.marker": "N"]) == "null|null")
    #expect(try record("a:N\tv", ["parse.headers": "true", "null.marker": "N"]) == "a=null|null|v")
    #expect(try record("N\tv", ["parse.headers": "true", "null.marker": "N"]) == "null|v")
  }

  @Test func `a line without its separators is an error that names it`() {
    #expect(throws: RecordFailure(description: "No key separator found on line number 1: 'abc'")) {
      try record("abc", ["parse.key": "true"])
    }
    #expect(throws: RecordFailure.self) { try record("a\tv", ["parse.headers": "true"]) }
    #expect(throws: RecordFailure.self) { try record("N:1\tv", ["parse.headers": "true", "null.marker": "N"]) }
  }

  @Test func `a line without its separators is a value when errors are ignored`() throws {
    #expect(try record("abc", ["parse.key": "true", "ignore.error": "true"]) == "null|abc")
    #expect(try record("a\tv", ["parse.headers": "true", "ignore.error": "true"]) == "a=null|null|v")
  }

  @Test func `separators that cannot be told apart are refused`() {
    #expect(throws: RecordFailure.self) { try LineFormat(properties: ["headers.separator": ":"]) }
    #expect(throws: RecordFailure.self) { try LineFormat(properties: ["key.separator": "N", "null.marker": "N"]) }
    #expect(throws: RecordFailure.self) { try LineFormat(properties: ["key.separator": ""]) }
  }

  @Test func `a JSON object is a record`() throws {
    let line =
      #"{"topic":"x","offset":3,"partition":2,"timestamp":5,"key":"k","value":{"base64":"AP8="},"headers":[{"name":"a","value":"1"},{"key":"b","value":null}]}"#
    let record = try JSONRecord.parse(Array(line.utf8), number: 1)
    #expect(
      record
        == OutgoingRecord(
          key: Array("k".utf8), value: [0, 255],
          headers: [.init(name: "a", value: Array("1".utf8)), .init(name: "b", value: nil)], partition: 2, timestamp: 5)
    )
  }

  @Test func `a value that is JSON itself is sent as its text`() throws {
    let record = try JSONRecord.parse(
      Array(#"{"value":{"total":12,"items":[1,2]},"headers":{"a":"b"}}"#.utf8), number: 1)
    #expect(record.value.map { String(decoding: $0, as: UTF8.self) } == #"{"total":12,"items":[1,2]}"#)
    #expect(record.headers == [.init(name: "a", value: Array("b".utf8))])
  }

  @Test(arguments: [
    "[]", "nonsense", #"{"valeu":"x"}"#, #"{"partition":-1}"#, #"{"partition":1.5}"#, #"{"timestamp":"now"}"#,
    #"{"headers":"a"}"#,
    #"{"headers":[{}]}"#, #"{"value":{"base64":"?"}}"#,
  ])
  func `what is no record is an error that names the line`(line: String) {
    #expect {
      try JSONRecord.parse(Array(line.utf8), number: 7)
    } throws: {
      "\($0)".hasPrefix("line 7")
    }
  }

  @Test func `bytes are shown as the type that wrote them`() throws {
    func shown(_ name: String, _ bytes: [UInt8]) throws -> String {
      var text: [UInt8] = []
      try FieldText(deserializer: "org.apache.kafka.common.serialization.\(name)").append(bytes, to: &text)
      return String(decoding: text, as: UTF8.self)
    }
    #expect(try shown("LongDeserializer", [255, 255, 255, 255, 255, 255, 255, 254]) == "-2")
    #expect(try shown("IntegerDeserializer", [0, 0, 1, 0]) == "256")
    #expect(try shown("ShortDeserializer", [255, 255]) == "-1")
    #expect(try shown("DoubleDeserializer", [0x3F, 0xF8, 0, 0, 0, 0, 0, 0]) == "1.5")
    #expect(try shown("LongDeserializer", Array("abc".utf8)) == "abc")
    #expect(throws: RecordFailure.self) { try FieldText(deserializer: "com.example.Avro") }
  }

  @Test func `a place to begin is read from what a person writes`() {
    func position(_ text: String) -> String { Consume.position(text, nowMs: 1_000_000).map { "\($0)" } ?? "nothing" }
    #expect(position("beginning") == "earliest")
    #expect(position("end") == "latest")
    #expect(position("42") == "offset(42)")
    #expect(position("-10") == "fromEnd(10)")
    #expect(position("5m") == "timestamp(700000)")
    #expect(position("9d") == "timestamp(0)")
    #expect(position("1970-01-01T00:00:01") == "timestamp(1000)")
    #expect(position("-9223372036854775808") == "fromEnd(9223372036854775807)")
    for bad in ["", "soon", "-", "9223372036854775808"] { #expect(position(bad) == "nothing") }
  }
}
