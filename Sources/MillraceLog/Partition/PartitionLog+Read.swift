// Reading: from an offset to a plan, without the writer's lock. A reader that goes on where an earlier read ended, and
// takes all there is, costs no system call; others cost an index lookup and a block of headers at either end.

extension PartitionLog {
  /// A plan for whole batches, from the one that holds `offset` (or the first after it) up to `maxBytes`, never past the
  /// high watermark or, for `readCommitted`, the last stable offset. With `minOneBatch` the first batch is taken
  /// whatever its size. Nothing but an empty plan when there is nothing to read yet.
  package func read(
    from offset: Int64, maxBytes: Int, minOneBatch: Bool, isolation: Isolation
  ) throws(LogError) -> ReadPlan {
    try withView { (view) throws(LogError) in
      try plan(from: offset, maxBytes: maxBytes, minOneBatch: minOneBatch, isolation: isolation, in: view)
    }
  }

  /// Runs `body` on what readers may see. A segment may be removed or replaced after the view was taken; then there is a
  /// newer view, and `body` runs once more on that. So it does where headers lead nowhere and looking at the batches
  /// finds damage that a walk can step over.
  func withView<Result>(_ body: (LogView) throws(LogError) -> Result) throws(LogError) -> Result {
    for _ in 1..<Self.mostViews {
      let view = try currentView()
      do {
        return try body(view)
      } catch {
        if case .corrupt(let path, let position) = error, try examine(path, position, in: view) { continue }
        guard case .storage(let cause) = error, cause.isNotFound else { throw error }
      }
    }
    return try body(try currentView())
  }

  /// Segments do not change faster than this under one read, nor are more places of one search damaged.
  private static let mostViews = 16

  private func plan(
    from offset: Int64, maxBytes: Int, minOneBatch: Bool, isolation: Isolation, in view: LogView,
    isFirstTry: Bool = true
  ) throws(LogError) -> ReadPlan {
    guard offset >= view.logStartOffset, offset <= view.end.offset else {
      throw .offsetOutOfRange(requested: offset, start: view.logStartOffset, end: view.end.offset)
    }
    let limit = view.limit(isolation)
    var plan = ReadPlan(firstOffset: offset, nextOffset: offset, offsets: view.offsets)
    guard offset < limit.offset, let (start, firstSize) = try start(of: offset, in: view, limit),
      let segment = view.segment(start.segment)
    else { return plan }
    if start.offset > offset { try refuse(offset, in: view) }
    if let damage = segment.damages.first(where: { $0.position == start.position }) {
      throw .corrupt(path: segment.log.path, position: damage.position)
    }
    let readable = view.readableBytes(of: segment, limit)
    var end = try planEnd(
      start, in: view, segment, limit, readable: readable, maxBytes: maxBytes, minOneBatch: minOneBatch,
      firstSize: firstSize)
    guard end.position > start.position else { return plan }
    if start.position < segment.inheritedBytes,
      let damage = try segment.damage(
        from: start, isBoundary: firstSize == nil, to: end.position, limit: view.end(of: segment, limit))
    {
      report(damage, in: segment)
      if damage.position <= start.position {
        // The search took a damaged batch for the one it looked for; it will not again.
        if !damage.offsets.contains(offset), isFirstTry {
          return try self.plan(
            from: offset, maxBytes: maxBytes, minOneBatch: minOneBatch, isolation: isolation, in: view,
            isFirstTry: false)
        }
        throw .corrupt(path: segment.log.path, position: damage.position)
      }
      end = LogPosition(offset: damage.offsets.lowerBound, segment: segment.baseOffset, position: damage.position)
    }
    if start.offset > offset { noteAbsent(offset..<start.offset, in: view) }
    if start.position < segment.inheritedBytes, end.position == segment.size { noteAbsent(before: end.offset, segment) }
    plan.byteCount = Int(end.position - start.position)
    plan.extents = [
      .file(FileExtent(file: try segment.file(), position: start.position, byteCount: plan.byteCount))
    ]
    plan.firstOffset = max(offset, start.offset)
    plan.nextOffset = end.offset
    if isolation == .readCommitted {
      plan.abortedTransactions = try view.abortedTransactions(
        from: offset, before: end.offset, segment: view.segmentIndex(for: segment.baseOffset))
    }
    remember(end, after: offset, view)
    return plan
  }

  /// Where the first batch begins that ends at or after `offset`, and its size if that was read.
  private func start(
    of offset: Int64, in view: LogView, _ limit: LogPosition
  ) throws(LogError) -> (LogPosition, firstSize: Int64?)? {
    if let cursor = view.cursors.find(offset), let segment = view.segment(cursor.segment),
      cursor.position < view.readableBytes(of: segment, limit)
    {
      return (cursor, nil)
    }
    var index = max(0, view.segmentIndex(for: offset))
    while index < view.segments.count, view.segments[index].baseOffset <= limit.segment {
      let segment = view.segments[index]
      let readable = view.readableBytes(of: segment, limit)
      if readable > 0, let found = try segment.find(offset, limit: readable) {
        return (
          LogPosition(offset: found.header.baseOffset, segment: segment.baseOffset, position: found.position),
          Int64(found.header.sizeInBytes)
        )
      }
      // Compaction may have taken the last batches of a segment.
      index += 1
    }
    return nil
  }

  private func planEnd(
    _ start: LogPosition, in view: LogView, _ segment: Segment, _ limit: LogPosition, readable: Int64, maxBytes: Int,
    minOneBatch: Bool, firstSize: Int64?
  ) throws(LogError) -> LogPosition {
    if readable - start.position <= Int64(max(0, maxBytes)) {
      return view.end(of: segment, limit)
    }
    if firstSize.map({ $0 <= Int64(maxBytes) }) ?? true {
      let end = try segment.boundary(from: start, notAfter: start.position + Int64(max(0, maxBytes)), limit: readable)
      if end.position > start.position { return end }
    }
    guard minOneBatch else { return start }
    return try segment.boundary(
      from: start, notAfter: start.position + (try segment.batchSize(at: start.position, limit: readable)),
      limit: readable)
  }

  private func remember(_ end: LogPosition, after offset: Int64, _ seen: LogView) {
    view.withLock { view in
      guard view?.generation == seen.generation, view?.layout == seen.layout else { return }
      view?.cursors.move(from: offset, to: end)
    }
  }
}
