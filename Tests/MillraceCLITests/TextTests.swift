import MillraceClient
import Testing

@testable import MillraceCLI

@Suite("Numbers, times and tables as text")
struct TextTests {
  @Test func `a fixed-point number has exactly its places`() {
    #expect(fixedPoint(3.14159, places: 2) == "3.14")
    #expect(fixedPoint(2, places: 4) == "2.0000")
    #expect(fixedPoint(0.05, places: 1) == "0.1" || fixedPoint(0.05, places: 1) == "0.0")
    #expect(fixedPoint(-1.5, places: 2) == "-1.50")
    #expect(fixedPoint(-0.001, places: 2) == "0.00")
    #expect(fixedPoint(.nan, places: 2) == "NaN")
    #expect(fixedPoint(.infinity, places: 2) == "Infinity")
    #expect(fixedPoint(9.995, places: 0) == "10")
  }

  @Test func `bytes are told in the unit that a person would use`() {
    #expect(byteText(999) == "999 B")
    #expect(byteText(1000) == "1.0 KB")
    #expect(byteText(17_800_000) == "17.8 MB")
  }

  @Test func `a timestamp is told in UTC`() {
    #expect(TimestampText.iso8601(0) == "1970-01-01T00:00:00.000Z")
    #expect(TimestampText.iso8601(1_772_368_200_250) == "2026-03-01T12:30:00.250Z")
    #expect(TimestampText.iso8601(-1) == "1969-12-31T23:59:59.999Z")
    #expect(TimestampText.iso8601(951_782_400_000) == "2000-02-29T00:00:00.000Z")
    #expect(TimestampText.performanceTool(1_772_368_200_250) == "2026-03-01 12:30:00:250")
    #expect(TimestampText.iso8601(.max).hasPrefix("29"))
    #expect(TimestampText.iso8601(.min).hasPrefix("-29"))
  }

  @Test(
    arguments: [
      ("1970-01-01", 0), ("2026-03-01T12:30", 1_772_368_200_000), ("2026-03-01T12:30:00", 1_772_368_200_000),
      ("2026-03-01T12:30:00.25", 1_772_368_200_250), ("2026-03-01T12:30:00.250999Z", 1_772_368_200_250),
      ("2026-03-01T14:30:00.250+02:00", 1_772_368_200_250), ("2026-03-01T07:30:00-0500", 1_772_368_200_000),
      ("2000-02-29", 951_782_400_000),
    ] as [(String, Int64)])
  func `a time is read in the forms of ISO 8601`(text: String, expected: Int64) {
    #expect(TimestampText.parse(text) == expected)
  }

  @Test(arguments: [
    "", "today", "2026-13-01", "2026-02-29", "2026-03-01T25:00", "2026-03-01T12:30:00.Z", "2026-03-01X", "12345",
  ])
  func `what is no time is refused`(text: String) {
    #expect(TimestampText.parse(text) == nil)
  }

  @Test func `days of eight hundred years survive being written and read`() {
    for day in stride(from: Int64(-146_097), through: 146_097, by: 29) {
      let milliseconds = day * 86_400_000 + 43_200_123
      #expect(TimestampText.parse(TimestampText.iso8601(milliseconds)) == milliseconds)
    }
  }

  @Test(
    arguments: [
      ("500ms", 500), ("30s", 30_000), ("5m", 300_000), ("2h", 7_200_000), ("1d", 86_400_000), ("PT5M", 300_000),
      ("P1DT2H30M", 95_400_000), ("PT0.5S", 500), ("P2W", 1_209_600_000), ("-PT1S", -1000),
    ] as [(String, Int64)])
  func `a span is read with a unit or as ISO 8601`(text: String, expected: Int64) {
    #expect(DurationText.milliseconds(text) == expected)
  }

  @Test(arguments: ["", "5", "P", "PT", "P5M", "PT5", "five minutes", "-5m", "9223372036854775807d", "P1T1M1", "PTxM"])
  func `what is no span is refused`(text: String) {
    #expect(DurationText.milliseconds(text) == nil)
  }

  @Test func `columns are as wide as their widest cell`() {
    var table = Table("TOPIC", "N")
    table.add("orders", "1")
    table.add("a", "20")
    #expect(table.lines() == ["TOPIC   N", "orders  1", "a       20"])
  }

  @Test func `lines end with LF or CR LF, across pieces, and the last needs no end`() {
    var splitter = LineSplitter()
    var lines: [String] = []
    for piece in ["one\r", "\ntw", "o\n\nthree"] {
      splitter.push(Array(piece.utf8)) { lines.append(String(decoding: $0, as: UTF8.self)) }
    }
    #expect(lines == ["one", "two", ""])
    #expect(splitter.finish().map { String(decoding: $0, as: UTF8.self) } == "three")
    #expect(splitter.finish() == nil)
  }

  @Test func `Base64 comes back as it was`() {
    for count in 0...100 {
      let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 37) }
      #expect(Base64.decode(Base64.encode(bytes)) == bytes)
    }
    #expect(Base64.encode(Array("light w".utf8)) == "bGlnaHQgdw==")
    for bad in ["abc", "a===", "ab=c", "!!!!", "ab==="] { #expect(Base64.decode(bad) == nil) }
  }
}
