// [ ... ]: single scalars, ranges, and classes that have names. A ] that comes first and a - that is no range are meant
// literally, as in Perl.

extension RegularExpressionParser {
  /// The number of the class.
  mutating func parseClass() throws(RegularExpressionError) -> Int {
    let start = position
    position += 1
    let isNegated = peek() == "^"
    if isNegated { position += 1 }
    var parts = ScalarClassParts()
    var isFirst = true
    while isFirst || peek() != "]" {
      guard let scalar = peek() else { throw error(.missingBracket, from: start, to: source.count) }
      isFirst = false
      if scalar == "[", peek(1) == ":", try parsePosixClass(into: &parts) { continue }
      if scalar == "\\", try parseClassEscape(into: &parts) { continue }
      try parseRange(into: &parts, ofClassAt: start)
    }
    position += 1
    classes.append(ScalarClass(parts, isNegated: isNegated, foldsCase: flags.foldsCase))
    return classes.count - 1
  }

  private mutating func parseRange(
    into parts: inout ScalarClassParts, ofClassAt start: Int
  ) throws(RegularExpressionError) {
    let first = position
    let low = try parseMember(ofClassAt: start)
    var high = low
    if peek() == "-", let next = peek(1), next != "]" {
      position += 1
      high = try parseMember(ofClassAt: start)
    }
    guard low <= high else { throw error(.badClass, from: first, to: position) }
    parts.ranges.append(low.value...high.value)
  }

  private mutating func parseMember(ofClassAt start: Int) throws(RegularExpressionError) -> Unicode.Scalar {
    guard let scalar = peek() else { throw error(.missingBracket, from: start, to: source.count) }
    if scalar == "\\" { return try parseScalarEscape() }
    position += 1
    return scalar
  }

  /// [:name:]; false when it is not closed, and so is a bracket and a colon.
  private mutating func parsePosixClass(into parts: inout ScalarClassParts) throws(RegularExpressionError) -> Bool {
    var end = position + 2
    while end + 1 < source.count, source[end] != ":" || source[end + 1] != "]" { end += 1 }
    guard end + 1 < source.count else { return false }
    let name = String(String.UnicodeScalarView(source[(position + 2)..<end]))
    guard let named = NamedClass.posix(name) else { throw error(.badClass, from: position, to: end + 2) }
    parts.ranges += NamedClass.resolved(named, foldsCase: flags.foldsCase)
    position = end + 2
    return true
  }
}
