// Putting a segment in the place of those it was written from, so that a crash finds the old ones or the new one and
// never a part of each:
//
//   1. `B.log.cleaned` is whole and durable            a crash removes it
//   2. renamed to `B.log.swap`, directory flushed      from here on a crash finishes what follows
//   3. readers are given the new segment
//   4. the old files are renamed to `….deleted`, directory flushed
//   5. `B.log.swap` renamed to `B.log`, directory flushed
//
// The last batch of the old segments is always in the new one, if without records, so the new one says by itself which
// files it replaces: those whose offsets lie from its first to its last. Indexes are hints: after a crash in between they
// are made anew.

extension PartitionLog {
  /// Returns false, having done nothing, when the log has changed since `old` was looked at. Throws when it could not be
  /// finished; the next start does.
  func swap(_ old: [Segment], for new: Segment, end: Int64, nowMs: Int64) throws(LogError) -> Bool {
    try upkeep.withLock { (_) throws(LogError) in
      guard offlineError == nil, place(of: old) != nil else { return false }
      do throws(StorageError) {
        try home.fileSystem.synchronizeDirectory(directory.path)
        try new.move(to: .swap)
        try home.fileSystem.synchronizeDirectory(directory.path)
        guard publish(new, for: old, end: end) else { return false }
        for segment in old { segment.retire() }
        let dueMs = DataDirectory.Removal.due(config.fileDeleteDelayMs, after: nowMs)
        for segment in old { try moveAway(segment, dueMs: dueMs) }
        try home.fileSystem.synchronizeDirectory(directory.path)
        try new.move(to: .final)
        try home.fileSystem.synchronizeDirectory(directory.path)
        return true
      } catch {
        // Nothing else may begin before a start has sorted the names out.
        isUncleanable.store(true, ordering: .relaxed)
        throw .storage(error)
      }
    }
  }

  /// Where the segments stand among the log's; nil when they are not there, next to each other, any more.
  private func place(of old: [Segment]) -> Range<Int>? {
    view.withLock { view in view.flatMap { Self.place(of: old, in: $0.segments) } }
  }

  private static func place(of old: [Segment], in segments: [Segment]) -> Range<Int>? {
    let first = segments.partitioningIndex { $0.baseOffset >= old[0].baseOffset }
    // The active segment is not among them.
    guard first + old.count < segments.count, old.indices.allSatisfy({ segments[first + $0] === old[$0] }) else {
      return nil
    }
    return first..<(first + old.count)
  }

  private func publish(_ new: Segment, for old: [Segment], end: Int64) -> Bool {
    writer.withLock { writer in
      guard let writer, let place = Self.place(of: old, in: writer.segments) else { return false }
      writer.segments.replaceSubrange(place, with: [new])
      view.withLock { view in
        view?.segments = writer.segments
        view?.layout += 1
        view?.cursors = ReadCursors()
        view?.closedSegments.removeAll { closed in old.contains { $0 === closed } }
        // The high watermark is not below `end`; a position in the old segments can only be their end.
        if let mark = view?.highWatermark, mark.segment < end {
          view?.highWatermark = LogPosition(offset: mark.offset, segment: end, position: 0)
        }
      }
      return true
    }
  }
}
