// The list of error codes: a line is `code NAME`, with `retriable` after it where a client may try again.

package struct ErrorCodeSchema: Sendable, Equatable {
  package var code: Int16
  package var name: String
  package var isRetriable: Bool

  /// `UNKNOWN_TOPIC_ID` -> `unknownTopicId`.
  package var swiftName: String {
    let words = name.split(separator: "_").map { $0.lowercased() }
    return words[0] + words.dropFirst().map { $0.prefix(1).uppercased() + $0.dropFirst() }.joined()
  }

  /// Codes must follow each other without a gap: the generated name table is indexed by code.
  package static func parse(_ text: String, fileName: String) throws(SchemaError) -> [ErrorCodeSchema] {
    var result: [ErrorCodeSchema] = []
    for (index, line) in text.split(separator: "\n").enumerated() {
      let words = line.split(separator: " ")
      guard (2...3).contains(words.count), let code = Int16(words[0]), words.count == 2 || words[2] == "retriable"
      else {
        throw SchemaError(file: fileName, line: index + 1, reason: "expected: code NAME [retriable]")
      }
      if let last = result.last, code != last.code + 1 {
        throw SchemaError(file: fileName, line: index + 1, reason: "code \(code) does not follow \(last.code)")
      }
      result.append(ErrorCodeSchema(code: code, name: String(words[1]), isRetriable: words.count == 3))
    }
    return result
  }
}
