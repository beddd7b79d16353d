// Reads the source once, from left to right, and writes the program. Open groups are a stack of our own: the depth of
// an expression is never the depth of the thread's stack.
//
// Invariant: `emitted` counts every instruction ever written, the copies of counted repetitions before they are made,
// so that neither the program nor what is thrown away on the way to it can grow past the bound.

struct RegularExpressionParser {
  struct Flags {
    var foldsCase = false
    var dotIsAny = false
    var linesHaveEnds = false
  }

  /// A group that is still open; the lowest one is the expression.
  struct Group {
    let position: Int
    /// What holds again behind the group.
    let outerFlags: Flags
    var alternatives: [ProgramPiece] = []
    /// The alternative being read, without its last item.
    var sequence = ProgramPiece()
    /// What a repetition would repeat.
    var last: ProgramPiece?
  }

  let source: [Unicode.Scalar]
  var position = 0
  var flags = Flags()
  var groups: [Group]
  var groupNames: Set<String> = []
  var classes: [ScalarClass] = []
  private var emitted = 0
  /// Where the repetition operator that was just read began.
  private var repetitionStart: Int?

  init(_ source: String) throws(RegularExpressionError) {
    let bytes = source.utf8.count
    guard bytes <= RegularExpression.maximumSourceBytes else {
      throw RegularExpressionError(
        reason: .tooLong, position: 0, piece: "\(bytes) bytes, \(RegularExpression.maximumSourceBytes) are allowed")
    }
    self.source = Array(source.unicodeScalars)
    groups = [Group(position: 0, outerFlags: Flags())]
  }

  mutating func parse() throws(RegularExpressionError) -> [Instruction] {
    while let scalar = peek() {
      let previousRepetition = repetitionStart
      repetitionStart = nil
      switch scalar {
      case "(": try openGroup()
      case ")": try closeGroup()
      case "|":
        position += 1
        finishAlternative()
      case "*": try parseRepetition(from: 0, to: nil, length: 1, after: previousRepetition)
      case "+": try parseRepetition(from: 1, to: nil, length: 1, after: previousRepetition)
      case "?": try parseRepetition(from: 0, to: 1, length: 1, after: previousRepetition)
      case "{": try parseCountedRepetition(after: previousRepetition)
      case "[": try append(.member(of: parseClass()))
      case "\\": try parseEscape()
      case ".": try take(flags.dotIsAny ? .any : .anyButNewline)
      case "^": try take(.assertion(flags.linesHaveEnds ? .lineStart : .textStart))
      case "$": try take(.assertion(flags.linesHaveEnds ? .lineEnd : .textEnd))
      default:
        position += 1
        try appendLiteral(scalar)
      }
    }
    guard groups.count == 1 else {
      throw error(.missingParenthesis, from: groups[groups.count - 1].position, to: source.count)
    }
    return try finishGroup().instructions
  }

  // MARK: Writing the program

  mutating func append(_ instruction: Instruction) throws(RegularExpressionError) {
    try count(1)
    appendItem(ProgramPiece(instructions: [instruction]))
  }

  mutating func appendLiteral(_ scalar: Unicode.Scalar) throws(RegularExpressionError) {
    let variants = flags.foldsCase ? CaseFolding.variants(of: scalar) : []
    guard variants.count > 1 else { return try append(.scalar(scalar)) }
    var parts = ScalarClassParts()
    parts.ranges = variants.map { $0.value...$0.value }
    classes.append(ScalarClass(parts, isNegated: false, foldsCase: false))
    try append(.member(of: classes.count - 1))
  }

  private mutating func take(_ instruction: Instruction) throws(RegularExpressionError) {
    position += 1
    try append(instruction)
  }

  private mutating func count(_ instructions: Int) throws(RegularExpressionError) {
    guard instructions <= RegularExpression.maximumProgramSize - emitted else {
      throw RegularExpressionError(reason: .tooLarge, position: position, piece: "")
    }
    emitted += instructions
  }

  mutating func appendItem(_ item: ProgramPiece) {
    finishItem()
    groups[groups.count - 1].last = item
  }

  private mutating func finishItem() {
    guard let last = groups[groups.count - 1].last else { return }
    groups[groups.count - 1].last = nil
    groups[groups.count - 1].sequence.instructions += last.instructions
    groups[groups.count - 1].sequence.repeats = max(groups[groups.count - 1].sequence.repeats, last.repeats)
  }

