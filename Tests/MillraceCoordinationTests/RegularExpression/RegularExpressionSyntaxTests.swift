import Testing

@testable import MillraceCoordination

/// What is an expression, and what is refused with which words.
@Suite struct RegularExpressionSyntaxTests {
  @Test(arguments: [
    "", "a", "a|", "|", "()", "(?:)", "a{", "a{,2}", "a{1", "{", "a{01}", "a{2,01}", "a{1000}", "(a{10}){100}", "^*",
    "(?i)(?s)(?m)(?U)a", "(?i-s:a)", "(?P<n>a)(?<m>b)", "[]a]", "[^]a]", "[a-]", "[-a]", "[a-c-e]", "[[:word:]]",
    "[[:x]",
    #"\pL\PN\p{^Lu}[\p{Nd}]"#, #"\Qa+b\E*"#, #"\Qa"#, #"\101\08\x41\x{1F600}"#, #"\_\-\."#,
    "(?)", "a*(?i)*", "a??", "a{2}?", "(?i:a|b)c", #"[\]\^\-]"#, #"[\101-\x43]"#, "x{0}", "()*", "(a*)*", "(a|b*)+",
  ])
  func `an expression of the syntax is accepted`(source: String) throws {
    _ = try RegularExpression(source)
  }

  @Test(
    arguments: [
      ("a(b", .missingParenthesis, 1, "(b"), ("a)b", .unexpectedParenthesis, 1, ")"), ("[a", .missingBracket, 0, "[a"),
      ("x[]", .missingBracket, 1, "[]"), ("*", .missingRepeatArgument, 0, "*"), ("a|+", .missingRepeatArgument, 2, "+"),
      ("(?i)?", .missingRepeatArgument, 4, "?"), ("{2}", .missingRepeatArgument, 0, "{2}"),
      ("a**", .badRepeatOperator, 1, "**"), ("a+*", .badRepeatOperator, 1, "+*"),
      ("a???", .badRepeatOperator, 1, "???"),
      ("ba{2}{3}", .badRepeatOperator, 2, "{2}{3}"), ("a{1001}", .badRepeatCount, 1, "{1001}"),
      ("a{99999999999999999999}", .badRepeatCount, 1, "{99999999999999999999}"),
      ("a{2,1}", .badRepeatCount, 1, "{2,1}"),
      ("(a{100}){11}", .badRepeatCount, 8, "{11}"), ("((a{2,}){100}){6}", .badRepeatCount, 14, "{6}"),
      ("[b-a]", .badClass, 1, "b-a"), ("[[:letter:]]", .badClass, 1, "[:letter:]"), (#"[a-\d]"#, .badEscape, 3, #"\d"#),
      (#"\"#, .trailingBackslash, 0, #"\"#), (#"a\q"#, .badEscape, 1, #"\q"#), (#"(a)\1"#, .badEscape, 3, #"\1"#),
      (#"\8"#, .badEscape, 0, #"\8"#), (#"\C"#, .badEscape, 0, #"\C"#), (#"\Z"#, .badEscape, 0, #"\Z"#),
      (#"\xa"#, .badEscape, 0, #"\xa"#), (#"\x{110000}"#, .badEscape, 0, #"\x{110000}"#),
      (#"\x{D800}"#, .badEscape, 0, #"\x{D800}"#),
      (#"[\b]"#, .badEscape, 1, #"\b"#), (#"\pX"#, .badCategory, 0, #"\pX"#),
      (#"a\p{Greek}"#, .badCategory, 1, #"\p{Greek}"#),
      (#"\p{L"#, .badCategory, 0, #"\p{L"#), (#"\p"#, .badCategory, 0, #"\p"#), ("(?=a)", .badGroup, 0, "(?="),
      ("(?!a)", .badGroup, 0, "(?!"), ("(?<=a)", .badGroup, 0, "(?<"), ("(?<!a)", .badGroup, 0, "(?<"),
      ("(?>a)", .badGroup, 0, "(?>"), ("(?-)", .badGroup, 0, "(?-)"), ("(?i", .badGroup, 0, "(?i"),
      ("(?P<n", .badGroupName, 0, "(?P<n"), ("(?P<>a)", .badGroupName, 0, "(?P<>"),
      ("(?P<n-1>a)", .badGroupName, 0, "(?P<n-1>"),
      ("(?P<n>a)(?<n>b)", .duplicateGroupName, 8, "(?<n>"),
    ] as [(String, RegularExpressionError.Reason, Int, String)])
  func `what is no expression is refused with the place and the piece`(
    source: String, reason: RegularExpressionError.Reason, position: Int, piece: String
  ) {
    let expected = RegularExpressionError(reason: reason, position: position, piece: piece)
    #expect(throws: expected) { try RegularExpression(source) }
  }

  @Test func `an error says what is wrong, with what and where`() {
    let error = #expect(throws: RegularExpressionError.self) { try RegularExpression("orders-(a|b") }
    #expect(error?.description == "missing closing ): `(a|b` at position 7")
  }

  @Test func `a long piece is shortened`() {
    let error = #expect(throws: RegularExpressionError.self) {
      try RegularExpression("[" + String(repeating: "é", count: 100))
    }
    #expect(error?.piece == "[" + String(repeating: "é", count: 39) + "…")
  }
}
