// Retention of one log, in two steps between which the store records the new start of the log durably: first the log
// starts later, so that nobody reads what goes, then the files get another name. Renames become durable in any order, so
// without the record a power cut could leave a log with a hole.

import MillraceRecords

extension PartitionLog {
  /// What `expire` did.
  struct Expired: Sendable {
    var decision: RetentionDecision
    var byteCount: Int64
    var logStartOffset: Int64
  }

  /// Raises the start of the log past the segments that are to go. Nil if none are. Begins a new segment if all are.
  func expire(nowMs: Int64) throws(LogError) -> Expired? {
    let config = self.config
    guard offlineError == nil else { return nil }
    if !isOpen {
      guard mayExpire(nowMs: nowMs, config) else { return nil }
    }
    return try upkeep.withLock { (_) throws(LogError) in
      let view = try currentView()
      let decision = try decide(view, config, nowMs: nowMs)
      guard decision.count > 0 else { return nil }
      return try raiseStart(past: decision, in: view, config, nowMs: nowMs)
    }
  }

  private func decide(_ view: LogView, _ config: LogConfig, nowMs: Int64) throws(LogError) -> RetentionDecision {
    let segments = view.segments
    let facts = segments.indices.map { index in
      RetainedSegment(
        byteCount: index < segments.count - 1 ? segments[index].size : view.end.position,
        endOffset: index < segments.count - 1 ? segments[index + 1].baseOffset : view.end.offset)
    }
    return try RetentionRule(retentionMs: config.retentionMs, retentionBytes: config.retentionBytes).decide(
      facts, logStartOffset: view.logStartOffset, limit: view.lastStable.offset, nowMs: nowMs
    ) { (index) throws(LogError) in try segments[index].newestMs() }
  }

  private func raiseStart(
    past decision: RetentionDecision, in seen: LogView, _ config: LogConfig, nowMs: Int64
  ) throws(LogError) -> Expired? {
    try writer.withLock { (slot) throws(LogError) -> Expired? in
      let writer = try opened(&slot, nowMs: nowMs)
      guard writer.segments.count >= decision.count,
        (0..<decision.count).allSatisfy({ writer.segments[$0] === seen.segments[$0] })
      else { return nil }
      if decision.count == writer.segments.count {
        guard writer.endOffset == seen.end.offset else { return nil }
        try rollForRetention(writer, config, nowMs: nowMs)
      }
      let start = max(writer.logStartOffset, writer.segments[decision.count].baseOffset)
      writer.logStartOffset = start
      if writer.epochs.removeBefore(start) { writer.epochsChanged = true }
      view.withLock { $0?.logStartOffset = start }
      return Expired(
        decision: decision, byteCount: seen.segments[..<decision.count].reduce(0) { $0 + $1.size },
        logStartOffset: start)
    }
  }

  /// The active segment is to go: the next one is its file from now on, since a log without any file would have to take
  /// its end from a checkpoint.
  private func rollForRetention(_ writer: LogWriter, _ config: LogConfig, nowMs: Int64) throws(LogError) {
    let closed = writer.active
    writer.roll(nowMs: nowMs, config: config)
    let created = Result { () throws(StorageError) in try writer.active.log.open(.create) }
    view.withLock { view in
      view?.segments = writer.segments
      view?.end = writer.end
      view?.directoryChanged = true
      // Until it goes, what follows it is not to be durable without it.
      view?.closedSegments.append(closed)
    }
    if case .failure(let error) = created { throw .storage(error) }
  }

  /// Renames the files of what lies before the start of the log, and takes part in the next commit, which makes that
  /// durable.
  func discardExpired(nowMs: Int64) throws(LogError) {
    let config = self.config
    try upkeep.withLock { (_) throws(LogError) in
      try writer.withLock { (slot) throws(LogError) in
        guard let writer = slot else { return }
        try writer.preserveProducers()
        discardSegments(writer, config: config, nowMs: nowMs)
      }
    }
    home.noteChange(self, byteCount: 0)
  }

  // MARK: Logs that nobody opened

  /// Whether a log that is not open may have something to remove, by the names and sizes of its files and the hint that
  /// its time index is. The files are looked at once: they do not change before somebody opens the log.
  private func mayExpire(nowMs: Int64, _ config: LogConfig) -> Bool {
    let files = closedFiles.withLock { files -> ClosedFiles? in
      if files == nil { files = ClosedFiles(directory, home.fileSystem) }
      return files
    }
    guard let files, !files.hasLeftOvers else { return true }
    guard files.byteCount > 0 else { return false }
    if files.segmentCount > 1, files.secondBaseOffset <= known.logStartOffset ?? 0 { return true }
    if config.retentionBytes >= 0, files.byteCount - files.firstByteCount >= config.retentionBytes { return true }
    guard config.retentionMs >= 0 else { return false }
    guard let newestMs = files.firstNewestMs, newestMs <= nowMs else { return true }
    return nowMs - newestMs > config.retentionMs
  }
}

extension Segment {
  /// The time of the youngest record; of a segment whose records have no times, when it was written last.
  func newestMs() throws(LogError) -> Int64 {
    let largest = try largestTimestamp().timestamp
    if largest >= 0 { return largest }
    return try LogError.wrap(try log.fileSystem.status(of: log.path))?.modificationTimeMs ?? 0
  }
}

/// What the directory of a log says of it while the log is not open.
struct ClosedFiles: Sendable {
  private(set) var segmentCount = 0
  private(set) var byteCount: Int64 = 0
  private(set) var firstByteCount: Int64 = 0
  private(set) var secondBaseOffset = Int64.max
  /// The last entry of the first segment's time index; nil without a usable one.
  private(set) var firstNewestMs: Int64?
  /// Files that a deletion or a replacement left, for which the log has to be opened.
  private(set) var hasLeftOvers = false

  /// Nil when the directory cannot be read.
  init?(_ directory: PartitionDirectory, _ fileSystem: any FileSystem) {
    guard let entries = try? fileSystem.list(directory.path) else { return nil }
    hasLeftOvers = entries.contains {
      FileNames.isLeftOver($0.name) || $0.name.hasSuffix(FileNames.swapSuffix)
    }
    let bases = entries.compactMap { FileNames.parse($0.name) }.filter { $0.kind == .log }.map(\.offset).sorted()
    segmentCount = bases.count
    for (index, base) in bases.enumerated() {
      guard let status = try? fileSystem.status(of: directory.path(base, .log)) else { return nil }
      byteCount += status.byteCount
      if index == 0 { firstByteCount = status.byteCount }
      if index == 1 { secondBaseOffset = base }
    }
    if let first = bases.first { firstNewestMs = Self.newestMs(directory.path(first, .timeIndex), fileSystem) }
  }

  private static func newestMs(_ path: String, _ fileSystem: any FileSystem) -> Int64? {
    guard let file = try? fileSystem.open(path, .read) else { return nil }
    defer { fileSystem.close(file) }
    let size = TimeIndexEntry.byteCount
    guard let end = try? fileSystem.size(of: file), end >= Int64(size), end % Int64(size) == 0 else { return nil }
    return withUnsafeTemporaryAllocation(byteCount: size, alignment: 8) { buffer in
      guard (try? fileSystem.read(file, into: buffer, at: end - Int64(size))) == size else { return nil }
      return TimeIndexEntry(UnsafeRawBufferPointer(buffer), at: 0).timestamp
    }
  }
}
