// What reads do about damage to what was flushed: the batches in question answer `corrupt`, everything around them is
// served, and the first who meets it has it told and counted.

extension PartitionLog {
  /// Looks for the damage that sent a walk over headers to `position` of the file. Returns whether it found any that was
  /// not known.
  func examine(_ path: String, _ position: Int64, in view: LogView) throws(LogError) -> Bool {
    guard let segment = view.segments.first(where: { $0.log.path == path }) else { return false }
    let known = Set(segment.damages)
    guard try segment.examine(around: position, limit: view.highWatermark) else { return false }
    for damage in segment.damages where !known.contains(damage) { report(damage, in: segment) }
    // Made of headers that are not to be believed.
    if !segment.isActive { try segment.repairIndexes() }
    return true
  }

  /// `offset` is in no batch, the next one begins at `next`. Throws if damage took it. Compaction may have taken it, or
  /// it was lost and that was told when the log was opened; a whole segment that is not there is told of here.
  func refuse(_ offset: Int64, next: Int64, in view: LogView) throws(LogError) {
    let index = max(0, view.segmentIndex(for: offset))
    guard index < view.segments.count else { return }
    let segment = view.segments[index]
    if let damage = segment.damages.first(where: { $0.offsets.contains(offset) }) {
      throw .corrupt(path: segment.log.path, position: damage.position)
    }
    reportAbsent(offset..<next, segment)
  }

  /// The segment that follows `segment`, all of which was read, begins at `next`.
  func noteAbsent(before next: Int64, _ segment: Segment) {
    guard let end = segment.damage.withLock({ $0.endOffset }), end < next else { return }
    reportAbsent(end..<next, segment)
  }

  private func reportAbsent(_ offsets: Range<Int64>, _ segment: Segment) {
    guard !config.isCompacted, segment.takeUnreported(Damage(position: segment.size, byteCount: 0, offsets: offsets))
    else { return }
    home.damageCount.add(1, ordering: .relaxed)
    var report = RecoveryReport(partition: id)
    report.findings = [.absent(from: offsets.lowerBound, to: offsets.upperBound)]
    report.logEndOffset = offsets.upperBound
    home.options.onRecovery(report)
  }

  func report(_ damage: Damage, in segment: Segment) {
    guard segment.takeUnreported(damage) else { return }
    home.damageCount.add(1, ordering: .relaxed)
    home.options.onError(.corrupt(path: segment.log.path, position: damage.position))
  }
}

extension LogStore {
  /// Damaged places in segments that were found since the store was opened.
  package var damageCount: Int { directories.reduce(0) { $0 + $1.damageCount.load(ordering: .relaxed) } }
}
