import Testing

@testable import MillraceCLI

@Suite("JSON")
struct JSONTests {
  @Test func `a value is written on one line with its members in order`() {
    let value = JSONValue.object([
      "topic": .string("orders"), "n": .integer(-3), "half": .number(0.5), "ok": .bool(true), "none": .null,
      "list": .array([.integer(1), .string("a\"b\\c\n\u{1}é")]),
    ])
    #expect(
      value.text == #"{"topic":"orders","n":-3,"half":0.5,"ok":true,"none":null,"list":[1,"a\"b\\c\n\u0001é"]}"#)
  }

  @Test func `what is written is read back`() throws {
    let value = JSONValue.object([
      "a": .array([.null, .bool(false), .integer(.max), .integer(.min), .number(1.25e300)]),
      "text": .string("tab\t quote\" é 😀 \u{7F}"), "empty": .object([:]),
    ])
    #expect(try JSONParser.parse(value.text) == value)
  }

  @Test func `escapes and surrogate pairs are read`() throws {
    #expect(try JSONParser.parse(#" "\u00e9\ud83d\ude00\/\b\f" "#) == .string("é😀/\u{8}\u{C}"))
  }

  @Test func `the last of two members with one name counts`() throws {
    #expect(try JSONParser.parse(#"{"a":1,"a":2}"#)["a"] == .integer(2))
  }

  @Test(arguments: [
    "", "{", "[1,", "[1,]", "{\"a\"}", "{\"a\":1,}", "{a:1}", "01", "-", "1.", "1e", "tru", "\"abc", "\"\\x\"",
    "\"\\u12\"",
    "\"\\ud800\"", "\"\\udc00\"", "\"\\ud800\\u0041\"", "\"a\nb\"", "1 2", "nullx", "1e999", "\u{1}",
  ])
  func `what is no JSON is refused`(text: String) {
    #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(text) }
  }

  @Test func `a failure names its byte`() {
    #expect(throws: JSONParser.Failure(offset: 4, reason: "this is no JSON value")) { try JSONParser.parse("[1, x]") }
  }

  @Test func `nesting is bounded`() {
    #expect(throws: JSONParser.Failure.self) { try JSONParser.parse(String(repeating: "[", count: 100_000)) }
  }

  @Test func `any bytes are either JSON or refused`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var generator = SplitMix(state: seed)
    let alphabet = Array(#"{}[],:"\u0123456789eE+-.truefalsn \#n"#.utf8) + [0xFF, 0xC3]
    for _ in 0..<5000 {
      let bytes = (0..<Int.random(in: 0...24, using: &generator)).map { _ in alphabet.randomElement(using: &generator)!
      }
      if let value = try? JSONParser.parse(bytes) {
        #expect((try? JSONParser.parse(value.text)) == value, "seed \(seed): \(bytes)")
      }
    }
  }
}

/// A small generator whose runs can be repeated.
private struct SplitMix: RandomNumberGenerator {
  var state: UInt64

  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