  mutating func finishAlternative() {
    finishItem()
    groups[groups.count - 1].alternatives.append(groups[groups.count - 1].sequence)
    groups[groups.count - 1].sequence = ProgramPiece()
  }

  /// The innermost group, closed: its alternatives one behind the other, each skipped by a split before it.
  mutating func finishGroup() throws(RegularExpressionError) -> ProgramPiece {
    finishAlternative()
    let alternatives = groups.removeLast().alternatives
    try count(2 * (alternatives.count - 1) + 1)
    var result = ProgramPiece()
    var after = alternatives.reduce(2 * (alternatives.count - 1)) { $0 + $1.instructions.count }
    for (index, alternative) in alternatives.enumerated() {
      let length = alternative.instructions.count
      result.repeats = max(result.repeats, alternative.repeats)
      guard index < alternatives.count - 1 else {
        result.instructions += alternative.instructions
        break
      }
      after -= length + 2
      result.instructions.append(.split(1, length + 2))
      result.instructions += alternative.instructions
      result.instructions.append(.jump(after + 1))
    }
    return result
  }

  // MARK: Repetition

  private mutating func parseRepetition(
    from minimum: Int, to maximum: Int?, length: Int, after previous: Int?
  ) throws(RegularExpressionError) {
    let start = position
    position += length
    // Preferring few is no different when there are no captures.
    if peek() == "?" { position += 1 }
    if let previous { throw error(.badRepeatOperator, from: previous, to: position) }
    let counts = [minimum, maximum ?? minimum]
    guard counts.allSatisfy({ $0 <= RegularExpression.maximumRepeat }), counts[0] <= counts[1] else {
      throw error(.badRepeatCount, from: start, to: position)
    }
    guard let piece = groups[groups.count - 1].last else {
      throw error(.missingRepeatArgument, from: start, to: position)
    }
    let repeats = piece.repeats * max(counts[1], 1)
    guard repeats <= RegularExpression.maximumRepeat else { throw error(.badRepeatCount, from: start, to: position) }
    let size = piece.instructions.count
    try count(max(0, ProgramPiece.size(repeating: size, from: minimum, to: maximum) - size))
    groups[groups.count - 1].last = ProgramPiece(
      instructions: ProgramPiece.repeating(piece.instructions, from: minimum, to: maximum), repeats: repeats)
    repetitionStart = start
  }

  /// {n}, {n,} or {n,m}; anything else is a brace and nothing more.
  private mutating func parseCountedRepetition(after previous: Int?) throws(RegularExpressionError) {
    let start = position
    position += 1
    guard let minimum = parseCount() else { return try parseBrace(at: start) }
    var maximum: Int? = minimum
    if peek() == "," {
      position += 1
      maximum = parseCount()
    }
    guard peek() == "}" else { return try parseBrace(at: start) }
    let length = position + 1 - start
    position = start
    try parseRepetition(from: minimum, to: maximum, length: length, after: previous)
  }

  private mutating func parseBrace(at start: Int) throws(RegularExpressionError) {
    position = start + 1
    try appendLiteral("{")
  }

  /// A decimal number without leading zeros; one that is far too large stays too large.
  private mutating func parseCount() -> Int? {
    let start = position
    var value = 0
    while let digit = peek(), ("0"..."9").contains(digit) {
      value = min(value * 10 + Int(digit.value - 0x30), RegularExpression.maximumRepeat + 1)
      position += 1
    }
    if position == start + 1 || position > start && source[start] != "0" { return value }
    position = start
    return nil
  }

  // MARK: Reading the source

  func peek(_ ahead: Int = 0) -> Unicode.Scalar? {
    position + ahead < source.count ? source[position + ahead] : nil
  }

  /// The text from `position` on begins with these scalars.
  func follows(_ text: String) -> Bool { source[position...].starts(with: text.unicodeScalars) }

  func error(
    _ reason: RegularExpressionError.Reason, from start: Int, to end: Int
  ) -> RegularExpressionError {
    let longest = 40
    var piece = String(String.UnicodeScalarView(source[start..<min(end, start + longest, source.count)]))
    if end > start + longest { piece += "…" }
    return RegularExpressionError(reason: reason, position: start, piece: piece)
  }
}
