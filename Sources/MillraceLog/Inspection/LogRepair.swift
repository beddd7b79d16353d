// Damage in the files of one partition of a stopped broker: what it costs, what the broker does about it, and, when
// asked, its removal for good.
//
// What is removed are the bytes between whole batches that follow each other. Their offsets are never given to others and
// no batch gets another one: an empty batch, as compaction leaves, stands where they were. So the log goes on without a
// gap, which a start after a crash would take for a torn write.
//
// Indexes, snapshots and checkpoints are hints that the broker makes anew when they are not right. They are named, and
// left to it.

import MillraceRecords

package struct LogRepair: Sendable {
  /// A damaged range of a segment.
  package struct Loss: Sendable, Hashable {
    package var position: Int64
    package var byteCount: Int64
    /// Those that no whole batch has. Empty when only bytes were added, or when nobody knows how far the log went.
    package var offsets: Range<Int64>
    package var effect: Effect
    /// Those that whole batches in the range say they have, and that cannot be true or are not vouched for.
    package var altered: [Range<Int64>] = []
    /// Whole batches of the partition that follow.
    package var batchesBehind = 0
    var batchesBefore: Int
    /// Of the batch before, or behind: what the empty batch in its place says.
    var leaderEpoch: Int32
    var timestamp: Int64

    package var end: Int64 { position + byteCount }
  }

  /// What becomes of a damaged range as long as nobody cuts it.
  package enum Effect: Sendable, Hashable {
    /// It was flushed: fetches of its offsets fail, everything around it is served.
    case refused
    /// It is the end of what was flushed: the broker begins a new segment at this offset.
    case skipped(to: Int64)
    /// Nothing says that it was flushed: the broker's next start takes it for a torn write, and cuts the log there.
    case cutsLog
  }

  /// A segment with damage.
  package struct DamagedSegment: Sendable, Hashable {
    package var baseOffset: Int64
    package var path: String
    package var byteCount: Int64
    package var losses: [Loss]
  }

  /// What there is to know before anything is changed.
  package struct Plan: Sendable {
    package var segments: [DamagedSegment] = []
    /// Batches whose checksums are right and whose records cannot be read: as they were sent, and served so.
    package var unreadable: [LogVerification.Finding] = []
    /// Files that the broker makes anew.
    package var hints: [LogVerification.Finding] = []
    /// Offsets that no segment has.
    package var absent: [Range<Int64>] = []
    /// A crash interrupted a compaction, which the broker's next start finishes. Nothing is cut before.
    package var hasUnfinishedCompaction = false

    package var losses: [Loss] { segments.flatMap(\.losses) }
  }

  package let directory: String
  let fileSystem: any FileSystem
  let known: KnownOffsets
  /// Where a clean stop left the end of the log.
  let endOffset: Int64?
  /// Gaps before this offset are compaction's.
  let compactedTo: Int64

  // MARK: Explaining

  package func plan() throws(LogError) -> Plan {
    let inspector = LogInspector(directory: directory, fileSystem: fileSystem)
    var plan = Plan()
    plan.hasUnfinishedCompaction = try LogError.wrap(try fileSystem.list(directory))
      .contains { $0.name.hasSuffix(FileNames.swapSuffix) }
    let logs = try inspector.files().filter { $0.kind == .log }
    var walk = LogWalk(self, flushed: trustedOffset(logs), epoch: try inspector.leaderEpochs()?.last?.epoch ?? 0)
    for (index, log) in logs.enumerated() {
      let next = index + 1 < logs.count ? logs[index + 1].offset : nil
      if let end = walk.endOffset, end < log.offset { plan.absent.append(end..<log.offset) }
      let losses = try walk.run(log, next: next)
      guard !losses.isEmpty else { continue }
      plan.segments.append(
        DamagedSegment(baseOffset: log.offset, path: log.path, byteCount: log.byteCount, losses: losses))
    }
    // Whole segments may be missing at the end, or batches to the last.
    if let end = walk.endOffset, let flushed = known.recoveryPoint, end < flushed { plan.absent.append(end..<flushed) }
    for segment in plan.segments.indices { plan.segments[segment].countBatchesBehind(of: walk.batchCount) }
    // The indexes of a damaged segment are made anew with it, whatever they say.
    let damaged = Set(plan.segments.map(\.baseOffset))
    let indexes = Set(
      try inspector.files().filter { damaged.contains($0.offset) && ($0.kind == .index || $0.kind == .timeIndex) }
        .map(\.path))
    for finding in try inspector.verify().findings where !indexes.contains(finding.path) {
      if case .records = finding.problem { plan.unreadable.append(finding) }
      if !finding.problem.isDamage { plan.hints.append(finding) }
    }
    return plan
  }

  /// The batches before it are not cut by a start (`LogLoader.openEnd`).
  private func trustedOffset(_ logs: [LogInspector.File]) -> Int64 {
    var trusted = known.recoveryPoint ?? logs.first?.offset ?? 0
    if known.isClean, let last = logs.last { trusted = max(trusted, last.offset) }
    guard let start = known.logStartOffset, let log = logs.last(where: { $0.offset <= start }) else { return trusted }
    return max(trusted, log.offset)
  }
}

