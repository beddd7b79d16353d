// Reading the log past the recovery point after an unclean stop.

import MillraceRecords

extension LogLoader {
  /// Checks everything from `trustedOffset` on, cuts what is not whole, makes the indexes of what was read, and flushes
  /// what is kept, since readers are going to see it. Returns the builder of the active segment.
  mutating func recover() throws(LogError) -> IndexBuilder {
    let first = max(0, segments.partitioningIndex { $0.baseOffset > trustedOffset } - 1)
    var (builder, didCut) = try recover(segments[first])
    var index = first + 1
    while index < segments.count {
      // All that comes now lies past the recovery point: what does not follow was never acknowledged.
      if didCut || segments[index].baseOffset != endOffset {
        try removeSegments(from: index)
        break
      }
      close(&builder)
      (builder, didCut) = try recover(segments[index])
      index += 1
    }
    if endOffset < trustedOffset { builder = beginAfterLoss(builder) }
    if mustRewrite { try rewrite(segments[min(first, segments.count - 1)...]) }
    if report.checkedBytes > 0 || didCut || mustRewrite { try flush(segments[first...]) }
    if mustRewrite {
      try LogError.wrap(try fileSystem.removeIfPresent(directory.path(FileNames.flushFailed)))
    }
    let active = segments[segments.count - 1]
    active.setLargestTimestamp(builder.largest)
    active.setActive(true)
    active.noteIndexesChecked()
    return builder
  }

  /// Reads one segment: headers up to `trustedOffset`, whole batches from there. Returns whether bytes were cut.
  private mutating func recover(_ segment: Segment) throws(LogError) -> (IndexBuilder, didCut: Bool) {
    var start: Int64 = 0
    var builder = IndexBuilder(segment: segment)
    if let usable = try usableIndexEnd(of: segment, notAfter: trustedOffset) {
      (start, builder) = usable
    } else {
      try segment.index.replace(with: [])
      try segment.timeIndex.replace(with: [])
    }
    endOffset = segment.baseOffset
    guard segment.size > 0 else { return (builder, false) }
    let file = try segment.file()
    while true {
      start = try readBatches(of: segment, file, from: start, into: &builder)
      guard start < segment.size else { return (builder, false) }
      guard endOffset < trustedOffset || known.isClean else { break }
      // Damage to what was flushed: nothing is cut, and what can be read behind it is.
      let next = try nextBatch(in: file, from: start + 1, to: segment.size, notBefore: endOffset, segment)
      if next == nil, endOffset >= trustedOffset { break }
      report.findings.append(
        .damaged(path: file.path, position: start, byteCount: (next?.position ?? segment.size) - start))
      guard let next else {
        // The bytes stay in the file, out of readers' sight.
        segment.setSize(start)
        return (builder, false)
      }
      _ = segment.note(
        Damage(
          position: start, byteCount: next.position - start,
          offsets: endOffset..<max(next.header.baseOffset, endOffset + 1)))
      builder.requireEntry()
      start = next.position
    }
    report.findings.append(.cut(path: file.path, position: start, byteCount: segment.size - start))
    do {
      segment.log.noteWrite()
      try file.truncate(to: start)
    } catch { throw .storage(error) }
    segment.setSize(start)
    return (builder, true)
  }

