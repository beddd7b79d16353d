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
    let trusted = known.recoveryPoint ?? logs.first?.offset ?? 0
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
    let file = SegmentFile(
      handle: try LogError.wrap(try repair.fileSystem.open(log.path, .read)), fileSystem: repair.fileSystem)
    let size = min(try LogError.wrap(try file.size()), Int64(Int32.max))
    var walk = BatchWalk(file: file, position: 0, expected: log.offset, size: size)
    walk.endOffset = min(next ?? .max, LogRepair.lastOffset(in: log.offset) + 1)
    var losses: [LogRepair.Loss] = []
    while walk.position < size {
      if let header = try walk.sound() {
        note(header)
        walk.position += Int64(header.sizeInBytes)
        walk.expected = header.nextOffset
        continue
      }
      let found = try walk.next()
      if batchCount == 0, let found { note(found.header, counts: false) }
      let resume = found?.position ?? size
      // Where nothing follows, only what was flushed is known to have been there.
      let end = next == nil ? min(max(walk.expected, flushed), walk.endOffset) : walk.endOffset
      let resumeOffset = found?.header.baseOffset ?? end
      let isEnd = found == nil && next == nil
      let effect: LogRepair.Effect = walk.expected >= flushed ? .cutsLog : isEnd ? .skipped(to: flushed) : .refused
      losses.append(
        LogRepair.Loss(
          position: walk.position, byteCount: resume - walk.position, offsets: walk.expected..<resumeOffset,
          effect: effect, batchesBefore: batchCount, leaderEpoch: epoch, timestamp: timestamp))
      walk.position = resume
      walk.expected = resumeOffset
    }
    endOffset = walk.expected
    return losses
  }

  private mutating func note(_ header: BatchHeader, counts: Bool = true) {
    epoch = header.partitionLeaderEpoch
    timestamp = header.maxTimestamp
    if counts { batchCount += 1 }
  }
}

extension LogRepair {
  /// The last offset that an index entry of the segment can hold.
  static func lastOffset(in baseOffset: Int64) -> Int64 {
    let (sum, overflow) = baseOffset.addingReportingOverflow(Int64(Int32.max))
    return overflow || sum == .max ? .max - 1 : sum
  }
}
