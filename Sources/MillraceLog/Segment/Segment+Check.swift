// Checking inherited batches: their checksums, and that their offsets rise, since a batch's first offset and its length
// are not covered by its checksum. Where a batch fails, the next whole one is looked for.

import MillraceRecords

extension Segment {
  /// The damage in the bytes of a read from `start` to `end`, or in the batch behind, which says where the next read
  /// begins. What was not checked before is now. `isBoundary` when a read that ended at `start` says so, rather than the
  /// header there.
  ///
  /// - Parameter limit: where the segment ends for this reader: no batch ends behind it, in the file or in its offsets.
  func damage(
    from start: LogPosition, isBoundary: Bool, to end: Int64, limit: LogPosition
  ) throws(LogError) -> Damage? {
    let end = min(end + 1, inheritedBytes)
    guard start.position < end else { return nil }
    if !damage.withLock({ $0.isChecked(start.position..<end) }) {
      let from = isBoundary ? (start.position, start.offset) : try anchor(before: start.position)
      _ = try check(from: from, through: end, limit: limit)
    }
    return damage.withLock { $0.first(from: start.position, before: end) }
  }

  /// Checks the batches around `position`, where a header did not hold together, and back to a place that is known, since
  /// it may have been a batch before that sent the walk there. Returns whether that found anything new.
  func examine(around position: Int64, limit: LogPosition) throws(LogError) -> Bool {
    guard position < inheritedBytes else { return false }
    let start = try anchor(before: position)
    if try check(from: start, through: position + 1, limit: limit) { return true }
    return start.position > 0 ? try check(from: (0, baseOffset), through: position + 1, limit: limit) : false
  }

  /// The most index entries that are asked for a place that log and index agree on.
  private static let mostEntriesAsked = 8

  /// A batch before `position` whose offset is known from two sides: from its header and the index, or because the
  /// segment begins with it.
  private func anchor(before position: Int64) throws(LogError) -> (position: Int64, offset: Int64) {
    var position = position
    for _ in 0..<Self.mostEntriesAsked {
      guard let entry = try index.last(where: { Int64($0.position) < position })?.entry, entry.position > 0 else {
        break
      }
      position = Int64(entry.position)
      if try isTrue(entry), let header = try header(at: position) { return (position, header.baseOffset) }
    }
    return (0, baseOffset)
  }

  /// Checks from a place that is known up to `end`. Returns whether that found anything new.
  private func check(
    from start: (position: Int64, offset: Int64), through end: Int64, limit: LogPosition
  ) throws(LogError) -> Bool {
    let size = limit.position
    let endOffset = min(limit.offset, baseOffset + Int64(Int32.max) + 1)
    var walk = BatchWalk(file: try file(), position: start.position, expected: start.offset, size: size)
    walk.endOffset = endOffset
    var isNews = false
    var soundFrom = start.position
    while walk.position < min(end, size) {
      if let known = damage.withLock({ $0.first(from: walk.position, before: walk.position + 1) }) {
        damage.withLock { $0.noteChecked(soundFrom..<walk.position) }
        walk.position = known.end
        walk.expected = max(walk.expected, known.offsets.upperBound)
        soundFrom = known.end
        continue
      }
      if let header = try walk.sound() {
        walk.position += Int64(header.sizeInBytes)
        walk.expected = header.nextOffset
        continue
      }
      let next = try walk.next()
      let resume = next?.position ?? size
      let resumeOffset = next?.header.baseOffset ?? endOffset
      let found = Damage(
        position: walk.position, byteCount: resume - walk.position,
        offsets: walk.expected..<max(resumeOffset, walk.expected + 1))
      damage.withLock { $0.noteChecked(soundFrom..<resume) }
      isNews = note(found) || isNews
      walk.position = resume
      walk.expected = max(walk.expected, resumeOffset)
      soundFrom = resume
    }
    damage.withLock { damage in
      damage.noteChecked(soundFrom..<walk.position)
      if walk.position >= self.size { damage.endOffset = walk.expected }
    }
    return isNews
  }
}
