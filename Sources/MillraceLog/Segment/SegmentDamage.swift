// What is known of the bytes that a segment had when the log was opened. Bytes that this process wrote, or whose
// checksums recovery computed, need no second look. Older ones are checked once, when somebody first reads them: the disk
// costs more than the checksum then, and no read of fresh records pays. Batches that fail are remembered with their
// offsets; reading those says `corrupt`, and walks over headers step over them.

/// Bytes of a segment that are not what was written.
package struct Damage: Sendable, Hashable {
  package var position: Int64
  package var byteCount: Int64
  /// The offsets that nothing is known of. May begin too early.
  package var offsets: Range<Int64>

  package var end: Int64 { position + byteCount }
}

struct SegmentDamage: Sendable {
  /// By position.
  private(set) var found: [Damage] = []
  private var checked = CheckedRanges()
  /// Behind the last batch, once that was checked.
  var endOffset: Int64?
  private var reported: Set<Damage> = []

  mutating func takeUnreported(_ damage: Damage) -> Bool { reported.insert(damage).inserted }

  /// Returns whether that was news. Damage that overlaps is one.
  mutating func add(_ damage: Damage) -> Bool {
    var whole = damage
    for known in found where known.position < damage.end && known.end > damage.position {
      if known.position <= damage.position && known.end >= damage.end { return false }
      let end = max(whole.end, known.end)
      whole.position = min(whole.position, known.position)
      whole.byteCount = end - whole.position
      whole.offsets =
        min(
          whole.offsets.lowerBound, known.offsets.lowerBound)..<max(whole.offsets.upperBound, known.offsets.upperBound)
    }
    found.removeAll { $0.position < whole.end && $0.end > whole.position }
    found.insert(whole, at: found.partitioningIndex { $0.position >= whole.position })
    return true
  }

  mutating func noteChecked(_ range: Range<Int64>) { checked.insert(range) }

  func isChecked(_ range: Range<Int64>) -> Bool { checked.contains(range) }

  func first(from position: Int64, before end: Int64) -> Damage? {
    let index = found.partitioningIndex { $0.end > position }
    return index < found.count && found[index].position < end ? found[index] : nil
  }

  func covers(_ offset: Int64) -> Damage? { found.first { $0.offsets.contains(offset) } }
}

/// Disjoint ranges of positions, rising. What a few readers leave; the shortest is forgotten when there are too many, and
/// checked again when it is read again.
struct CheckedRanges: Sendable {
  private static let most = 64
  private var ranges: [Range<Int64>] = []

  mutating func insert(_ range: Range<Int64>) {
    guard !range.isEmpty else { return }
    let first = ranges.partitioningIndex { $0.upperBound >= range.lowerBound }
    let next = ranges.partitioningIndex { $0.lowerBound > range.upperBound }
    var merged = range
    if first < next {
      merged = min(range.lowerBound, ranges[first].lowerBound)..<max(range.upperBound, ranges[next - 1].upperBound)
    }
    ranges.replaceSubrange(first..<next, with: [merged])
    if ranges.count > Self.most, let shortest = ranges.indices.min(by: { ranges[$0].count < ranges[$1].count }) {
      ranges.remove(at: shortest)
    }
  }

  func contains(_ range: Range<Int64>) -> Bool {
    let index = ranges.partitioningIndex { $0.upperBound >= range.upperBound }
    return range.isEmpty || index < ranges.count && ranges[index].lowerBound <= range.lowerBound
  }
}
