// One of a store's data directories, and what the partitions in it share: the commit loop, the queue of logs for the
// next checkpoint, the cache of open files.

import Synchronization

final class DataDirectory: Sendable {
  let path: String
  let options: StoreOptions
  let cache: OpenFileCache
  let commit: GroupCommit
  /// Holds the directory's lock.
  private let lockFile: OpenFile
  private let anchor: FileSystemAnchor
  /// What the checkpoint files say, and after each checkpoint will say, of every partition in the directory.
  let recorded: Mutex<RecordedOffsets>
  /// Held while the checkpoint files are replaced.
  let filesGate = Mutex(())
  private let changed = Mutex<[PartitionLog]>([])
  private let removals: Mutex<[Removal]>
  let damageCount = Atomic<Int>(0)
  private let bytesSinceCheckpoint = Atomic<Int64>(0)
  /// Woken when a checkpoint is due by bytes.
  let wakeUp: WakeUp
  let wasCleanlyStopped: Bool
  /// A write was refused for want of room, and none has succeeded since.
  private let isFull = Atomic<Bool>(false)

  /// What was renamed out of the way, and when it goes.
  struct Removal: Sendable {
    var path: String
    var isDirectory: Bool
    var dueMs: Int64

    /// A time too far away to be told is never.
    static func due(_ delayMs: Int64, after nowMs: Int64) -> Int64 {
      let (dueMs, overflow) = nowMs.addingReportingOverflow(delayMs)
      return overflow ? .max : dueMs
    }
  }

  var fileSystem: any FileSystem { options.fileSystem }

  init(
    path: String, options: StoreOptions, cache: OpenFileCache, lockFile: OpenFile, recorded: RecordedOffsets,
    wasCleanlyStopped: Bool, removals: [Removal], wakeUp: WakeUp
  ) throws(LogError) {
    self.path = path
    self.options = options
    self.cache = cache
    self.lockFile = lockFile
    self.recorded = Mutex(recorded)
    self.wasCleanlyStopped = wasCleanlyStopped
    self.wakeUp = wakeUp
    self.removals = Mutex(removals)
    do {
      anchor = FileSystemAnchor(try options.fileSystem.open(path, .read), options.fileSystem)
    } catch { throw .storage(error) }
    commit = GroupCommit(
      flush: Flush(fileSystem: options.fileSystem, policy: options.flushPolicy, anchor: anchor),
      quickFlush: options.quickFlush, afterTurn: options.afterTurn)
  }

  /// The log has something that the next checkpoint has to record.
  func noteChange(_ log: PartitionLog, byteCount: Int) {
    if !log.isQueuedForCheckpoint.load(ordering: .acquiring),
      !log.isQueuedForCheckpoint.exchange(true, ordering: .acquiringAndReleasing)
    {
      changed.withLock { $0.append(log) }
    }
    let bytes = bytesSinceCheckpoint.add(Int64(byteCount), ordering: .relaxed).newValue
    if bytes >= options.checkpointBytes, bytes - Int64(byteCount) < options.checkpointBytes { wakeUp.signal() }
  }

  /// Says once that there is no room, however many writes are refused.
  func noteRefusal(_ error: LogError) {
    guard case .storage(let cause) = error, cause.isOutOfSpace else { return }
    if !isFull.exchange(true, ordering: .relaxed) { options.onCondition(.outOfSpace(directory: path, cause)) }
  }

  /// A write succeeded.
  func noteRoom() {
    guard isFull.load(ordering: .relaxed), isFull.exchange(false, ordering: .relaxed) else { return }
    options.onCondition(.hasRoomAgain(directory: path))
  }

  var isCheckpointDueByBytes: Bool {
    bytesSinceCheckpoint.load(ordering: .relaxed) >= options.checkpointBytes
  }

  /// The logs that changed since this was last asked.
  func takeChanged() -> [PartitionLog] {
    bytesSinceCheckpoint.store(0, ordering: .relaxed)
    return changed.withLock { logs in
      defer { logs = [] }
      for log in logs { log.isQueuedForCheckpoint.store(false, ordering: .releasing) }
      return logs
    }
  }

  /// The logs that changed and were not taken yet.
  func changedLogs() -> [PartitionLog] { changed.withLock { $0 } }

  func remove(_ removal: Removal) {
    removals.withLock { $0.append(removal) }
  }

  func takeRemovals(dueAt nowMs: Int64) -> [Removal] {
    removals.withLock { removals in
      let due = removals.filter { $0.dueMs <= nowMs }
      if !due.isEmpty { removals.removeAll { $0.dueMs <= nowMs } }
      return due
    }
  }

  /// Makes everything in the directory's file system durable: cheaper than file by file when there are many.
  func synchronizeFileSystem() throws(StorageError) { try anchor.synchronizeFileSystem() }
  var canSynchronizeFileSystem: Bool { anchor.isUsable }

  func unlock() {
    anchor.close()
    fileSystem.unlock(lockFile)
  }

  /// Puts a new checkpoint file in the place of the old.
  func store(_ offsets: [PartitionID: Int64], as checkpoint: OffsetCheckpoint) throws(StorageError) {
    try fileSystem.replaceFile(
      at: "\(path)/\(checkpoint.rawValue)", in: path, with: OffsetCheckpoint.encode(offsets))
  }
}

/// The offsets in a directory's checkpoint files.
struct RecordedOffsets: Sendable, Equatable {
  var recoveryPoints: [PartitionID: Int64] = [:]
  var logStarts: [PartitionID: Int64] = [:]
  var highWatermarks: [PartitionID: Int64] = [:]
  /// Where compaction goes on.
  var cleaned: [PartitionID: Int64] = [:]

  func known(_ id: PartitionID, isClean: Bool) -> KnownOffsets {
    var recoveryPoint = recoveryPoints[id]
    // A damaged digit would have the log trusted past its end, or go on there. What is durable was visible, and the high
    // watermarks are stored first.
    if let point = recoveryPoint, let highWatermark = highWatermarks[id], point > highWatermark { recoveryPoint = nil }
    // After a clean stop both say where the log ends.
    if isClean, recoveryPoint == nil { recoveryPoint = highWatermarks[id] }
    return KnownOffsets(recoveryPoint: recoveryPoint, logStartOffset: logStarts[id], isClean: isClean)
  }

  mutating func remove(_ id: PartitionID) {
    recoveryPoints[id] = nil
    logStarts[id] = nil
    highWatermarks[id] = nil
    cleaned[id] = nil
  }
}

/// What a log may know of itself before its files are opened.
struct KnownOffsets: Sendable, Equatable {
  var recoveryPoint: Int64?
  var logStartOffset: Int64?
  /// Whether the store was stopped cleanly, so that the log should end at the recovery point.
  var isClean: Bool
}
