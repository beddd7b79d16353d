// Standard output, as far as it is a person's terminal.

#if canImport(Glibc)
  import Glibc
#elseif canImport(Musl)
  import Musl
#else
  import Darwin
#endif

enum Terminal {
  static var isWatched: Bool { isatty(STDOUT_FILENO) == 1 }

  static func write(_ text: String) {
    print(text, terminator: "")
    fflush(nil)
  }

  /// Writes lines over those that were written the last time. What does not fit into the width is cut.
  static func redraw(_ lines: [String], over count: Int) {
    let back = count > 0 ? "\u{1B}[\(count)A" : ""
    write("\u{1B}[?7l" + back + lines.map { "\u{1B}[2K\($0)\n" }.joined() + "\u{1B}[?7h")
  }
}
