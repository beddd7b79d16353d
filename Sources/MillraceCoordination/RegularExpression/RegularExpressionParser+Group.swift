// ( ... ), (?: ... ), (?P<name> ... ), (?<name> ... ), (?flags) and (?flags: ... ). Look-around is refused here.

extension RegularExpressionParser {
  mutating func openGroup() throws(RegularExpressionError) {
    let start = position
    var inner = flags
    if peek(1) == "?" {
      if follows("(?P<") || follows("(?<") && peek(3) != "=" && peek(3) != "!" {
        try parseGroupName()
      } else {
        guard let isGroup = parseFlags(into: &inner) else {
          throw error(.badGroup, from: start, to: min(position + 1, source.count))
        }
        if !isGroup {
          flags = inner
          return
        }
      }
    } else {
      position += 1
    }
    guard groups.count <= RegularExpression.maximumDepth else {
      throw RegularExpressionError(reason: .tooDeep, position: start, piece: "")
    }
    groups.append(Group(position: start, outerFlags: flags))
    flags = inner
  }

  mutating func closeGroup() throws(RegularExpressionError) {
    guard groups.count > 1 else { throw error(.unexpectedParenthesis, from: position, to: position + 1) }
    position += 1
    flags = groups[groups.count - 1].outerFlags
    let piece = try finishGroup()
    appendItem(piece)
  }

  private mutating func parseGroupName() throws(RegularExpressionError) {
    let start = position
    guard let opening = source[position...].firstIndex(of: "<"), let closing = source[opening...].firstIndex(of: ">")
    else { throw error(.badGroupName, from: start, to: source.count) }
    let scalars = source[(opening + 1)..<closing]
    position = closing + 1
    let isValid = scalars.allSatisfy { $0 == "_" || $0.isASCIILetter || $0.isASCIIDigit }
    guard isValid, !scalars.isEmpty else { throw error(.badGroupName, from: start, to: position) }
    guard groupNames.insert(String(String.UnicodeScalarView(scalars))).inserted else {
      throw error(.duplicateGroupName, from: start, to: position)
    }
  }

  /// Reads (?flags: or (?flags). True when a group begins, `nil` when it is neither.
  private mutating func parseFlags(into flags: inout Flags) -> Bool? {
    position += 2
    var value = true
    var sawFlag = false
    while let scalar = peek() {
      switch scalar {
      case "i": flags.foldsCase = value
      case "m": flags.linesHaveEnds = value
      case "s": flags.dotIsAny = value
      case "U": break
      case "-":
        guard value else { return nil }
        value = false
        sawFlag = false
        position += 1
        continue
      case ":", ")":
        guard value || sawFlag else { return nil }
        position += 1
        return scalar == ":"
      default: return nil
      }
      sawFlag = true
      position += 1
    }
    return nil
  }
}

extension Unicode.Scalar {
  var isASCIIDigit: Bool { ("0"..."9").contains(self) }
  var isASCIILetter: Bool { ("a"..."z").contains(self) || ("A"..."Z").contains(self) }
}
