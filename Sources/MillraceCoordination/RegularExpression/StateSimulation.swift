// Runs a program over a text with all of its states at once: each state is at most once in a step, so a step costs at
// most the size of the program, whatever the expression is. A state is the number of its instruction; only those that
// wait for a scalar, and the one behind the last instruction (which has matched), are kept.

struct StateSimulation {
  private let program: [Instruction]
  private let classes: [ScalarClass]
  private var current: [Int] = []
  private var next: [Int] = []
  /// The step in which an instruction was last reached.
  private var reached: [Int]
  private var step = 0
  private var pending: [Int] = []

  init(_ expression: RegularExpression) {
    program = expression.program
    classes = expression.classes
    reached = Array(repeating: 0, count: expression.program.count + 1)
  }

  mutating func wholeMatch(_ text: String) -> Bool {
    var scalars = text.unicodeScalars.makeIterator()
    var following = scalars.next()
    step = 1
    reach(0, after: nil, before: following)
    swap(&current, &next)
    while let scalar = following {
      guard !current.isEmpty else { return false }
      following = scalars.next()
      step += 1
      advance(over: scalar, before: following)
    }
    return current.contains(program.count)
  }

  private mutating func advance(over scalar: Unicode.Scalar, before following: Unicode.Scalar?) {
    next.removeAll(keepingCapacity: true)
    var facts = ScalarFacts(scalar)
    for state in current where state < program.count {
      let isTaken =
        switch program[state] {
        case .scalar(let expected): expected == scalar
        case .any: true
        case .anyButNewline: scalar != "\n"
        case .member(let number): classes[number].contains(&facts)
        case .assertion, .jump, .split: false
        }
      if isTaken { reach(state + 1, after: scalar, before: following) }
    }
    swap(&current, &next)
  }

  /// Adds the state and all that can be reached from it without taking a scalar.
  private mutating func reach(_ state: Int, after previous: Unicode.Scalar?, before following: Unicode.Scalar?) {
    pending.append(state)
    while let state = pending.popLast() {
      guard reached[state] != step else { continue }
      reached[state] = step
      guard state < program.count else {
        next.append(state)
        continue
      }
      switch program[state] {
      case .jump(let distance): pending.append(state + distance)
      case .split(let first, let second):
        pending.append(state + second)
        pending.append(state + first)
      case .assertion(let assertion):
        if assertion.holds(after: previous, before: following) { pending.append(state + 1) }
      case .scalar, .any, .anyButNewline, .member: next.append(state)
      }
    }
  }
}
