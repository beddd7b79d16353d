// Reading big-endian fields in tests, one by one.

struct Fields {
  private var rest: ArraySlice<UInt8>

  init(_ bytes: [UInt8]) { rest = bytes[...] }

  mutating func next<T: FixedWidthInteger>(_ type: T.Type = T.self) -> T {
    var value: T = 0
    for _ in 0..<MemoryLayout<T>.size {
      value = value << 8 | T(truncatingIfNeeded: rest.first ?? 0)
      rest = rest.dropFirst()
    }
    return value
  }

  var isAtEnd: Bool { rest.isEmpty }
}
