// What reads do about damage to what was flushed: the batches in question answer `corrupt`, everything around them is
// served, and the first who meets it has it told and counted.

extension PartitionLog {
  /// Looks for the damage that sent a walk over headers to `position` of the file. Returns whether it found any that was
  /// not known.
  func examine(_ path: String, _ position: Int64, in view: LogView) throws(LogError) -> Bool {
    guard let segment = view.segments.first(where: { $0.log.path == path }) else { return false }
    let known = Set(segment.damages)
    guard try segment.examine(around: position, limit: view.end(of: segment, view.highWatermark)) else { return false }
    for damage in segment.damages where !known.contains(damage) { report(damage, in: segment) }
    // Made of headers that are not to be believed.
    if !segment.isActive { try segment.repairIndexes() }
    return true
  }

  /// `offset` is in no batch. Throws if damage took it.
  func refuse(_ offset: Int64, in view: LogView) throws(LogError) {
    guard let segment = segment(of: offset, in: view),
      let damage = segment.damages.first(where: { $0.offsets.contains(offset) })
    else { return }
    throw .corrupt(path: segment.log.path, position: damage.position)
  }

  /// These offsets are in no batch, and no damage took them. Compaction may have, or they were lost and that was told
  /// when the log was opened; a whole segment that is not there is told of here.
  func noteAbsent(_ offsets: Range<Int64>, in view: LogView) {
    guard let segment = segment(of: offsets.lowerBound, in: view) else { return }
    reportAbsent(offsets, segment)
  }

  private func segment(of offset: Int64, in view: LogView) -> Segment? {
    let index = max(0, view.segmentIndex(for: offset))
    return index < view.segments.count ? view.segments[index] : nil
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
