// The one entry that Kafka lets stand in `sasl.jaas.config`:
//
//    org.apache.kafka.common.security.scram.ScramLoginModule required username="orders" password="a \"b\"";

struct JAASEntry {
  struct Failure: Error, CustomStringConvertible { let description: String }

  let module: String
  let options: [String: String]

  private static let flags: Set<String> = ["required", "requisite", "sufficient", "optional"]

  init(_ text: String) throws(Failure) {
    var tokens = try Self.tokens(text)[...]
    guard let module = tokens.popFirst(), let flag = tokens.popFirst(), Self.flags.contains(flag.lowercased()) else {
      throw Failure(description: "expected: LoginModule required name=\"value\" …;")
    }
    guard tokens.popLast() == ";" else { throw Failure(description: "a semicolon is missing at its end") }
    var options: [String: String] = [:]
    while let name = tokens.popFirst() {
      guard tokens.popFirst() == "=", let value = tokens.popFirst() else {
        throw Failure(description: "expected name=\"value\" after the options before")
      }
      options[name] = value
    }
    self.module = module
    self.options = options
  }

  /// Words, quoted words, `=` and `;`.
  private static func tokens(_ text: String) throws(Failure) -> [String] {
    var tokens: [String] = []
    var rest = text.unicodeScalars[...]
    while let scalar = rest.first {
      switch scalar {
      case "=", ";":
        tokens.append(String(scalar))
        rest.removeFirst()
      case "\"", "'":
        rest.removeFirst()
        tokens.append(try quoted(&rest, until: scalar))
      case _ where scalar.properties.isWhitespace:
        rest.removeFirst()
      default:
        let word = rest.prefix { !$0.properties.isWhitespace && !"=;\"'".unicodeScalars.contains($0) }
        tokens.append(String(word))
        rest = rest.dropFirst(word.count)
      }
    }
    return tokens
  }

  private static func quoted(
    _ rest: inout Substring.UnicodeScalarView, until end: Unicode.Scalar
  ) throws(Failure) -> String {
    var text = String.UnicodeScalarView()
    while let scalar = rest.popFirst() {
      if scalar == end { return String(text) }
      if scalar == "\\", let escaped = rest.popFirst() {
        text.append(escaped)
      } else {
        text.append(scalar)
      }
    }
    throw Failure(description: "a closing quote is missing in it")
  }
}
