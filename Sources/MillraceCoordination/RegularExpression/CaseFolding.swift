// Which scalars count as equal under (?i): Unicode's simple case folding, one scalar for one scalar.
//
// The mappings of the standard library lead from every scalar to its lower, upper and title case. They do not lead back
// to the few that nothing maps to (the Kelvin sign is a K, but no K becomes a Kelvin sign); those are in a table.

enum CaseFolding {
  static func variants(of scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    if scalar.isASCII { return variants(ofASCII: scalar) }
    // The dotless i has no other case here: its capital I belongs to i.
    if scalar == "\u{131}" { return [scalar] }
    let upper = single(scalar.properties.uppercaseMapping) ?? scalar
    let folded = single(upper.properties.lowercaseMapping) ?? upper
    if folded.isASCII { return variants(ofASCII: folded) }
    var variants = [folded]
    let others = [
      scalar, single(folded.properties.uppercaseMapping), single(folded.properties.titlecaseMapping),
    ]
    for case let other? in others + (unreachable[folded] ?? []) where !variants.contains(other) {
      variants.append(other)
    }
    return variants
  }

  private static func variants(ofASCII scalar: Unicode.Scalar) -> [Unicode.Scalar] {
    guard ("a"..."z").contains(scalar) || ("A"..."Z").contains(scalar) else { return [scalar] }
    let lower = Unicode.Scalar(UInt8(scalar.value) | 0x20)
    let pair = [lower, Unicode.Scalar(UInt8(scalar.value) & ~0x20)]
    return pair + (unreachable[lower] ?? [])
  }

  private static func single(_ mapping: String) -> Unicode.Scalar? {
    let scalars = mapping.unicodeScalars
    return scalars.count == 1 ? scalars.first : nil
  }

  private static let unreachable: [Unicode.Scalar: [Unicode.Scalar]] = [
    "k": ["\u{212A}"], "s": ["\u{17F}"], "\u{DF}": ["\u{1E9E}"], "\u{E5}": ["\u{212B}"],
    "\u{3B2}": ["\u{3D0}"], "\u{3B5}": ["\u{3F5}"], "\u{3B8}": ["\u{3D1}", "\u{3F4}"],
    "\u{3B9}": ["\u{345}", "\u{1FBE}"], "\u{3BA}": ["\u{3F0}"], "\u{3BC}": ["\u{B5}"], "\u{3C0}": ["\u{3D6}"],
    "\u{3C1}": ["\u{3F1}"], "\u{3C3}": ["\u{3C2}"], "\u{3C6}": ["\u{3D5}"], "\u{3C9}": ["\u{2126}"],
    "\u{432}": ["\u{1C80}"], "\u{434}": ["\u{1C81}"], "\u{43E}": ["\u{1C82}"], "\u{441}": ["\u{1C83}"],
    "\u{442}": ["\u{1C84}", "\u{1C85}"], "\u{44A}": ["\u{1C86}"], "\u{463}": ["\u{1C87}"],
    "\u{1E61}": ["\u{1E9B}"], "\u{A64B}": ["\u{1C88}"],
  ]
}
