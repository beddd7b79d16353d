// Text in columns. Cells are padded with spaces on the right; the last cell of a line is not padded.

extension String {
  /// At least `width` characters, padded on the right (`%-15s`).
  func padded(_ width: Int) -> String {
    count >= width ? self : self + String(repeating: " ", count: width - count)
  }
}

struct Table {
  var header: [String]
  var rows: [[String]] = []

  init(_ header: String...) { self.header = header }

  mutating func add(_ cells: String...) { rows.append(cells) }

  /// Columns as wide as their widest cell, two spaces apart.
  func lines() -> [String] {
    var widths = header.map(\.count)
    for row in rows {
      for (column, cell) in row.enumerated() { widths[column] = max(widths[column], cell.count) }
    }
    return ([header] + rows).map { Self.line($0, widths: widths, gap: "  ") }
  }

  static func line(_ cells: [String], widths: [Int], gap: String = " ") -> String {
    var text = ""
    for (column, cell) in cells.enumerated() {
      if column > 0 { text += gap }
      text += column == cells.count - 1 ? cell : cell.padded(widths[column])
    }
    return text
  }
}
