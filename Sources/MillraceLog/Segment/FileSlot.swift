// The place of one file of a segment: the file while it is open, and how to open it again. The cache of open files
// takes files out of their slots when there are too many; whoever uses one at that moment keeps it by reference.
//
// `writeCount` and `synchronizedCount` say whether the file has bytes that no flush has covered. Such a file is flushed
// before it leaves its slot, so that no write error goes unseen with a closed descriptor; a failure stays with the slot
// until the log's next commit finds it.

import Synchronization

final class FileSlot: Sendable {
  let directory: PartitionDirectory
  let offset: Int64
  let kind: LogFileKind
  private let cache: OpenFileCache
  private let file = Mutex<SegmentFile?>(nil)
  /// Set by every use, cleared when the cache's hand passes.
  private let isRecentlyUsed = Atomic<Bool>(false)
  private let writeCount = Atomic<Int>(0)
  private let synchronizedCount = Atomic<Int>(0)
  private let failure = Mutex<StorageError?>(nil)
  /// The file is no longer this slot's; its name may be another file's. Changes under the lock of `file`.
  private let isRetired = Atomic<Bool>(false)
  /// What the file's name ends with. Changes, with the name, under the lock of `file`.
  private let stage: Atomic<Int>

  init(
    directory: PartitionDirectory, offset: Int64, kind: LogFileKind, cache: OpenFileCache, stage: FileStage = .final
  ) {
    self.stage = Atomic(stage.rawValue)
    self.directory = directory
    self.offset = offset
    self.kind = kind
    self.cache = cache
  }

  var path: String { path(FileStage(rawValue: stage.load(ordering: .acquiring)) ?? .final) }
  private func path(_ stage: FileStage) -> String { directory.path(offset, kind) + stage.suffix }
  var fileSystem: any FileSystem { cache.fileSystem }

  /// The open file; opens it, and makes it when `mode` says so, if it is not.
  func open(_ mode: OpenMode = .readWrite) throws(StorageError) -> SegmentFile {
    if !isRecentlyUsed.load(ordering: .relaxed) { isRecentlyUsed.store(true, ordering: .relaxed) }
    let (opened, isNew) = try file.withLock { (file) throws(StorageError) -> (SegmentFile, Bool) in
      if let file { return (file, false) }
      if isRetired.load(ordering: .relaxed) { throw gone }
      let opened = SegmentFile(handle: try cache.openFile(path, mode), fileSystem: cache.fileSystem)
      file = opened
      return (opened, true)
    }
    if isNew { cache.register(self) }
    return opened
  }

  /// Forgets the open file. It is closed when the last user is done with it.
  func release() {
    let released = file.withLock { file -> SegmentFile? in
      defer { file = nil }
      return file
    }
    if released != nil { cache.unregister(self) }
  }

  /// Forgets the open file for good: `open` says from now on that there is none.
  func retire() {
    file.withLock { _ in isRetired.store(true, ordering: .sequentiallyConsistent) }
    release()
  }

  /// Whether the file is still being written by compaction, or waits to become the log's.
  var isCleaned: Bool { stage.load(ordering: .acquiring) == FileStage.cleaned.rawValue }

  /// Gives the file, if there is one, the name of another stage.
  func move(to next: FileStage) throws(StorageError) {
    try file.withLock { (_) throws(StorageError) in
      do throws(StorageError) {
        try fileSystem.rename(path, to: path(next))
      } catch {
        guard error.isNotFound, kind != .log else { throw error }
      }
      stage.store(next.rawValue, ordering: .releasing)
    }
  }

  /// The file's path, for a call that takes one.
  func checkedPath() throws(StorageError) -> String {
    if isRetired.load(ordering: .acquiring) { throw gone }
    return path
  }

  private var gone: StorageError { .notFound(.open, path) }

  /// To be called before the bytes of a write may be in the file, and again when they are: a flush that began in between
  /// covers what the first call counted, and not these bytes.
  func noteWrite() { writeCount.add(1, ordering: .releasing) }
  var isDirty: Bool { synchronizedCount.load(ordering: .acquiring) != writeCount.load(ordering: .acquiring) }

  /// What to hand to `noteSynchronized` after a flush that begins after this call.
  var writesSoFar: Int { writeCount.load(ordering: .acquiring) }
  func noteSynchronized(_ writes: Int) { synchronizedCount.max(writes, ordering: .releasing) }

  /// A flush of this file that failed outside a commit.
  var pendingFailure: StorageError? { failure.withLock { $0 } }

  /// Makes the file durable. Costs nothing when it is.
  func synchronize() throws(StorageError) {
    if let error = pendingFailure { throw error }
    // What went away need not be durable.
    guard isDirty, !isRetired.load(ordering: .acquiring) else { return }
    let writes = writesSoFar
    do {
      try open().synchronize()
    } catch {
      // Nor if it went away only now.
      if error.isNotFound, isRetired.load(ordering: .acquiring) { return }
      failure.withLock { $0 = error }
      throw error
    }
    noteSynchronized(writes)
  }

  // For the cache.

  /// Clears and returns the mark of recent use.
  func takeRecentlyUsed() -> Bool { isRecentlyUsed.exchange(false, ordering: .relaxed) }

  /// Empties the slot, flushing first what is not yet durable.
  func evict() {
    // Not if it is in use this moment, perhaps by the very thread that needs room.
    let evicted = file.withLockIfAvailable { file -> SegmentFile? in
      defer { file = nil }
      return file
    }
    guard let evicted, let evicted, isDirty else { return }
    let writes = writesSoFar
    do {
      try evicted.synchronize()
      noteSynchronized(writes)
    } catch {
      failure.withLock { $0 = error }
    }
  }
}