  /// Reads batches up to the first that is none. Returns where that is.
  private mutating func readBatches(
    of segment: Segment, _ file: SegmentFile, from start: Int64, into builder: inout IndexBuilder
  ) throws(LogError) -> Int64 {
    var position = start
    var checkedFrom: Int64?
    // Behind an index entry the offset is not known before a batch is read.
    var isKnown = start == 0
    // The checksum does not cover the first offset. Compaction leaves gaps, but not in the last segment; elsewhere the
    // batches around say whether one is true.
    // What is last after a clean stop may be a compacted segment whose followers are lost.
    let isLast = segment === segments.last && !(known.isClean && config.isCompacted)
    let following = segments.first { $0.baseOffset > segment.baseOffset }?.baseOffset ?? .max
    do {
      try HeaderScan.run(file, from: start, to: segment.size, blockSize: 64 << 10) { (scan) throws(LogError) in
        while let header = try scan.peek() {
          guard header.baseOffset >= endOffset, header.lastOffset < following,
            segment.relative(header.lastOffset) != nil
          else { throw scan.corrupt }
          if header.lastOffset >= trustedOffset {
            if isLast, isKnown, header.baseOffset != endOffset { throw scan.corrupt }
            guard try BatchCheck.isWhole(file, header, at: scan.position) else { throw scan.corrupt }
            if isKnown, header.baseOffset > endOffset {
              let walk = BatchWalk(file: file, position: scan.position, expected: endOffset, size: segment.size)
              guard try walk.sound() != nil else { throw scan.corrupt }
            }
            report.checkedBytes += Int64(header.sizeInBytes)
            if checkedFrom == nil { checkedFrom = scan.position }
          }
          builder.add(header, at: scan.position)
          endOffset = header.nextOffset
          isKnown = true
          scan.skip(header)
          position = scan.position
        }
      }
    } catch {
      guard case .corrupt = error else { throw error }
    }
    // What was checked goes on to the end, or is cut there.
    if let checkedFrom { segment.setInherited(checkedFrom) }
    return position
  }

  /// The first place from `start` on where a whole batch begins that may follow.
  private func nextBatch(
    in file: SegmentFile, from start: Int64, to limit: Int64, notBefore offset: Int64, _ segment: Segment
  ) throws(LogError) -> (position: Int64, header: BatchHeader)? {
    var position = start
    while limit - position >= Int64(BatchHeader.byteCount) {
      let found = try BatchCheck.candidate(in: file, from: position, to: limit)
      guard let (at, header) = found else { return nil }
      if header.baseOffset >= offset, segment.relative(header.lastOffset) != nil,
        try BatchCheck.isWhole(file, header, at: at)
      {
        return (at, header)
      }
      position = at + 1
    }
    return nil
  }

  private func close(_ builder: inout IndexBuilder) {
    // Without room the entries stay in memory.
    try? builder.finish()
    builder.segment.setActive(false)
    builder.segment.noteIndexesChecked()
  }

  private mutating func removeSegments(from index: Int) throws(LogError) {
    do {
      for segment in segments[index...] {
        report.findings.append(.removedSegment(path: segment.path(.log), byteCount: segment.size))
        segment.release()
        for kind in LogFileKind.allCases { try fileSystem.removeIfPresent(segment.path(kind)) }
      }
    } catch { throw .storage(error) }
    segments.removeSubrange(index...)
  }

  /// What was flushed and is not there any more had offsets, which are not given to others.
  private mutating func beginAfterLoss(_ builder: IndexBuilder) -> IndexBuilder {
    report.findings.append(.missing(from: endOffset, to: trustedOffset))
    var builder = builder
    close(&builder)
    let segment = Segment(
      baseOffset: trustedOffset, directory: directory, byteCount: 0, isNew: true,
      indexIntervalBytes: config.indexIntervalBytes, cache: cache)
    segments.append(segment)
    endOffset = trustedOffset
    return IndexBuilder(segment: segment)
  }

  /// Writes the bytes past the recovery point once more, in place: needs no room.
  private func rewrite(_ segments: ArraySlice<Segment>) throws(LogError) {
    for segment in segments where segment.size > 0 {
      var position: Int64 = 0
      if segment.baseOffset < trustedOffset {
        position = try segment.find(trustedOffset, limit: segment.size)?.position ?? segment.size
      }
      let file = try segment.file()
      segment.log.noteWrite()
      while position < segment.size {
        let count = Int(min(segment.size - position, 1 << 20))
        try withUnsafeTemporaryAllocation(byteCount: count, alignment: 16) { (buffer) throws(LogError) in
          try file.fill(buffer, from: position)
          try LogError.wrap(try file.write(UnsafeRawBufferPointer(buffer), at: position))
        }
        position += Int64(count)
      }
      segment.log.noteWrite()
    }
  }

  private func flush(_ segments: ArraySlice<Segment>) throws(LogError) {
    do {
      for segment in segments where segment.size > 0 {
        let writes = segment.log.writesSoFar
        try segment.log.open().synchronize()
        segment.log.noteSynchronized(writes)
      }
      try fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
  }
}
