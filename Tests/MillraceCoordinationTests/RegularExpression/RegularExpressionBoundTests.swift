import Testing

@testable import MillraceCoordination

/// Expressions made to hurt: the work is bounded by text x program, and the program by a constant.
@Suite struct RegularExpressionBoundTests {
  @Test(arguments: ["^(a+)+$", "(a*)*", "(a|a)*", "(a|aa)+", "(.*)*", "(a?){20}a*", "(((a+)+)+)+", "(.*a){10}"])
  func `time is linear in the text where backtracking needs for ever`(source: String) throws {
    let expression = try RegularExpression(source)
    let text = String(repeating: "a", count: 10_000)
    let elapsed = ContinuousClock().measure {
      #expect(expression.wholeMatch(text))
      #expect(!expression.wholeMatch(text + "\n!"))
    }
    // Some tenths of a second without optimisation; backtracking would take longer than the machine lasts.
    #expect(elapsed < .seconds(60))
  }

  @Test func `nested repetitions are written out up to the bound and no further`() throws {
    let expression = try RegularExpression("((a{10}){10}){10}")
    #expect(expression.wholeMatch(String(repeating: "a", count: 1_000)))
    #expect(!expression.wholeMatch(String(repeating: "a", count: 999)))
    #expect(throws: RegularExpressionError.self) { try RegularExpression("((a{10}){10}){11}") }
    #expect(throws: RegularExpressionError.self) { try RegularExpression("((((a{1000}){1000}){1000}){1000}){1000}") }
  }

  @Test(arguments: [
    "(abcdefghijk){1000}", String(repeating: "a{1000}", count: 11), String(repeating: "(a{1000}){0}", count: 11),
    String(repeating: "a{1000}|", count: 11), "((a{500,}){2}b){10,}(c{900}d{900}e{900}){10}",
    String(repeating: "((", count: 3) + String(repeating: "a{999}", count: 11) + String(repeating: "))", count: 3),
  ])
  func `a program is never larger than the bound`(source: String) {
    let error = #expect(throws: RegularExpressionError.self) { try RegularExpression(source) }
    #expect(error?.reason == .tooLarge || error?.reason == .badRepeatCount)
  }

  @Test func `an expression that fits the bound uses no more than it`() throws {
    let expression = try RegularExpression("(abcdefgh){1000}")
    #expect(expression.program.count <= RegularExpression.maximumProgramSize)
    #expect(expression.wholeMatch(String(repeating: "abcdefgh", count: 1_000)))
  }

  @Test func `nothing repeated very often costs nothing`() throws {
    let source = String(repeating: "(){1000}", count: 1_000)
    #expect(try RegularExpression(source).wholeMatch(""))
    #expect(try !RegularExpression(source).wholeMatch("a"))
  }

  @Test func `a source is never longer than the bound`() throws {
    let longest = String(repeating: "é", count: RegularExpression.maximumSourceBytes / 2)
    #expect(try RegularExpression(longest).wholeMatch(longest))
    let error = #expect(throws: RegularExpressionError.self) { try RegularExpression(longest + "a") }
    #expect(error?.description == "expression too long: `8193 bytes, 8192 are allowed` at position 0")
  }

  @Test func `groups are nested as deep as the bound and no deeper`() throws {
    func nested(_ depth: Int) -> String {
      String(repeating: "(", count: depth) + "a" + String(repeating: ")*", count: depth)
    }
    #expect(try RegularExpression(nested(RegularExpression.maximumDepth)).wholeMatch("aaa"))
    let error = #expect(throws: RegularExpressionError.self) {
      try RegularExpression(nested(RegularExpression.maximumDepth + 1))
    }
    #expect(error?.reason == .tooDeep)
  }

  @Test func `a list of hundreds of names is an expression`() throws {
    let names = (0..<600).map { "topic-\($0)" }
    let expression = try RegularExpression(names.joined(separator: "|"))
    for name in names { #expect(expression.wholeMatch(name)) }
    #expect(!expression.wholeMatch("topic-600"))
  }
}
