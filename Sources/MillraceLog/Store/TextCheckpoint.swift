// The frame that Kafka's checkpoint files share: a version, the number of entries, one entry a line.

enum TextCheckpoint {
  static let version = 0

  static func content(lines: [String]) -> [UInt8] {
    var text = "\(version)\n\(lines.count)\n"
    for line in lines {
      text += line
      text += "\n"
    }
    return Array(text.utf8)
  }

  /// The entries; nil when the version is another or the count is not theirs.
  static func lines(_ content: [UInt8]) -> [Substring]? {
    guard let text = String(validating: content, as: UTF8.self) else { return nil }
    let lines = text.split(separator: "\n")
    guard lines.count >= 2, Int(lines[0]) == version, Int(lines[1]) == lines.count - 2 else { return nil }
    return Array(lines.dropFirst(2))
  }
}
