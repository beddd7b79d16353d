// The articles, the README and the documentation of types, and the files that their code is from, as text.
import Foundation

/// A fenced block of a document.
struct CodeBlock: Sendable {
  var language: String
  /// Where it begins, counted from 1.
  var line: Int
  var lines: [String]
}

struct Document: Sendable, CustomStringConvertible {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  /// The path from the package's root.
  let path: String
  let blocks: [CodeBlock]

  var description: String { path }

  init(path: String, text: String) {
    self.path = path
    var blocks: [CodeBlock] = []
    var open: CodeBlock?
    for (index, line) in text.components(separatedBy: "\n").enumerated() {
      let isFence = line.trimmingCharacters(in: .whitespaces).hasPrefix("```")
      if var block = open {
        if isFence {
          blocks.append(block)
          open = nil
        } else {
          block.lines.append(line)
          open = block
        }
      } else if isFence {
        let language = line.trimmingCharacters(in: .whitespaces.union(CharacterSet(charactersIn: "`")))
        open = CodeBlock(language: language, line: index + 1, lines: [])
      }
    }
    self.blocks = blocks
  }

  /// The README, what is in the catalogues, and the files of the libraries that show code.
  static func all() throws -> [Document] {
    let articles = ["README.md"] + (try Self.paths(under: "Sources") { $0.contains(".docc/") && $0.hasSuffix(".md") })
    let sources = try ["Millrace", "MillraceClient", "MillraceJSON", "MillraceTesting"].flatMap { library in
      try Self.paths(under: "Sources/\(library)") { $0.hasSuffix(".swift") }
    }
    return try articles.map { Document(path: $0, text: try text(of: $0)) }
      + sources.map { Document(path: $0, text: comments(in: try text(of: $0))) }.filter { !$0.blocks.isEmpty }
  }

  private static func text(of path: String) throws -> String {
    try String(contentsOf: root.appending(path: path), encoding: .utf8)
  }

  /// What stands behind `///`; other lines are empty.
  private static func comments(in source: String) -> String {
    source.components(separatedBy: "\n").map { line in
      let line = line.trimmingCharacters(in: .whitespaces)
      return line.hasPrefix("///") ? String(line.dropFirst(3)) : ""
    }
    .joined(separator: "\n")
  }

  static func paths(under folder: String, where isWanted: (String) -> Bool) throws -> [String] {
    let start = root.appending(path: folder)
    guard let paths = FileManager.default.enumerator(atPath: start.path) else {
      throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: start.path])
    }
    // Who builds an example where it lies has its dependencies there.
    return paths.compactMap { $0 as? String }.map { "\(folder)/\($0)" }
      .filter { !$0.contains("/.build/") && isWanted($0) }.sorted()
  }
}

/// A file of code that documents show. Indentation, empty lines and how many spaces there are do not count.
struct SnippetFile: Sendable {
  private let lines: [String]

  init(text: String) { lines = Self.significant(text.components(separatedBy: "\n")) }

  static func all() throws -> [SnippetFile] {
    try ["Tests/DocumentationTests/Snippets", "Sources/Examples"]
      .flatMap { try Document.paths(under: $0) { $0.hasSuffix(".swift") } }
      .map { SnippetFile(text: try String(contentsOf: Document.root.appending(path: $0), encoding: .utf8)) }
  }

  /// Whether the block's code is here in a row, and what it imports is imported here.
  func contains(_ block: CodeBlock) -> Bool {
    let wanted = Self.significant(block.lines)
    let imports = wanted.filter { $0.hasPrefix("import ") }
    let code = wanted.filter { !$0.hasPrefix("import ") }
    guard imports.allSatisfy(lines.contains), !wanted.isEmpty, code.count <= lines.count else { return false }
    return (0...(lines.count - code.count)).contains { lines[$0..<($0 + code.count)].elementsEqual(code) }
  }

  private static func significant(_ lines: [String]) -> [String] {
    lines.map { $0.split(separator: " ").joined(separator: " ") }.filter { !$0.isEmpty }
  }
}
