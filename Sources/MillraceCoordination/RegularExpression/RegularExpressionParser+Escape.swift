// What stands behind a backslash.

extension RegularExpressionParser {
  /// An escape outside of brackets.
  mutating func parseEscape() throws(RegularExpressionError) {
    let start = position
    guard let letter = peek(1) else { throw error(.trailingBackslash, from: position, to: source.count) }
    switch letter {
    case "A": try take(.textStart)
    case "z": try take(.textEnd)
    case "b": try take(.wordBoundary)
    case "B": try take(.noWordBoundary)
    case "Q": try parseQuotation()
    case "p", "P", "d", "D", "s", "S", "w", "W":
      var parts = ScalarClassParts()
      guard try parseClassEscape(into: &parts) else { throw error(.badEscape, from: start, to: start + 2) }
      classes.append(ScalarClass(parts, isNegated: false, foldsCase: flags.foldsCase))
      try append(.member(of: classes.count - 1))
    default:
      let scalar = try parseScalarEscape()
      try appendLiteral(scalar)
    }
  }

  private mutating func take(_ assertion: Assertion) throws(RegularExpressionError) {
    position += 2
    try append(.assertion(assertion))
  }

  /// \Q...\E, or to the end.
  private mutating func parseQuotation() throws(RegularExpressionError) {
    position += 2
    while let scalar = peek() {
      if follows("\\E") {
        position += 2
        return
      }
      position += 1
      try appendLiteral(scalar)
    }
  }

  /// \d and its like, \pN, \p{Name}; false when the escape is something else.
  mutating func parseClassEscape(into parts: inout ScalarClassParts) throws(RegularExpressionError) -> Bool {
    guard let letter = peek(1) else { return false }
    if let named = NamedClass.perl(letter) {
      parts.ranges += NamedClass.resolved(named, foldsCase: flags.foldsCase)
      position += 2
      return true
    }
    guard letter == "p" || letter == "P" else { return false }
    let start = position
    position += 2
    var name: ArraySlice<Unicode.Scalar>
    if peek() == "{" {
      guard let closing = source[position...].firstIndex(of: "}") else {
        throw error(.badCategory, from: start, to: source.count)
      }
      name = source[(position + 1)..<closing]
      position = closing + 1
    } else {
      name = source[position..<min(position + 1, source.count)]
      position = name.endIndex
    }
    var isNegated = letter == "P"
    if name.first == "^" {
      isNegated.toggle()
      name = name.dropFirst()
    }
    guard let categories = CategorySet(name: String(String.UnicodeScalarView(name))) else {
      throw error(.badCategory, from: start, to: position)
    }
    parts.add(categories, isNegated: isNegated)
    return true
  }

  /// An escape that stands for one scalar.
  mutating func parseScalarEscape() throws(RegularExpressionError) -> Unicode.Scalar {
    let start = position
    guard let letter = peek(1) else { throw error(.trailingBackslash, from: start, to: source.count) }
    position += 2
    switch letter {
    case "a": return "\u{07}"
    case "f": return "\u{0C}"
    case "t": return "\t"
    case "n": return "\n"
    case "r": return "\r"
    case "v": return "\u{0B}"
    case "x": return try parseHexadecimal(from: start)
    case "0"..."7":
      // One digit alone would be a back-reference.
      guard letter == "0" || peek().map({ ("0"..."7").contains($0) }) == true else { break }
      return parseOctal(first: letter)
    default:
      if letter.isASCII, !letter.isASCIILetter, !letter.isASCIIDigit { return letter }
    }
    throw error(.badEscape, from: start, to: position)
  }

  private mutating func parseOctal(first: Unicode.Scalar) -> Unicode.Scalar {
    var value = first.value - 0x30
    for _ in 0..<2 {
      guard let digit = peek(), ("0"..."7").contains(digit) else { break }
      value = value * 8 + digit.value - 0x30
      position += 1
    }
    return Unicode.Scalar(UInt16(value)) ?? "\0"
  }

  /// \x7F or \x{10FFFF}.
  private mutating func parseHexadecimal(from start: Int) throws(RegularExpressionError) -> Unicode.Scalar {
    let isBraced = peek() == "{"
    if isBraced { position += 1 }
    var value: UInt32 = 0
    var digits = 0
    while let digit = peek().flatMap(Self.hexadecimalValue), isBraced || digits < 2, value <= 0x10FFFF {
      value = value * 16 + digit
      digits += 1
      position += 1
    }
    let isComplete = isBraced ? digits > 0 && peek() == "}" : digits == 2
    guard isComplete, let scalar = Unicode.Scalar(value) else {
      throw error(.badEscape, from: start, to: min(position + 1, source.count))
    }
    if isBraced { position += 1 }
    return scalar
  }

  private static func hexadecimalValue(_ scalar: Unicode.Scalar) -> UInt32? {
    switch scalar {
    case "0"..."9": scalar.value - 0x30
    case "a"..."f": scalar.value - 0x61 + 10
    case "A"..."F": scalar.value - 0x41 + 10
    default: nil
    }
  }
}