extension LogRepair.DamagedSegment {
  fileprivate mutating func countBatchesBehind(of count: Int) {
    for index in losses.indices { losses[index].batchesBehind = count - losses[index].batchesBefore }
  }
}

/// Goes over the segments of a partition in order.
private struct LogWalk {
  let repair: LogRepair
  /// Whole batches so far.
  var batchCount = 0
  /// Behind the segments so far.
  var endOffset: Int64?
  /// Batches before this offset were flushed.
  private let flushed: Int64
  private var epoch: Int32
  private var timestamp = BatchHeader.noTimestamp

  init(_ repair: LogRepair, flushed: Int64, epoch: Int32) {
    self.repair = repair
    self.flushed = flushed
    self.epoch = epoch
  }

  /// The damage in a segment; `next` is where the one behind begins.
  mutating func run(_ log: LogInspector.File, next: Int64?) throws(LogError) -> [LogRepair.Loss] {
    let survey = try SegmentSurvey(
      log, of: LogInspector(directory: repair.directory, fileSystem: repair.fileSystem), next: next,
      endOffset: repair.endOffset, compactedTo: repair.compactedTo)
    let verdict = try survey.run()
    let limit = survey.around.limit
    let compactedTo = verdict.looksCompacted ? limit : repair.compactedTo
    var losses: [LogRepair.Loss] = []
    var position: Int64 = 0
    var expected = log.offset
    if batchCount == 0, let first = verdict.kept.first { note(first.first) }
    func isLost(from start: Int64, to end: Int64, before offset: Int64) -> Bool {
      start < end || expected < offset && expected >= compactedTo
    }
    func lose(to end: Int64, before offset: Int64, isEnd: Bool) {
      var effect: LogRepair.Effect = .refused
      if expected >= flushed {
        effect = .cutsLog
      } else if isEnd {
        effect = .skipped(to: flushed)
      } else if position == end {
        effect = .skipped(to: offset)
      }
      losses.append(
        LogRepair.Loss(
          position: position, byteCount: end - position, offsets: expected..<max(offset, expected), effect: effect,
          altered: verdict.altered.filter { $0.position >= position && $0.end <= end }.map(\.offsets),
          batchesBefore: batchCount, leaderEpoch: epoch, timestamp: timestamp))
    }
    for piece in verdict.kept {
      if isLost(from: position, to: piece.position, before: piece.offsets.lowerBound) {
        lose(to: piece.position, before: piece.offsets.lowerBound, isEnd: false)
      }
      note(piece.last)
      batchCount += piece.batchCount
      position = piece.end
      expected = piece.offsets.upperBound
    }
    if position < survey.size {
      // Where nothing follows, only what was flushed is known to have been there.
      let end = next == nil ? min(max(expected, flushed), limit) : limit
      lose(to: survey.size, before: end, isEnd: next == nil)
      expected = max(expected, end)
    }
    endOffset = expected
    return losses
  }

  private mutating func note(_ header: BatchHeader) {
    epoch = header.partitionLeaderEpoch
    timestamp = header.maxTimestamp
  }
}
