// The Swift files of Sources, as text: what the architecture tests look at.
import Foundation

struct SourceFile: Sendable {
  /// The path from the package's root: `Sources/MillraceLog/Segment/Segment.swift`.
  let path: String
  let lines: [String]

  var name: String { String(path.split(separator: "/").last!.dropLast(".swift".count)) }
  var module: String { String(path.split(separator: "/")[1]) }
  var isGenerated: Bool { path.contains("/Generated/") }

  /// The modules named by `import` lines, whatever stands before (`@testable`, `package`) or after (`struct`, a submodule).
  var imports: [String] {
    lines.compactMap { line in
      var words = line.split(whereSeparator: \.isWhitespace).map(String.init)
      while let first = words.first,
        first.hasPrefix("@") || ["public", "package", "internal", "private"].contains(first)
      {
        words.removeFirst()
      }
      guard words.count >= 2, words[0] == "import" else { return nil }
      let kinds = ["struct", "class", "enum", "func", "protocol", "typealias", "var", "let"]
      let name = kinds.contains(words[1]) && words.count > 2 ? words[2] : words[1]
      return String(name.split(separator: ".")[0])
    }
  }
}

enum SourceTree {
  static let root = URL(filePath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

  static func files(under folder: String) throws -> [SourceFile] {
    let start = root.appending(path: folder)
    guard let paths = FileManager.default.enumerator(atPath: start.path) else {
      throw CocoaError(.fileNoSuchFile, userInfo: [NSFilePathErrorKey: start.path])
    }
    // Who builds an example where it lies has its dependencies there.
    let sources = paths.compactMap { $0 as? String }.filter { $0.hasSuffix(".swift") && !$0.contains("/.build/") }
    return try sources.sorted().map { path in
      var text = try String(contentsOf: start.appending(path: path), encoding: .utf8)[...]
      // What is generated is the generator's affair, but for its imports; there is a lot of it.
      if path.contains("/Generated/") { text = text.prefix(2000) }
      return SourceFile(
        path: folder + "/" + path, lines: text.split(separator: "\n", omittingEmptySubsequences: false).map(String.init)
      )
    }
  }
}
