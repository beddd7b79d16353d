// Reads the schema form. A file holds messages; a message is a header line and indented fields:
//
//     request 3-13 flexible 9+
//       transactionalId  string?             = null
//       topicData        [TopicProduceData]
//         name           string              3-12 key ignorable
//       nodeEndpoints    [NodeEndpoint]      10+ tag 0
//       struct NodeEndpoint
//         nodeId         int32
//
// Header: `request`, `response`, `key`, `value`, `record` take their name and number from the file name
// (`00_Produce`); `message Name` carries its own. Then the valid versions, `flexible` with its versions, `unstable`.
//
// Field: name, type, and in this order the versions (left out: all of the enclosing struct), `nullable` with versions
// (`?` after the type: all of the field's), `tag`, `key`, `ignorable`, `plain`, `=` default. Fields of a struct type
// are indented under its first use, or under `struct Name` when several fields share it. `#` begins a comment.

package struct SchemaError: Error, CustomStringConvertible {
  package var file: String
  package var line: Int
  package var reason: String

  package var description: String { "\(file):\(line): \(reason)" }
}

package struct SchemaParser {
  private struct Line {
    var number: Int
    var depth: Int
    var words: [Substring]
  }

  private let file: String
  private var lines: [Line] = []
  private var next = 0
  private var structs: [StructSchema] = []

  /// The messages of a file; `fileName` without folders and extension.
  package static func parse(_ text: String, fileName: String) throws(SchemaError) -> [MessageSchema] {
    var parser = SchemaParser(file: fileName)
    try parser.split(text)
    return try parser.messages()
  }

  private init(file: String) { self.file = file }

  private func failure(_ reason: String, at line: Line) -> SchemaError {
    SchemaError(file: file, line: line.number, reason: reason)
  }

  private mutating func split(_ text: String) throws(SchemaError) {
    for (index, raw) in text.split(separator: "\n", omittingEmptySubsequences: false).enumerated() {
      let content = raw.prefix { $0 != "#" }
      let indent = content.prefix { $0 == " " }.count
      let words = content.split(separator: " ")
      guard !words.isEmpty else { continue }
      let line = Line(number: index + 1, depth: indent / 2, words: words)
      guard indent.isMultiple(of: 2) else { throw failure("indent by two spaces", at: line) }
      lines.append(line)
    }
  }

  // MARK: Messages

  private mutating func messages() throws(SchemaError) -> [MessageSchema] {
    var result: [MessageSchema] = []
    while next < lines.count { result.append(try message()) }
    return result
  }

  private mutating func message() throws(SchemaError) -> MessageSchema {
    let header = lines[next]
    next += 1
    guard header.depth == 0, let kind = MessageSchema.Kind(rawValue: String(header.words[0])) else {
      throw failure("expected a message", at: header)
    }
    var words = header.words.dropFirst()
    let numbered = file.split(separator: "_", maxSplits: 1)
    let name: String
    var apiKey: Int16?
    if kind == .message {
      guard let own = words.popFirst() else { throw failure("expected a name", at: header) }
      name = String(own)
    } else {
      guard numbered.count == 2, let number = Int16(numbered[0]) else {
        throw failure("the file name must be NN_Name", at: header)
      }
      apiKey = number
      name = numbered[1] + kind.rawValue.prefix(1).uppercased() + kind.rawValue.dropFirst()
    }
    let everything: VersionRange = 0...Int16.max
    guard let versions = words.popFirst().flatMap({ Self.range($0, within: everything) }) else {
      throw failure("expected versions", at: header)
    }
    var flexible: VersionRange?
    var unstable = false
    while let word = words.popFirst() {
      if word == "flexible", let range = words.popFirst().flatMap({ Self.range($0, within: versions) }) {
        flexible = range
      } else if word == "unstable" {
        unstable = true
      } else {
        throw failure("unexpected \(word)", at: header)
      }
    }
    structs = []
    let fields = try fields(depth: 1, within: versions)
    while next < lines.count, lines[next].depth == 1, lines[next].words[0] == "struct" {
      try sharedStruct(versions)
    }
    let message = MessageSchema(
      kind: kind, name: name, apiKey: apiKey, versions: versions, flexibleVersions: flexible,
      latestVersionIsUnstable: unstable, fields: fields, structs: structs)
    try check(message, at: header)
    return message
  }

  private mutating func sharedStruct(_ versions: VersionRange) throws(SchemaError) {
    let line = lines[next]
    next += 1
    guard line.words.count == 2 else { throw failure("expected: struct Name", at: line) }
    try declare(String(line.words[1]), versions, fields(depth: 2, within: versions), at: line)
  }

  private mutating func declare(
    _ name: String, _ versions: VersionRange, _ fields: [FieldSchema], at line: Line
  ) throws(SchemaError) {
    guard !structs.contains(where: { $0.name == name }) else { throw failure("second struct \(name)", at: line) }
    structs.append(StructSchema(name: name, versions: versions, fields: fields))
  }

  // MARK: Fields

  private mutating func fields(depth: Int, within versions: VersionRange) throws(SchemaError) -> [FieldSchema] {
    var result: [FieldSchema] = []
    while next < lines.count, lines[next].depth == depth, lines[next].words[0] != "struct" {
      let line = lines[next]
      next += 1
      let field = try self.field(line, within: versions)
      result.append(field)
      guard next < lines.count, lines[next].depth > depth else { continue }
      guard lines[next].depth == depth + 1, let structName = field.type.structName else {
        throw failure("unexpected indentation", at: lines[next])
      }
      // Declared before its own fields are read, so that structs come in order of appearance.
      let place = structs.count
      try declare(structName, field.versions, [], at: line)
      structs[place].fields = try fields(depth: depth + 1, within: field.versions)
    }
    return result
  }

  private func field(_ line: Line, within versions: VersionRange) throws(SchemaError) -> FieldSchema {
    var words = line.words[...]
    guard let name = words.popFirst(), var typeText = words.popFirst() else {
      throw failure("expected a name and a type", at: line)
    }
    let nullable = typeText.hasSuffix("?")
    if nullable { typeText = typeText.dropLast() }
    guard let type = FieldType(text: typeText) else { throw failure("unknown type \(typeText)", at: line) }
    var field = FieldSchema(
      name: String(name), type: type, versions: versions, nullableVersions: nil, tag: nil, isKey: false,
      isIgnorable: false, isPlain: false, defaultText: nil)
    if let word = words.first, let range = Self.range(word, within: versions) {
      field.versions = range
      words.removeFirst()
    }
    if nullable { field.nullableVersions = field.versions }
    while let word = words.popFirst() {
      switch word {
      case "nullable": field.nullableVersions = words.popFirst().flatMap { Self.range($0, within: field.versions) }
      case "tag": field.tag = words.popFirst().flatMap { UInt32($0) }
      case "key": field.isKey = true
      case "ignorable": field.isIgnorable = true
      case "plain": field.isPlain = true
      case "=": field.defaultText = words.popFirst().map(String.init)
      default: throw failure("unexpected \(word)", at: line)
      }
    }
    return field
  }

  /// `3`, `3-5`, `3+`, cut to `limits`.
  private static func range(_ text: Substring, within limits: VersionRange) -> VersionRange? {
    if text.hasSuffix("+") {
      guard let lower = Int16(text.dropLast()), lower <= limits.upperBound else { return nil }
      return max(lower, limits.lowerBound)...limits.upperBound
    }
    let bounds = text.split(separator: "-", omittingEmptySubsequences: false)
    guard bounds.count <= 2, let lower = Int16(bounds[0]), let upper = Int16(bounds[bounds.count - 1]),
      lower <= upper, limits.contains(lower), limits.contains(upper)
    else { return nil }
    return lower...upper
  }

  // MARK: What a message must hold to

  private func check(_ message: MessageSchema, at header: Line) throws(SchemaError) {
    for (owner, fields) in [(message.name, message.fields)] + message.structs.map({ ($0.name, $0.fields) }) {
      var tags: Set<UInt32> = []
      for field in fields {
        if let tag = field.tag {
          guard tags.insert(tag).inserted else { throw failure("\(owner): second tag \(tag)", at: header) }
          guard field.versions.allSatisfy(message.isFlexible), field.type != .records else {
            throw failure("\(owner).\(field.name): cannot be tagged", at: header)
          }
        }
        guard let name = field.type.structName else { continue }
        guard message.structs.contains(where: { $0.name == name }) else {
          throw failure("\(owner).\(field.name): no struct \(name)", at: header)
        }
        // An element of no bytes would let a few bytes claim any number of elements.
        if case .array = field.type, message.minimumByteCount(of: name) == 0 {
          throw failure("\(owner).\(field.name): elements may be empty", at: header)
        }
      }
      // The writer puts defined tags before unknown ones; that is ascending order only if they leave no gap.
      guard tags.max().map({ Int($0) + 1 == tags.count }) ?? true else {
        throw failure("\(owner): tags do not count up from 0", at: header)
      }
    }
  }
}
