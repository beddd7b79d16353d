// What classes ask about one scalar of the text, found out at most once for all of them.

struct ScalarFacts {
  let scalar: Unicode.Scalar
  lazy var category: Unicode.GeneralCategory = scalar.properties.generalCategory
  /// The scalar and all that differ from it only in case.
  lazy var caseVariants: [Unicode.Scalar] = CaseFolding.variants(of: scalar)

  init(_ scalar: Unicode.Scalar) { self.scalar = scalar }
}
