import Foundation
import MillraceCoordination
import Testing

/// Random expressions of the part that ICU has in common with RE2, on random texts, against NSRegularExpression; and
/// random garbage, which is refused or accepted but never more.
@Suite struct RegularExpressionRandomTests {
  @Test func `matches are those of another implementation`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("RegularExpressionRandomTests seed \(seed)")
    var random = SplitMix64(state: seed)
    var matched = 0
    for _ in 0..<1_500 {
      let source = Self.expression(depth: 3, &random)
      let ours = try RegularExpression(source)
      let theirs = try NSRegularExpression(pattern: "\\A(?:\(source))\\z")
      for _ in 0..<12 {
        let text = Self.text(&random)
        let whole = NSRange(text.startIndex..., in: text)
        let expected = theirs.firstMatch(in: text, range: whole) != nil
        #expect(ours.wholeMatch(text) == expected, "\(source) on \(text.debugDescription), seed \(seed)")
        matched += expected ? 1 : 0
      }
    }
    #expect(matched > 1_000, "the texts match too seldom to say anything")
  }

  @Test func `garbage is refused in words or is an expression`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("RegularExpressionRandomTests garbage seed \(seed)")
    var random = SplitMix64(state: seed)
    let pieces =
      Array(#"()[]{}*+?|^$.\-:<>!=,09abipPQEdDwWxzAB"#).map(String.init) + ["(?", "[:", ":]", "\\p{", "{2,", "é", "😀"]
    var accepted = 0
    for _ in 0..<20_000 {
      let length = Int.random(in: 1...14, using: &random)
      let source = (0..<length).map { _ in pieces.randomElement(using: &random) ?? "" }.joined()
      do {
        _ = try RegularExpression(source).wholeMatch("ab-09é")
        accepted += 1
      } catch {
        #expect((0...source.unicodeScalars.count).contains(error.position), "\(source), seed \(seed)")
      }
    }
    #expect(accepted > 100)
  }

  private static func expression(depth: Int, _ random: inout SplitMix64) -> String {
    let atoms = [
      "a", "b", "c", "-", "é", ".", "[ab]", "[^a]", "[a-c]", #"\d"#, #"\D"#, "1", #"\."#, "(?i:A)", "(?i:[B-C])",
      #"\b"#, "$", "^",
      "a*?", "b+?", "c??", #"\x61"#, #"\p{L}"#, "[[:alpha:]]", "",
    ]
    guard depth > 0 else { return atoms.randomElement(using: &random) ?? "" }
    let inner = { (random: inout SplitMix64) in expression(depth: depth - 1, &random) }
    // Not lazily around groups: ICU leaves such a loop when a round of it was empty.
    switch Int.random(in: 0..<10, using: &random) {
    case 0...3: return inner(&random) + inner(&random)
    case 4: return "(\(inner(&random))|\(inner(&random)))"
    case 5: return "(?:\(inner(&random))|\(inner(&random))|)"
    case 6...8:
      let repetition = ["*", "+", "?", "{2}", "{1,2}", "{0,3}", "{1,}"].randomElement(using: &random) ?? "*"
      return "(\(inner(&random)))\(repetition)"
    default: return atoms.randomElement(using: &random) ?? ""
    }
  }

  private static func text(_ random: inout SplitMix64) -> String {
    // ASCII only: word boundaries are about ASCII words in RE2 and about all words in ICU.
    let scalars = ["a", "a", "b", "b", "c", "A", "1", "-", "."]
    return (0..<Int.random(in: 0...6, using: &random)).map { _ in scalars.randomElement(using: &random) ?? "" }.joined()
  }
}
