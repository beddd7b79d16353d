// Cuts a stream of bytes into lines. A line ends with LF or CR LF; what is behind the last of them is a line too.

struct LineSplitter {
  private var pending: [UInt8] = []
  /// How much of `pending` was already searched for an LF.
  private var searched = 0

  /// Longer input is cut into several lines, so that an input without line ends cannot fill the memory.
  static let maxLineBytes = 128 * 1024 * 1024

  /// Takes bytes that arrived and hands each line that they complete to `body`.
  mutating func push(_ bytes: some Sequence<UInt8>, _ body: ([UInt8]) throws -> Void) rethrows {
    pending.append(contentsOf: bytes)
    var start = 0
    var index = searched
    while index < pending.count {
      if pending[index] == 0x0A {
        let end = index > start && pending[index - 1] == 0x0D ? index - 1 : index
        try body(Array(pending[start..<end]))
        start = index + 1
      } else if index - start >= Self.maxLineBytes {
        try body(Array(pending[start...index]))
        start = index + 1
      }
      index += 1
    }
    pending.removeSubrange(..<start)
    searched = pending.count
  }

  /// The line without a line end at the end of the input, if there is one.
  mutating func finish() -> [UInt8]? {
    defer { pending = [] }
    searched = 0
    return pending.isEmpty ? nil : pending
  }
}
