// One step of the program that an expression becomes: a Thompson automaton.
//
// Jumps are relative, so that a piece of program can be moved and copied as it is. A piece is entered at its first
// instruction and left behind its last one:
//
//   a|b    split 1,3   a   jump 2   b          a*   split 1,3   a   jump -2
//   a?     split 1,2   a                       a+   a   split -1,1
//
// The whole program has no final instruction: a state behind the last one has matched.

enum Instruction: Equatable, Sendable {
  case scalar(Unicode.Scalar)
  case any
  case anyButNewline
  /// A member of the class with this number.
  case member(of: Int)
  case assertion(Assertion)
  case jump(Int)
  case split(Int, Int)
}

/// A condition on the place between two scalars.
enum Assertion: Equatable, Sendable {
  case textStart, textEnd, lineStart, lineEnd, wordBoundary, noWordBoundary

  func holds(after previous: Unicode.Scalar?, before next: Unicode.Scalar?) -> Bool {
    switch self {
    case .textStart: previous == nil
    case .textEnd: next == nil
    case .lineStart: previous == nil || previous == "\n"
    case .lineEnd: next == nil || next == "\n"
    case .wordBoundary: Self.isWord(previous) != Self.isWord(next)
    case .noWordBoundary: Self.isWord(previous) == Self.isWord(next)
    }
  }

  /// \b knows ASCII words only, as in RE2.
  private static func isWord(_ scalar: Unicode.Scalar?) -> Bool {
    guard let scalar else { return false }
    return ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) || ("0"..."9").contains(scalar) || scalar == "_"
  }
}
