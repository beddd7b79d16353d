// A regular expression in RE2's syntax, as clients send them in subscriptions (KIP-848) and filters (KIP-1152).
//
// It comes from anybody who may connect, so nothing about it is trusted: the source is bounded in bytes, in the depth
// of its groups and in the size of the program that it becomes, and matching takes time proportional to
// text x program whatever both say. There are no captures, no back-references and no look-around; without captures it
// does not matter whether a repetition is greedy, so `??` and (?U) are read and change nothing.
//
//   source --RegularExpressionParser--> [Instruction] + [ScalarClass] --StateSimulation--> yes or no
//
// What differs from RE2: \p{...} knows general categories (and Any), not scripts.

package struct RegularExpression: Sendable {
  /// An alternation of some hundred topic names fits.
  package static let maximumSourceBytes = 8_192
  /// Groups inside groups.
  package static let maximumDepth = 200
  /// Instructions, after counted repetitions have been written out.
  package static let maximumProgramSize = 10_000
  /// The largest count of a repetition, and of nested ones multiplied.
  package static let maximumRepeat = 1_000

  package let source: String
  let program: [Instruction]
  let classes: [ScalarClass]

  package init(_ source: String) throws(RegularExpressionError) {
    var parser = try RegularExpressionParser(source)
    program = try parser.parse()
    classes = parser.classes
    self.source = source
  }

  /// Whether the expression matches the text from its first scalar to its last.
  package func wholeMatch(_ text: String) -> Bool {
    var simulation = StateSimulation(self)
    return simulation.wholeMatch(text)
  }
}

extension RegularExpression: Hashable {
  package static func == (left: Self, right: Self) -> Bool { left.source == right.source }
  package func hash(into hasher: inout Hasher) { hasher.combine(source) }
}
