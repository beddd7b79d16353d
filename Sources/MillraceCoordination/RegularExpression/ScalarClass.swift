// A set of Unicode scalars: ranges, general categories, and complements of categories, perhaps negated, perhaps
// ignoring case. ASCII is answered from a bitmap; the rest from what the class was made of.

struct ScalarClass: Sendable {
  private var ranges: [ClosedRange<UInt32>]
  private let categories: CategorySet
  private let excluded: [CategorySet]
  private let isNegated: Bool
  private let foldsCase: Bool
  private var asciiLow: UInt64 = 0
  private var asciiHigh: UInt64 = 0

  init(_ parts: ScalarClassParts, isNegated: Bool, foldsCase: Bool) {
    ranges = parts.ranges.sortedAndMerged()
    categories = parts.categories
    excluded = parts.excluded
    self.isNegated = isNegated
    self.foldsCase = foldsCase
    for value in 0..<128 as Range<UInt32> {
      guard let scalar = Unicode.Scalar(value) else { continue }
      var facts = ScalarFacts(scalar)
      guard computed(&facts) else { continue }
      if value < 64 { asciiLow |= 1 << UInt64(value) } else { asciiHigh |= 1 << UInt64(value - 64) }
    }
  }

  func contains(_ facts: inout ScalarFacts) -> Bool {
    let value = facts.scalar.value
    if value < 64 { return asciiLow >> UInt64(value) & 1 == 1 }
    if value < 128 { return asciiHigh >> UInt64(value - 64) & 1 == 1 }
    return computed(&facts)
  }

  private func computed(_ facts: inout ScalarFacts) -> Bool {
    guard foldsCase else { return isNegated != holds(facts.scalar.value, facts.category) }
    let variants = facts.caseVariants
    let isMember =
      variants.contains { inRanges($0.value) || categories.contains($0.properties.generalCategory) }
      || excluded.contains { set in !variants.contains { set.contains($0.properties.generalCategory) } }
    return isNegated != isMember
  }

  private func holds(_ value: UInt32, _ category: @autoclosure () -> Unicode.GeneralCategory) -> Bool {
    if inRanges(value) { return true }
    guard !categories.isEmpty || !excluded.isEmpty else { return false }
    let category = category()
    return categories.contains(category) || excluded.contains { !$0.contains(category) }
  }

  private func inRanges(_ value: UInt32) -> Bool {
    var low = 0
    var high = ranges.count
    while low < high {
      let middle = (low + high) / 2
      if ranges[middle].upperBound < value { low = middle + 1 } else { high = middle }
    }
    return low < ranges.count && ranges[low].contains(value)
  }
}

/// What the items between the brackets add up to.
struct ScalarClassParts {
  var ranges: [ClosedRange<UInt32>] = []
  var categories = CategorySet()
  /// Each stands for all scalars outside of it.
  var excluded: [CategorySet] = []

  mutating func add(_ set: CategorySet, isNegated: Bool) {
    if !isNegated {
      categories.formUnion(set)
    } else if !excluded.contains(set) {
      excluded.append(set)
    }
  }
}

extension [ClosedRange<UInt32>] {
  func sortedAndMerged() -> Self {
    var result: Self = []
    for range in sorted(by: { $0.lowerBound < $1.lowerBound }) {
      if let last = result.last, range.lowerBound <= last.upperBound || range.lowerBound == last.upperBound + 1 {
        result[result.count - 1] = last.lowerBound...Swift.max(last.upperBound, range.upperBound)
      } else {
        result.append(range)
      }
    }
    return result
  }

  /// All scalars outside of the ranges, which are sorted and merged.
  func complemented() -> Self {
    var result: Self = []
    var next: UInt32 = 0
    for range in self {
      if range.lowerBound > next { result.append(next...(range.lowerBound - 1)) }
      next = range.upperBound + 1
    }
    let last: UInt32 = 0x10FFFF
    if next <= last { result.append(next...last) }
    return result
  }
}
