// Where the log ends: read from headers after a clean stop, from checked batches after any other.

import MillraceRecords

extension LogLoader {
  /// Finds `endOffset`, cuts what was torn, and returns the state of the active segment's indexes.
  mutating func openEnd() throws(LogError) -> IndexBuilder {
    if known.isClean, !mustRewrite, let recoveryPoint = known.recoveryPoint,
      let builder = try openCleanEnd(recoveryPoint)
    {
      trustedOffset = endOffset
      return builder
    }
    // A partition may be younger than the last checkpoint.
    if known.recoveryPoint == nil, segments.count > 1 { report.findings.append(.noRecoveryPoint) }
    trustedOffset = known.recoveryPoint ?? segments[0].baseOffset
    // All of it was flushed, whatever became of the checkpoint; only its end has to be found.
    if known.isClean { trustedOffset = max(trustedOffset, segments[segments.count - 1].baseOffset) }
    // A crash may have kept some of the segments that were being removed, with holes between them: what follows such a
    // hole is cut only where the log goes on.
    if let start = known.logStartOffset, let segment = segments.last(where: { $0.baseOffset <= start }) {
      trustedOffset = max(trustedOffset, segment.baseOffset)
    }
    let builder = try recover()
    if let recoveryPoint = known.recoveryPoint, endOffset < recoveryPoint {
      report.findings.append(.missing(from: endOffset, to: recoveryPoint))
      trustedOffset = endOffset
    }
    return builder
  }

  /// The end of a log that was closed: nil when it does not look like one.
  private mutating func openCleanEnd(_ recoveryPoint: Int64) throws(LogError) -> IndexBuilder? {
    let segment = segments[segments.count - 1]
    guard let (start, kept) = try usableIndexEnd(of: segment, notAfter: .max) else { return nil }
    var builder = kept
    var end = segment.baseOffset
    do {
      guard segment.size > 0 else { return finishCleanEnd(segment, builder, end, recoveryPoint) }
      try HeaderScan.run(try segment.file(), from: start, to: segment.size) { (scan) throws(LogError) in
        while let header = try scan.peek() {
          guard header.baseOffset >= end else { throw scan.corrupt }
          builder.add(header, at: scan.position)
          end = header.nextOffset
          scan.skip(header)
        }
      }
    } catch {
      guard case .corrupt = error else { throw error }
      return nil
    }
    return finishCleanEnd(segment, builder, end, recoveryPoint)
  }

  private mutating func finishCleanEnd(
    _ segment: Segment, _ builder: IndexBuilder, _ end: Int64, _ recoveryPoint: Int64
  ) -> IndexBuilder? {
    guard end == recoveryPoint else { return nil }
    endOffset = end
    segment.setLargestTimestamp(builder.largest)
    segment.setActive(true)
    segment.noteIndexesChecked()
    return builder
  }

  /// How far the segment's indexes can be believed: cuts them after the last entry below `offset`, and returns where its
  /// batch begins and the builder as it was before that batch was added. Nil when they are to be made anew.
  func usableIndexEnd(
    of segment: Segment, notAfter offset: Int64
  ) throws(LogError) -> (start: Int64, builder: IndexBuilder)? {
    guard segment.size > 0 else {
      try segment.index.replace(with: [])
      try segment.timeIndex.replace(with: [])
      return (0, IndexBuilder(segment: segment))
    }
    guard let entries = try segment.index.checkedEntries(), let times = try segment.timeIndex.checkedEntries() else {
      return nil
    }
    var count = entries.partitioningIndex {
      segment.baseOffset + Int64($0.relativeOffset) >= offset || Int64($0.position) >= segment.size
    }
    // Where only the newest entries are wrong, the others are good to begin with.
    while count > 0, try !segment.isTrue(entries[count - 1]) {
      count -= 1
      if entries.count - count > Self.mostUntrueEntries { return nil }
    }
    let last = count > 0 ? entries[count - 1] : nil
    let timeCount = times.partitioningIndex { $0.relativeOffset > last?.relativeOffset ?? -1 }
    if timeCount > 0, try !segment.isTrue(times[timeCount - 1]) { return nil }
    if last != nil, timeCount == 0 { return nil }
    if count < entries.count { try segment.index.truncate(toCount: count) }
    if timeCount < times.count { try segment.timeIndex.truncate(toCount: timeCount) }
    let largest = timeCount > 0 ? times[timeCount - 1] : nil
    let builder = IndexBuilder(
      segment: segment,
      largest: largest.map {
        TimestampOffset(timestamp: $0.timestamp, offset: segment.baseOffset + Int64($0.relativeOffset))
      })
    return (Int64(last?.position ?? 0), builder)
  }

  private static let mostUntrueEntries = 16
}
