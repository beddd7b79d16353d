// The classes that have names: Perl's \d \s \w and POSIX's [:alpha:]. All are about ASCII, as in RE2.

enum NamedClass {
  static func perl(_ letter: Unicode.Scalar) -> (ranges: [ClosedRange<UInt32>], isNegated: Bool)? {
    switch letter {
    case "d": (digits, false)
    case "D": (digits, true)
    case "s": (spaces, false)
    case "S": (spaces, true)
    case "w": (words, false)
    case "W": (words, true)
    default: nil
    }
  }

  /// `name` is what stands between [: and :].
  static func posix(_ name: String) -> (ranges: [ClosedRange<UInt32>], isNegated: Bool)? {
    let isNegated = name.hasPrefix("^")
    guard let ranges = posixRanges[isNegated ? String(name.dropFirst()) : name] else { return nil }
    return (ranges, isNegated)
  }

  /// The ranges of a named class as they stand under the flags.
  static func resolved(
    _ named: (ranges: [ClosedRange<UInt32>], isNegated: Bool), foldsCase: Bool
  ) -> [ClosedRange<UInt32>] {
    var ranges = named.ranges
    if foldsCase {
      let scalars = named.ranges.joined().compactMap { Unicode.Scalar($0) }
      ranges = scalars.flatMap { CaseFolding.variants(of: $0) }.map { $0.value...$0.value }
    }
    ranges = ranges.sortedAndMerged()
    return named.isNegated ? ranges.complemented() : ranges
  }

  private static let digits: [ClosedRange<UInt32>] = [0x30...0x39]
  private static let spaces: [ClosedRange<UInt32>] = [0x09...0x0A, 0x0C...0x0D, 0x20...0x20]
  private static let upper: [ClosedRange<UInt32>] = [0x41...0x5A]
  private static let lower: [ClosedRange<UInt32>] = [0x61...0x7A]
  private static let words: [ClosedRange<UInt32>] = digits + upper + lower + [0x5F...0x5F]

  private static let posixRanges: [String: [ClosedRange<UInt32>]] = [
    "alnum": digits + upper + lower, "alpha": upper + lower, "ascii": [0x00...0x7F],
    "blank": [0x09...0x09, 0x20...0x20],
    "cntrl": [0x00...0x1F, 0x7F...0x7F], "digit": digits, "graph": [0x21...0x7E], "lower": lower,
    "print": [0x20...0x7E], "punct": [0x21...0x2F, 0x3A...0x40, 0x5B...0x60, 0x7B...0x7E],
    "space": [0x09...0x0D, 0x20...0x20], "upper": upper, "word": words, "xdigit": digits + [0x41...0x46, 0x61...0x66],
  ]
}
