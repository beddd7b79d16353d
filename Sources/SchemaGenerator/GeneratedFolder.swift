// The folder of generated sources. Nothing but generated files lives there, so what is no longer generated goes.

import FoundationEssentials

struct GeneratedFolder {
  let path: String

  func differences(from sources: [String: String]) throws -> [String] {
    let present = try existing()
    var result = present.filter { sources[$0] == nil }
    for (name, text) in sources where try !present.contains(name) || contents(name) != text { result.append(name) }
    return result.sorted()
  }

  /// Leaves files alone that are the same already, so that a build need not compile them again.
  func replace(with sources: [String: String]) throws {
    for name in try differences(from: sources) {
      let file = path + "/" + name
      guard let text = sources[name] else {
        try FileManager.default.removeItem(atPath: file)
        continue
      }
      if let slash = file.lastIndex(of: "/") {
        try FileManager.default.createDirectory(atPath: String(file[..<slash]), withIntermediateDirectories: true)
      }
      try text.write(toFile: file, atomically: true, encoding: .utf8)
    }
  }

  private func existing() throws -> [String] {
    guard FileManager.default.fileExists(atPath: path) else { return [] }
    return try FileManager.default.subpathsOfDirectory(atPath: path).filter { $0.hasSuffix(".swift") }
  }

  private func contents(_ name: String) throws -> String {
    try String(contentsOfFile: path + "/" + name, encoding: .utf8)
  }
}
