// Dead letters as people and programs read them.
import MillraceClient
import NIOCore

enum LetterReport {
  struct Missing: Error, CustomStringConvertible { let description: String }

  private static let errorWidth = 60
  private static let bytesInLine = 16

  static func row(_ record: ConsumerRecord, _ letter: DeadLetter?) -> [String] {
    [
      "\(record.partition):\(record.offset)", TimestampText.iso8601(record.timestamp), source(letter),
      letter?.attempts.map { "\($0)" } ?? letter?.deliveryCount.map { "\($0)" } ?? "-", "\(letter?.replays ?? 0)",
      oneLine(error(letter) ?? "-"),
    ]
  }

  static func lines(_ record: ConsumerRecord, _ letter: DeadLetter?) -> [String] {
    var lines = ["Letter: \(record.topicPartition)@\(record.offset), \(TimestampText.iso8601(record.timestamp))"]
    func add(_ name: String, _ text: String?) {
      if let text { lines.append("\(name): \(text)") }
    }
    if let letter {
      let time = letter.timestamp.map { ", \(TimestampText.iso8601($0))" } ?? ""
      add("Source", source(letter) + time)
      add("Group", letter.group)
      add("Reason", letter.message)
      add("Error", letter.exceptionClass)
      add("Message", letter.exceptionMessage)
      add("Deliveries", letter.deliveryCount.map { "\($0)" })
      add("Attempts", letter.attempts.map { "\($0)" })
      add("First failure", letter.firstFailureTimestamp.map(TimestampText.iso8601))
      add("Replays", "\(letter.replays)")
      add("Written by", writer(letter.dialect))
    } else {
      lines.append("No headers of a dead letter that are known here.")
    }
    add("Key", record.key.map { String(buffer: $0) } ?? "null")
    for header in DeadLetter.withoutLetter(record.headers) {
      add("Header \(header.key)", header.value.map { String(buffer: $0) } ?? "null")
    }
    if let stack = letter?.stackTrace { lines += ["Stack trace:", stack] }
    return lines
  }

  static func json(_ record: ConsumerRecord, _ letter: DeadLetter?) -> JSONValue {
    var bytes: [UInt8] = []
    JSONRecord.append(record, to: &bytes)
    bytes.removeLast()
    func text(_ value: String?) -> JSONValue { value.map { .string($0) } ?? .null }
    func number(_ value: (some BinaryInteger)?) -> JSONValue { value.map { .integer(Int64(clamping: $0)) } ?? .null }
    guard let letter else { return .object(["letter": .null, "record": parsed(bytes)]) }
    return .object([
      "letter": .object([
        "dialect": .string(letter.dialect.rawValue), "topic": text(letter.topic), "partition": number(letter.partition),
        "offset": number(letter.offset), "timestamp": number(letter.timestamp), "group": text(letter.group),
        "deliveryCount": number(letter.deliveryCount), "attempts": number(letter.attempts),
        "message": text(letter.message), "exceptionClass": text(letter.exceptionClass),
        "exceptionMessage": text(letter.exceptionMessage), "stackTrace": text(letter.stackTrace),
        "firstFailureTimestamp": number(letter.firstFailureTimestamp), "replays": number(letter.replays),
      ]), "record": parsed(bytes),
    ])
  }

  private static func parsed(_ json: [UInt8]) -> JSONValue { (try? JSONParser.parse(json)) ?? .null }

  static func source(_ letter: DeadLetter?) -> String {
    guard let letter, let topic = letter.topic else { return "-" }
    return topic + (letter.partition.map { "-\($0)" } ?? "") + (letter.offset.map { "@\($0)" } ?? "")
  }

  private static func error(_ letter: DeadLetter?) -> String? {
    guard let letter else { return nil }
    let parts = [letter.exceptionClass, letter.exceptionMessage].compactMap { $0 }
    return parts.isEmpty ? letter.message : parts.joined(separator: ": ")
  }

  private static func oneLine(_ text: String) -> String {
    let line = text.prefix { !$0.isNewline }
    return line.count > errorWidth ? line.prefix(errorWidth - 1) + "…" : String(line)
  }

  private static func writer(_ dialect: DeadLetter.Dialect) -> String {
    switch dialect {
    case .kafka: "a share group, or Millrace"
    case .streams: "Kafka Streams"
    case .connect: "Kafka Connect"
    case .spring: "Spring for Apache Kafka"
    }
  }

  /// As hexdump -C writes it.
  static func hexLines(_ bytes: some Collection<UInt8>) -> [String] {
    var lines: [String] = []
    var rest = Array(bytes)[...]
    while !rest.isEmpty {
      let part = rest.prefix(bytesInLine)
      let address = hex(part.startIndex, 8)
      let codes = part.map { hex(Int($0), 2) }.joined(separator: " ")
      let text: [Character] = part.map { (0x20..<0x7F).contains($0) ? Character(Unicode.Scalar($0)) : "." }
      lines.append("\(address)  \(codes.padded(3 * bytesInLine - 1))  |\(String(text))|")
      rest = rest.dropFirst(bytesInLine)
    }
    return lines
  }

  private static func hex(_ number: Int, _ width: Int) -> String {
    let digits = String(number, radix: 16)
    return String(repeating: "0", count: max(0, width - digits.count)) + digits
  }
}

extension JSONValue {
  /// Two spaces for each level.
  func indentedLines() -> [String] {
    func wrapped(_ open: String, _ close: String, _ items: [[String]]) -> [String] {
      guard !items.isEmpty else { return [open + close] }
      return [open]
        + items.enumerated().flatMap { index, lines in
          lines.enumerated().map { number, line in
            "  " + line + (number == lines.count - 1 && index < items.count - 1 ? "," : "")
          }
        } + [close]
    }
    switch self {
    case .array(let elements): return wrapped("[", "]", elements.map { $0.indentedLines() })
    case .object(let members):
      return wrapped(
        "{", "}",
        members.map { member in
          var lines = member.value.indentedLines()
          lines[0] = JSONValue.string(member.name).text + ": " + lines[0]
          return lines
        })
    default: return [text]
    }
  }
}
