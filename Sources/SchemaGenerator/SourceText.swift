// Lines of Swift source at a depth of indentation, and the words that need care in it.

struct SourceText {
  private(set) var text = ""
  private var depth = 0

  mutating func line(_ line: String = "") {
    if !line.isEmpty {
      for _ in 0..<depth { text += "  " }
      text += line
    }
    text += "\n"
  }

  mutating func block(_ opening: String, _ closing: String = "}", _ body: (inout SourceText) -> Void) {
    line(opening)
    depth += 1
    body(&self)
    depth -= 1
    line(closing)
  }

  mutating func indented(_ body: (inout SourceText) -> Void) {
    depth += 1
    body(&self)
    depth -= 1
  }

  /// The body that a line like `) {` has opened.
  mutating func reenter(_ body: (inout SourceText) -> Void) {
    indented(body)
    line("}")
  }

  /// A block that continues a line already opened: `} else if … {`.
  mutating func reopen(_ line: String, _ body: (inout SourceText) -> Void) {
    // The closing brace of the block before is the last line; it joins this one.
    let brace = String(repeating: "  ", count: depth) + "}\n"
    precondition(text.hasSuffix(brace))
    text.removeLast(brace.count)
    block("} \(line)", "}", body)
  }
}

extension String {
  /// As an identifier of a declaration or an expression.
  var escaped: String { ["protocol", "default", "operator", "internal"].contains(self) ? "`\(self)`" : self }

  /// As an expression inside the generated functions, whose parameters and variables hide some properties.
  var propertyAccess: String {
    ["version", "reader", "writer", "flexible", "field", "tags"].contains(self) ? "self.\(self)" : escaped
  }

  /// `ListOffsets` -> `listOffsets`.
  var lowerCamelCase: String { prefix(1).lowercased() + dropFirst() }
}
