// One segment: the `.log` file with the batches from `baseOffset` on, and its indexes. The last segment of a log is
// the active one; only it is written, by the log's one writer. Everything here may be called from any thread.

import MillraceRecords
import Synchronization

final class Segment: Sendable {
  let baseOffset: Int64
  let directory: PartitionDirectory
  let log: FileSlot
  let index: IndexFile<OffsetIndexEntry>
  let timeIndex: IndexFile<TimeIndexEntry>
  let transactionIndex: TransactionIndex
  let indexIntervalBytes: Int32
  /// Bytes of whole batches in the file.
  private let byteCount: Atomic<Int64>
  /// Bytes before this position were there when the log was opened, and nobody has looked at their checksums.
  private let inherited: Atomic<Int64>
  let damage = Mutex(SegmentDamage())
  private let isDamaged = Atomic<Bool>(false)
  private let summary: Mutex<Summary>
  private let active: Atomic<Bool>
  /// Whether the indexes were found usable, or made anew, since the log was opened.
  private let indexCheck: Mutex<Bool>

  /// What is known without reading the file.
  struct Summary {
    /// The largest timestamp and the last offset of the first batch that has it; nil until read.
    var largest: TimestampOffset?
  }

  /// `isNew` when none of the files is there yet: they are made by the first write.
  init(
    baseOffset: Int64, directory: PartitionDirectory, byteCount: Int64, isNew: Bool, indexIntervalBytes: Int32,
    cache: OpenFileCache, stage: FileStage = .final
  ) {
    self.baseOffset = baseOffset
    self.directory = directory
    self.indexIntervalBytes = indexIntervalBytes
    self.byteCount = Atomic(byteCount)
    inherited = Atomic(isNew ? 0 : byteCount)
    active = Atomic(isNew)
    log = FileSlot(directory: directory, offset: baseOffset, kind: .log, cache: cache, stage: stage)
    index = IndexFile(
      slot: FileSlot(directory: directory, offset: baseOffset, kind: .index, cache: cache, stage: stage), isNew: isNew)
    timeIndex = IndexFile(
      slot: FileSlot(directory: directory, offset: baseOffset, kind: .timeIndex, cache: cache, stage: stage),
      isNew: isNew)
    transactionIndex = TransactionIndex(
      slot: FileSlot(directory: directory, offset: baseOffset, kind: .transactionIndex, cache: cache, stage: stage),
      isNew: isNew)
    summary = Mutex(Summary(largest: isNew ? TimestampOffset(timestamp: -1, offset: baseOffset) : nil))
    indexCheck = Mutex(isNew)
  }

  var size: Int64 { byteCount.load(ordering: .acquiring) }
  func setSize(_ size: Int64) { byteCount.store(size, ordering: .releasing) }

  var inheritedBytes: Int64 { inherited.load(ordering: .acquiring) }
  func setInherited(_ byteCount: Int64) { inherited.store(byteCount, ordering: .releasing) }

  /// What walks over the headers step over; nearly always nothing.
  var damages: [Damage] { isDamaged.load(ordering: .acquiring) ? damage.withLock { $0.found } : [] }

  /// Returns whether the damage was not known.
  func note(_ found: Damage) -> Bool {
    let isNews = damage.withLock { $0.add(found) }
    if isNews { isDamaged.store(true, ordering: .releasing) }
    return isNews
  }

  /// Whether nobody was told of the damage yet.
  func takeUnreported(_ found: Damage) -> Bool { damage.withLock { $0.takeUnreported(found) } }

  /// Whether the log's writer may add to it.
  var isActive: Bool { active.load(ordering: .acquiring) }
  func setActive(_ isActive: Bool) { active.store(isActive, ordering: .releasing) }

  /// Where the file is now: a segment that compaction wrote has other names until it is in its place.
  func path(_ kind: LogFileKind) -> String {
    switch kind {
    case .log: log.path
    case .index: index.slot.path
    case .timeIndex: timeIndex.slot.path
    case .transactionIndex: transactionIndex.slot.path
    case .snapshot: directory.path(baseOffset, kind)
    }
  }

  func file() throws(LogError) -> SegmentFile {
    do { return try log.open() } catch { throw .storage(error) }
  }

  /// All files of the segment.
  var slots: [FileSlot] { [log, index.slot, timeIndex.slot, transactionIndex.slot] }

  /// Lets go of the open files.
  func release() {
    log.release()
    index.slot.release()
    timeIndex.slot.release()
    transactionIndex.slot.release()
  }

  /// The files are about to get other names or to go: nobody opens them for this segment any more. What is open can be
  /// used to the end by whoever has it.
  func retire() {
    log.retire()
    index.slot.retire()
    timeIndex.slot.retire()
    transactionIndex.slot.retire()
  }

  /// Gives the files the names of another stage: the log last, since it is what counts.
  func move(to stage: FileStage) throws(StorageError) {
    try index.slot.move(to: stage)
    try timeIndex.slot.move(to: stage)
    try transactionIndex.slot.move(to: stage)
    try log.move(to: stage)
  }

  /// The offset as the indexes hold it; nil when it does not fit, which is one of the reasons to roll.
  func relative(_ offset: Int64) -> Int32? {
    let (difference, overflow) = offset.subtractingReportingOverflow(baseOffset)
    guard !overflow, difference >= 0 else { return nil }
    return Int32(exactly: difference)
  }

  /// The largest timestamp, -1 in an empty segment, and the last offset of the first batch that has it.
  func largestTimestamp() throws(LogError) -> TimestampOffset {
    if let known = summary.withLock({ $0.largest }) { return known }
    // The last entry is usually true, which a few reads show; the whole indexes need not be looked at for it.
    var last = try timeIndex.last()
    var isUsable = size == 0
    if let last, try isTrue(last) { isUsable = try isLargest(last) }
    if !isUsable {
      try repairIndexes()
      last = try timeIndex.last()
    }
    let largest = TimestampOffset(
      timestamp: last?.timestamp ?? -1, offset: baseOffset + Int64(last?.relativeOffset ?? 0))
    summary.withLock { $0.largest = largest }
    return largest
  }

  func setLargestTimestamp(_ largest: TimestampOffset) {
    summary.withLock { $0.largest = largest }
  }

  /// Makes the indexes anew if they cannot be right. Looks at them once.
  func checkIndexes() throws(LogError) {
    try indexCheck.withLock { (isChecked) throws(LogError) in
      if isChecked { return }
      if try !indexesAreUsable() { try rebuildIndexes() }
      isChecked = true
    }
  }

  /// Makes the indexes anew, whatever they say.
  func repairIndexes() throws(LogError) {
    try indexCheck.withLock { (isChecked) throws(LogError) in
      try rebuildIndexes()
      isChecked = true
    }
  }

  /// For the loader, which has looked at the active segment's indexes itself.
  func noteIndexesChecked() { indexCheck.withLock { $0 = true } }
}
