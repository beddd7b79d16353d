// The .properties format that Kafka's configuration files are written in: `key=value`, `key: value` or `key value`;
// comments with # or !; a backslash at the end continues a line; \t \n \r \f \uXXXX and \<anything> are escapes.

struct Property: Equatable, Sendable {
  let name: String
  let value: String
  /// The line on which the property begins, from 1.
  let line: Int
}

struct PropertiesFailure: Error, Equatable, CustomStringConvertible {
  let file: String
  let line: Int
  let reason: String
  var description: String { "\(file):\(line): \(reason)" }
}

enum Properties {
  static func parse(_ text: String, file: String) throws(PropertiesFailure) -> [Property] {
    var properties: [Property] = []
    // By scalars: CR LF is one Character.
    let lines = text.unicodeScalars.split(omittingEmptySubsequences: false) { $0 == "\n" }.map { line in
      line.last == "\r" ? line.dropLast() : line
    }
    var index = 0
    while index < lines.count {
      let first = index + 1
      var logical = String.UnicodeScalarView(lines[index].drop(while: isSpace))
      index += 1
      guard let start = logical.first, start != "#", start != "!" else { continue }
      while endsInContinuation(logical), index < lines.count {
        logical.removeLast()
        logical.append(contentsOf: lines[index].drop(while: isSpace))
        index += 1
      }
      if endsInContinuation(logical) { logical.removeLast() }
      let (name, value) = split(logical)
      guard let name = unescape(name), let value = unescape(value) else {
        throw PropertiesFailure(
          file: file, line: first, reason: "\\u must be followed by four hexadecimal digits of a character")
      }
      properties.append(Property(name: name, value: value, line: first))
    }
    return properties
  }

  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    scalar == " " || scalar == "\t" || scalar == "\u{0C}"
  }

  /// An odd number of backslashes at the end: the last is not escaped.
  private static func endsInContinuation(_ line: String.UnicodeScalarView) -> Bool {
    line.reversed().prefix { $0 == "\\" }.count % 2 == 1
  }

  /// The name ends at the first unescaped `=`, `:` or space; one `=` or `:` with spaces around it belongs to neither part.
  private static func split(_ line: String.UnicodeScalarView) -> (
    Substring.UnicodeScalarView, Substring.UnicodeScalarView
  ) {
    var end = line.startIndex
    var escaped = false
    while end < line.endIndex, escaped || !(line[end] == "=" || line[end] == ":" || isSpace(line[end])) {
      escaped = !escaped && line[end] == "\\"
      end = line.index(after: end)
    }
    var rest = line[end...].drop(while: isSpace)
    if let separator = rest.first, separator == "=" || separator == ":" { rest = rest.dropFirst().drop(while: isSpace) }
    return (line[..<end], rest)
  }

  private static func unescape(_ text: Substring.UnicodeScalarView) -> String? {
    var units: [UInt16] = []
    var rest = text
    while let scalar = rest.popFirst() {
      guard scalar == "\\", let escape = rest.popFirst() else {
        units.append(contentsOf: String(scalar).utf16)
        continue
      }
      switch escape {
      case "t": units.append(9)
      case "n": units.append(10)
      case "r": units.append(13)
      case "f": units.append(12)
      case "u":
        let digits = rest.prefix(4)
        guard digits.count == 4, digits.allSatisfy(\.properties.isASCIIHexDigit),
          let unit = UInt16(String(digits), radix: 16)
        else {
          return nil
        }
        rest = rest.dropFirst(4)
        units.append(unit)
      default: units.append(contentsOf: String(escape).utf16)
      }
    }
    return String(validating: units, as: UTF16.self)
  }
}
