// Unicode general categories by the names that \p knows: one letter for a family, two for a member.

struct CategorySet: OptionSet, Sendable {
  let rawValue: UInt32

  static let any = CategorySet(rawValue: .max)

  init(rawValue: UInt32) { self.rawValue = rawValue }

  /// `nil` when there is no category of that name.
  init?(name: String) {
    if name == "Any" {
      self = .any
      return
    }
    let named = Self.names.filter { name.count == 1 ? $0.name.hasPrefix(name) : $0.name == name }
    guard !named.isEmpty else { return nil }
    self.init(named.map { CategorySet(rawValue: 1 << UInt32($0.bit)) })
  }

  func contains(_ category: Unicode.GeneralCategory) -> Bool {
    self == .any || rawValue >> UInt32(Self.bit(of: category)) & 1 == 1
  }

  private static let names: [(name: String, bit: Int)] = [
    "Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Me", "Nd", "Nl", "No", "Pc", "Pd", "Ps", "Pe", "Pi", "Pf", "Po",
    "Sm", "Sc", "Sk", "So", "Zs", "Zl", "Zp", "Cc", "Cf", "Cs", "Co",
  ].enumerated().map { ($1, $0) }

  private static func bit(of category: Unicode.GeneralCategory) -> Int {
    switch category {
    case .uppercaseLetter: 0
    case .lowercaseLetter: 1
    case .titlecaseLetter: 2
    case .modifierLetter: 3
    case .otherLetter: 4
    case .nonspacingMark: 5
    case .spacingMark: 6
    case .enclosingMark: 7
    case .decimalNumber: 8
    case .letterNumber: 9
    case .otherNumber: 10
    case .connectorPunctuation: 11
    case .dashPunctuation: 12
    case .openPunctuation: 13
    case .closePunctuation: 14
    case .initialPunctuation: 15
    case .finalPunctuation: 16
    case .otherPunctuation: 17
    case .mathSymbol: 18
    case .currencySymbol: 19
    case .modifierSymbol: 20
    case .otherSymbol: 21
    case .spaceSeparator: 22
    case .lineSeparator: 23
    case .paragraphSeparator: 24
    case .control: 25
    case .format: 26
    case .surrogate: 27
    case .privateUse: 28
    // In no family: RE2's C leaves out what is not assigned.
    case .unassigned: 31
    @unknown default: 31
    }
  }
}
