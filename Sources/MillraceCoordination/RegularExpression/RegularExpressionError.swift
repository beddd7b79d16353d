// Why a source is not a regular expression: what is wrong, where, and the piece that is.

package struct RegularExpressionError: Error, Equatable, Sendable, CustomStringConvertible {
  package enum Reason: String, Sendable {
    case badCategory = "unknown Unicode category (scripts are not supported)"
    case badClass = "invalid character class range"
    case badEscape = "invalid escape sequence"
    case badGroup = "invalid or unsupported group syntax"
    case badGroupName = "invalid group name"
    case badRepeatCount = "invalid repeat count"
    case badRepeatOperator = "invalid nested repetition operator"
    case duplicateGroupName = "duplicate group name"
    case missingBracket = "missing closing ]"
    case missingParenthesis = "missing closing )"
    case missingRepeatArgument = "missing argument to repetition operator"
    case tooDeep = "groups nested too deeply"
    case tooLarge = "expression too large when its repetitions are written out"
    case tooLong = "expression too long"
    case trailingBackslash = "trailing backslash"
    case unexpectedParenthesis = "unexpected )"
  }

  package let reason: Reason
  /// Unicode scalars before the piece.
  package let position: Int
  /// The offending piece, shortened when it is long.
  package let piece: String

  package var description: String {
    piece.isEmpty
      ? "\(reason.rawValue) at position \(position)" : "\(reason.rawValue): `\(piece)` at position \(position)"
  }
}
