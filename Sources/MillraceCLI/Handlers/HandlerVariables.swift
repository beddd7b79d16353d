// What a handler program is told of a record by its environment. A variable cannot hold a NUL, and the system bounds what
// one holds: what has a NUL comes in Base64 under another name, what is too long is left out and named.
import MillraceClient
import NIOCore

struct HandlerVariables {
  static let prefix = "MILLRACE_"
  /// Linux takes 128 KiB in a variable, name included.
  static let limit = 96 * 1024
  /// For all headers together: beside what the program inherits there is room for some variables of the limit.
  static let headersLimit = 256 * 1024

  /// Names that this program gives variables to; inherited ones must not pass for the record's.
  private static let names: Set<String> = [
    "TOPIC", "PARTITION", "OFFSET", "TIMESTAMP", "KEY", "KEY_BASE64", "VALUE_IS_NULL", "HEADERS", "ATTEMPT", "GROUP",
    "OMITTED",
  ]
  private static let headerPrefix = "HEADER_"

  private(set) var variables: [[UInt8]] = []
  private var omitted: [String] = []

  init(
    _ partition: TopicPartition, offset: Int64, timestamp: Int64, key: ByteBuffer?, valueIsNull: Bool,
    headers: [RecordHeader], attempt: Int, group: String
  ) {
    set("TOPIC", partition.topic)
    set("PARTITION", "\(partition.partition)")
    set("OFFSET", "\(offset)")
    set("TIMESTAMP", "\(timestamp)")
    set("ATTEMPT", "\(attempt)")
    set("GROUP", group)
    if valueIsNull { set("VALUE_IS_NULL", "1") }
    if let key { set("KEY", key) }
    set(headers)
    if !omitted.isEmpty { set("OMITTED", omitted.joined(separator: ",")) }
  }

  private mutating func set(_ headers: [RecordHeader]) {
    guard !headers.isEmpty else { return }
    var json: [UInt8] = []
    JSONRecord.append(headers, to: &json)
    append("HEADERS", json)
    // Of those that repeat the last counts, as in Kafka.
    var last: [String: ByteBuffer?] = [:]
    for header in headers { last[Self.variableName(header.key)] = header.value }
    var bytes = 0
    for (name, value) in last.sorted(by: { $0.key < $1.key }) {
      guard let value else { continue }
      bytes += value.readableBytes
      if bytes <= Self.headersLimit {
        set(Self.headerPrefix + name, value)
      } else {
        omitted.append(Self.headerPrefix + name)
      }
    }
  }

  private mutating func set(_ name: String, _ text: String) { append(name, Array(text.utf8)) }

  private mutating func set(_ name: String, _ value: ByteBuffer) {
    let bytes = value.readableBytesView
    if bytes.contains(0) {
      guard bytes.count <= Self.limit else { return omitted.append(name) }
      append(name + "_BASE64", Array(Base64.encode(bytes).utf8))
    } else {
      append(name, Array(bytes))
    }
  }

  private mutating func append(_ name: String, _ value: [UInt8]) {
    guard value.count <= Self.limit else { return omitted.append(name) }
    variables.append(Array("\(Self.prefix)\(name)=".utf8) + value)
  }

  /// `trace-id` is `TRACE_ID`.
  static func variableName(_ header: String) -> String {
    String(
      decoding: header.utf8.prefix(128).map { byte -> UInt8 in
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"): byte - 32
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"): byte
        default: UInt8(ascii: "_")
        }
      }, as: UTF8.self)
  }

  /// What a program inherits, without what could be taken for the record's and what is no variable.
  static func inherited(_ environment: [[UInt8]]) -> [[UInt8]] {
    environment.filter { variable in
      guard let equals = variable.firstIndex(of: UInt8(ascii: "=")), let first = variable.first,
        !(UInt8(ascii: "0")...UInt8(ascii: "9")).contains(first)
      else { return false }
      guard variable.starts(with: prefix.utf8) else { return true }
      let name = String(decoding: variable[..<equals].dropFirst(prefix.utf8.count), as: UTF8.self)
      return !names.contains(name) && !name.hasPrefix(headerPrefix)
    }
  }
}
