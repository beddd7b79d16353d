// A part of the program while it is being put together: what alternation and repetition do to it.

struct ProgramPiece: Sendable {
  var instructions: [Instruction] = []
  /// The largest product of counted repetitions inside one another.
  var repeats = 1

  /// How many instructions it takes to repeat a piece of `count` of them.
  static func size(repeating count: Int, from minimum: Int, to maximum: Int?) -> Int {
    guard let maximum else { return max(minimum, 1) * count + 2 }
    return maximum * count + (maximum - minimum)
  }

  /// From `minimum` to `maximum` times (`nil`: any number of times).
  static func repeating(_ piece: [Instruction], from minimum: Int, to maximum: Int?) -> [Instruction] {
    guard let maximum else {
      guard minimum > 0 else { return [.split(1, piece.count + 2)] + piece + [.jump(-piece.count - 1)] }
      return Array(repeatElement(piece, count: minimum).joined()) + [.split(-piece.count, 1)]
    }
    var result = Array(repeatElement(piece, count: minimum).joined())
    // x{0,3} is (x(x(x)?)?)?: each split skips all that is left.
    let step = piece.count + 1
    for left in stride(from: maximum - minimum, to: 0, by: -1) {
      result.append(.split(1, left * step))
      result.append(contentsOf: piece)
    }
    return result
  }
}
