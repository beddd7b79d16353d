// One partition's log, for everybody who uses it. Locks, never taken in another order than this, and none held while a
// callback runs:
//
//   upkeep    held by retention, compaction and truncation, which change segments; no append or read takes it
//   writer    held through an append and its one write, by appends, rolls and truncations
//   waiting   held for a few instructions: who waits for the high watermark
//   view      held for a few instructions: what readers copy, and what commits raise
//
// The files are opened at first use. Until then a partition is this object and its path.

import MillraceRecords
import Synchronization

package final class PartitionLog: Sendable {
  package let id: PartitionID
  package let topicId: TopicID
  let home: DataDirectory
  let directory: PartitionDirectory
  let writer: Mutex<LogWriter?>
  let view = Mutex<LogView?>(nil)
  let waiting = Mutex(Waiting())
  /// Held while segments are taken away or replaced, through that work's flushes; before the writer's lock.
  let upkeep = Mutex(())
  /// What the directory holds while the log is not open, once somebody looked.
  let closedFiles = Mutex<ClosedFiles?>(nil)
  private let settings: Mutex<LogConfig>
  /// What the checkpoints said when the store was opened; used by the first use.
  let known: KnownOffsets
  /// Somebody compacts the log.
  let isBeingCleaned = Atomic<Bool>(false)
  /// A batch of the log is damaged: it is not compacted any more, lest the damage spreads.
  let isUncleanable = Atomic<Bool>(false)
  /// The directory is another topic's by its file, which was said.
  let isMistakenToldOf = Atomic<Bool>(false)
  /// Whether this log stands in the queue of the commit loop.
  let isQueuedForCommit = Atomic<Bool>(false)
  /// Whether this log changed since the last checkpoint began.
  let isQueuedForCheckpoint = Atomic<Bool>(false)
  /// A write or a flush failed: nothing is written any more.
  let isOffline = Atomic<Bool>(false)
  /// The store is being closed: nothing is appended any more, what was is flushed.
  let isClosing = Atomic<Bool>(false)
  /// When bytes of a buffered log that are still unflushed were written first, in milliseconds; 0 without any.
  let unflushedSinceMs = Atomic<Int64>(0)
  let unflushedRecords = Atomic<Int64>(0)

  struct Waiting {
    var waiters = DurabilityWaiters()
    var listener: (@Sendable (Int64) -> Void)?
  }

  /// `known` is nil in each part that no checkpoint has.
  init(
    id: PartitionID, topicId: TopicID, home: DataDirectory, config: LogConfig, known: KnownOffsets
  ) {
    self.id = id
    self.topicId = topicId
    self.home = home
    self.known = known
    directory = PartitionDirectory("\(home.path)/\(id)")
    writer = Mutex(nil)
    settings = Mutex(config)
  }

  package var config: LogConfig {
    get { settings.withLock { $0 } }
    set {
      let wasCommit = settings.withLock { config in
        defer { config = newValue }
        return config.durability == .commit
      }
      if wasCommit, newValue.durability == .buffered { raiseHighWatermarkToEnd() }
    }
  }

  /// Called after every rise of the high watermark, on the thread that raised it and with no lock held. Set it once.
  package var onHighWatermark: (@Sendable (Int64) -> Void)? {
    get { waiting.withLock { $0.listener } }
    set { waiting.withLock { $0.listener = newValue } }
  }

  /// The offsets of the log; of one that cannot be opened, those that the checkpoints know.
  package var offsets: LogOffsets {
    if let offsets = view.withLock({ $0?.offsets }) { return offsets }
    if let view = try? currentView() { return view.offsets }
    let end = known.recoveryPoint ?? 0
    return LogOffsets(
      logStartOffset: known.logStartOffset ?? 0, highWatermark: end, lastStableOffset: end, logEndOffset: end)
  }

  /// Bytes of batches. Does not open a log that is not open.
  package var sizeInBytes: Int64 {
    if let size = view.withLock({ $0?.segments.reduce(0) { $0 + $1.size } }) { return size }
    guard let entries = try? home.fileSystem.list(directory.path) else { return 0 }
    return entries.reduce(0) { sum, entry in
      guard FileNames.parse(entry.name)?.kind == .log else { return sum }
      return sum + ((try? home.fileSystem.status(of: directory.path(entry.name)))?.byteCount ?? 0)
    }
  }

  /// Whether the files were opened; a log that nobody used is only a name.
  package var isOpen: Bool { view.withLock { $0 != nil } }

  /// Why nothing can be appended, if so.
  package var offlineError: LogError? {
    guard isOffline.load(ordering: .acquiring) else { return isClosing.load(ordering: .acquiring) ? .closed : nil }
    return waiting.withLock { $0.waiters.failure } ?? .closed
  }

  /// A copy of what readers may see.
  func currentView() throws(LogError) -> LogView {
    if let view = view.withLock({ $0 }) { return view }
    try open()
    guard let view = view.withLock({ $0 }) else { throw .closed }
    return view
  }

  // MARK: Waiting for durability

  /// Calls `body` once, on any thread: when everything before `offset` is durable (at once if it is), or with the error
  /// after which it never will be.
  package func whenDurable(
    through offset: Int64, _ body: @escaping @Sendable (Result<Void, LogError>) -> Void
  ) {
    if view.withLock({ ($0?.highWatermark.offset ?? -1) >= offset }) { return body(.success(())) }
    let answer = waiting.withLock { waiting -> Result<Void, LogError>? in
      // Whoever raises the high watermark takes this lock afterwards.
      if view.withLock({ ($0?.highWatermark.offset ?? -1) >= offset }) { return .success(()) }
      if let failure = waiting.waiters.failure { return .failure(failure) }
      waiting.waiters.add(offset, body)
      return nil
    }
    if let answer { body(answer) }
  }

  /// Tells everybody that the high watermark rose to `offset`.
  func announce(_ offset: Int64) {
    let (callbacks, listener) = waiting.withLock { ($0.waiters.take(through: offset), $0.listener) }
    listener?(offset)
    for callback in callbacks { callback(.success(())) }
  }

  /// No more writing: fails all appends to come, and soon all who wait.
  func fail(_ error: LogError) { home.commit.tell(takeOffline(error)) }

  /// Those who are to be told that a log takes no more writes, when no lock is held.
  struct Failed {
    fileprivate let log: PartitionLog
    fileprivate let error: LogError
    fileprivate let isFirst: Bool
    fileprivate let callbacks: [DurabilityWaiters.Callback]

    func tell() {
      if isFirst, case .storage = error { log.home.options.onCondition(.offline(log.id, error)) }
      for callback in callbacks { callback(.failure(error)) }
    }
  }

  /// No more writing from here on.
  func takeOffline(_ error: LogError) -> Failed {
    isOffline.store(true, ordering: .releasing)
    if case .storage(let cause) = error, cause.isFailedFlush { markFailedFlush() }
    let (isFirst, callbacks) = waiting.withLock { ($0.waiters.failure == nil, $0.waiters.fail(error)) }
    return Failed(log: self, error: error, isFirst: isFirst, callbacks: callbacks)
  }

  /// After a failed flush the page cache may hold bytes that count as written and are not on the disk, and the next
  /// process would read them. The mark has it write them anew. That the mark itself is durable is more than can be
  /// promised here; what it is about outlives this process only in the same page cache.
  private func markFailedFlush() {
    do {
      home.fileSystem.close(try home.fileSystem.open(directory.path(FileNames.flushFailed), .create))
    } catch {
      home.options.onError(.storage(error))
    }
  }

  private func raiseHighWatermarkToEnd() {
    let raised = view.withLock { view -> Int64? in
      guard let end = view?.end, view?.raiseHighWatermark(to: end) == true else { return nil }
      return end.offset
    }
    if let raised { announce(raised) }
  }
}
