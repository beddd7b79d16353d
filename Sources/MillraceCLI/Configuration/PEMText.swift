// PEM as it stands in a properties file, where continued lines have become one (KIP-651), with its lines put back.

enum PEMText {
  private static let lineLength = 64

  static func withLines(_ text: String) -> String {
    var lines: [String] = []
    var body = ""
    func endBody() {
      var rest = body[...]
      while !rest.isEmpty {
        lines.append(String(rest.prefix(lineLength)))
        rest = rest.dropFirst(lineLength)
      }
      body = ""
    }
    // ["", "BEGIN X", " MIIB… ", "END X", " ", "BEGIN Y", …]
    for part in text.split(separator: "-----", omittingEmptySubsequences: false) {
      if part.hasPrefix("BEGIN ") || part.hasPrefix("END ") {
        endBody()
        lines.append("-----\(part)-----")
      } else if part.contains(":") {
        // Headers of an old encrypted key and the empty line after them: these lines have to be there already.
        lines += part.trimmed.split(omittingEmptySubsequences: false, whereSeparator: \.isNewline).map(String.init)
      } else {
        body += part.filter { !$0.isWhitespace }
      }
    }
    endBody()
    return lines.map { "\($0)\n" }.joined()
  }
}
