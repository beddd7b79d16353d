import Foundation
import MillraceRecords
import Synchronization
import Testing

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct CommitTests {
  private let workspace = Workspace()
  private let faulty = FaultyFileSystem()

  init() {
    workspace.fileSystem = faulty
  }

  @Test func `nothing is visible before its flush, and what came during a flush waits for the next`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["warm"]))
    try log.settle()
    faulty.holdFlushes()
    let heard = Collected<Int64>()
    let rises = Collected<Int64>()
    log.onHighWatermark = { rises.add($0) }
    try log.append(batch(["a"]))
    log.whenDurable(through: 2) { _ in heard.add(2) }
    faulty.waitForFlush()
    try log.append(batch(["b"]))
    log.whenDurable(through: 3) { _ in heard.add(3) }
    log.whenDurable(through: 1) { _ in heard.add(1) }
    #expect(log.offsets == LogOffsets(logStartOffset: 0, highWatermark: 1, lastStableOffset: 1, logEndOffset: 3))
    #expect(try log.values().map(\.value) == ["warm"])
    #expect(heard.all == [1])
    faulty.releaseFlushes()
    try log.settle()
    #expect(heard.all == [1, 2, 3])
    #expect(rises.all == [2, 3])
    #expect(try log.values().map(\.value) == ["warm", "a", "b"])
    store.close(nowMs: workspace.now)
  }

  @Test func `everything that arrived during one flush is covered by the next`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["warm"]))
    try log.settle()
    faulty.holdFlushes()
    try log.append(batch(["a"]))
    faulty.waitForFlush()
    for _ in 0..<100 { try log.append(batch(["b"])) }
    let flushes = faulty.count(.synchronize)
    faulty.releaseFlushes()
    try log.settle()
    #expect(log.offsets.highWatermark == 102)
    #expect(faulty.count(.synchronize) - flushes == 2)
    store.close(nowMs: workspace.now)
  }

  @Test func `an append never waits for a flush, of its own partition or another's`() throws {
    let store = try workspace.open()
    let logs = try (0..<4).map { try workspace.log(store, topic: "four", Int32($0)) }
    faulty.holdFlushes()
    // One that waited would wait for ever.
    for _ in 0..<50 {
      for log in logs { try log.append(batch(["a"])) }
    }
    #expect(logs.allSatisfy { $0.offsets.highWatermark == 0 })
    faulty.releaseFlushes()
    for log in logs { try log.settle() }
    #expect(logs.allSatisfy { $0.offsets.highWatermark == 50 })
    store.close(nowMs: workspace.now)
  }

  @Test func `few files are flushed one by one, many with one call`() throws {
    workspace.hasThreads = false
    let store = try workspace.open()
    let logs = try (0..<20).map { try workspace.log(store, topic: "many", Int32($0)) }
    for log in logs { try log.append(batch(["a"])) }
    store.commit()
    #expect(faulty.count(.synchronizeFileSystem) == 1)
    let flushes = faulty.count(.synchronize)
    try logs[0].append(batch(["b"]))
    try logs[1].append(batch(["b"]))
    store.commit()
    #expect(faulty.count(.synchronize) == flushes + 2)
    #expect(faulty.count(.synchronizeFileSystem) == 1)
    #expect(logs.map(\.offsets.highWatermark).reduce(0, +) == 22)
    store.close(nowMs: workspace.now)
  }

  @Test func `a roll makes the closed segment and the name of the new one durable`() throws {
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 200))
    for _ in 0..<3 { try log.append(batch(["a"])) }
    store.commit()
    let view = try log.currentView()
    #expect(view.segments.count > 1)
    #expect(view.segments.allSatisfy { !$0.log.isDirty })
    #expect(view.closedSegments.isEmpty && !view.directoryChanged)
    #expect(log.offsets.highWatermark == 3)
    store.close(nowMs: workspace.now)
  }

  @Test func `a buffered log is visible at once and is flushed in the background`() throws {
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(durability: .buffered, flushMessages: 5, flushMs: 1000))
    let rises = Collected<Int64>()
    log.onHighWatermark = { rises.add($0) }
    for index in 0..<4 {
      try log.append(batch(["a"]), now: workspace.now + Int64(index))
      #expect(log.offsets.highWatermark == Int64(index + 1))
    }
    #expect(rises.all == [1, 2, 3, 4])
    store.commit()
    #expect(try log.currentView().durableOffset == 0)
    try log.append(batch(["a"]), now: workspace.now + 4)
    store.commit()
    #expect(try log.currentView().durableOffset == 5)

    try log.append(batch(["a"]), now: workspace.now + 10)
    store.maintain(nowMs: workspace.now + 1009)
    store.commit()
    #expect(try log.currentView().durableOffset == 5)
    store.maintain(nowMs: workspace.now + 1010)
    store.commit()
    #expect(try log.currentView().durableOffset == 6)
    store.close(nowMs: workspace.now)
  }

  @Test func `a log that becomes buffered shows what waited for a flush`() throws {
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a"]))
    let heard = Collected<Int>()
    log.whenDurable(through: 1) { _ in heard.add(1) }
    #expect(heard.all.isEmpty)
    var config = log.config
    config.durability = .buffered
    log.config = config
    #expect(heard.all == [1])
    store.close(nowMs: workspace.now)
  }

  @Test func `checkpoints are made by time and by bytes`() throws {
    workspace.hasThreads = false
    workspace.checkpointIntervalMs = 5000
    workspace.checkpointBytes = 1000
    let store = try workspace.open()
    let log = try workspace.log(store)
    func recorded() -> Int64? {
      OffsetCheckpoint.decode(workspace.root("recovery-point-offset-checkpoint"))?[log.id]
    }
    try log.append(batch(["a"]))
    store.maintain(nowMs: workspace.now + 4999)
    #expect(recorded() == nil)
    store.maintain(nowMs: workspace.now + 5000)
    #expect(recorded() == 1)
    for _ in 0..<20 { try log.append(batch(["a"])) }
    store.maintain(nowMs: workspace.now + 5001)
    #expect(recorded() == 21)
    // The snapshots of checkpoints do not pile up.
    for _ in 0..<5 {
      for _ in 0..<20 { try log.append(batch(["a"])) }
      store.checkpoint()
    }
    #expect(workspace.files.count { $0.hasSuffix(".snapshot") } <= 2)
    store.close(nowMs: workspace.now)
  }

  // MARK: Failures

  @Test(arguments: [ENOSPC, EDQUOT])
  func `without room an append is refused, nothing is lost, and it heals`(errorNumber: Int32) throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a"]))
    try log.settle()
    for room in [0, 5, 61, 65] {
      faulty.set { ($0.room, $0.roomError) = (room, errorNumber) }
      let error = #expect(throws: LogError.self) { try log.append(batch(["too much"])) }
      guard case .storage(let cause) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      #expect(cause.isOutOfSpace)
      #expect(workspace.bytes("00000000000000000000.log").count == batch(["a"]).count)
      #expect(try log.values().map(\.value) == ["a"])
    }
    // Told once, not for each refusal.
    #expect(workspace.conditions.all.count == 1)
    faulty.heal()
    #expect(try log.append(batch(["b"])).baseOffset == 1)
    #expect(workspace.conditions.all.dropFirst() == [.hasRoomAgain(directory: workspace.path)])
    try log.settle()
    #expect(try log.values().map(\.value) == ["a", "b"])
    store.close(nowMs: workspace.now)
    #expect(try LogInspector(directory: "\(workspace.path)/orders-0").verify().isClean)
  }

  @Test func `a segment that was begun and found no room takes the next batch that finds some`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    let old = Int64(1_700_000_000_000)
    try log.append(batch(["a"], timestamp: old))
    faulty.fail(.write, ".log", ENOSPC)
    // Old enough for the segment to roll before the write.
    #expect(throws: LogError.self) { try log.append(batch(["lost"], timestamp: old + 30 * 24 * 3_600_000)) }
    faulty.heal()
    try log.append(batch(["b"], timestamp: old + 30 * 24 * 3_600_000))
    try log.settle()
    #expect(try log.values().map(\.value) == ["a", "b"])
    #expect(try log.values(from: 1).map(\.value) == ["b"])
    #expect(workspace.exists("00000000000000000001.log"))
    store.close(nowMs: workspace.now)
    #expect(try LogInspector(directory: "\(workspace.path)/orders-0").verify().isClean)
  }

  @Test func `a log without room for its indexes goes on, and recovers without room`() throws {
    let config = LogConfig(segmentBytes: 10_000, indexIntervalBytes: 1)
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    faulty.fail(.write, "index", ENOSPC)
    faulty.fail(.write, ".tmp", ENOSPC)
    for index in 0..<500 { try log.append(batch(["\(index)"])) }
    try log.settle()
    #expect(try log.values().map(\.offset) == Array(0..<500))
    workspace.crash(store)
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(try log.values(from: 123, maxBytes: 100).map(\.offset) == Array(123..<500))
    #expect(try log.offset(forTimestamp: 0)?.offset == 0)
    faulty.heal()
    store.close(nowMs: workspace.now)
    #expect(try LogInspector(directory: "\(workspace.path)/orders-0").verify().findings == [])
  }

  @Test(arguments: [EIO, EROFS])
  func `a failed write is the log's last, and what is durable is still read`(errorNumber: Int32) throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    let other = try workspace.log(store, topic: "other")
    try log.append(batch(["a"]))
    try log.settle()
    faulty.fail(.write, "orders-0/00000000000000000000.log", errorNumber)
    let expected = LogError.storage(
      StorageError(errorNumber, .write, workspace.file("00000000000000000000.log")))
    #expect(throws: expected) { try log.append(batch(["b"])) }
    faulty.heal()
    #expect(throws: expected) { try log.append(batch(["c"])) }
    #expect(log.offlineError == expected)
    let heard = Collected<LogError>()
    log.whenDurable(through: 2) { if case .failure(let error) = $0 { heard.add(error) } }
    #expect(heard.all == [expected])
    #expect(try log.values().map(\.value) == ["a"])
    #expect(try other.append(batch(["fine"])).baseOffset == 0)
    store.close(nowMs: workspace.now)
    #expect(workspace.root(".kafka_cleanshutdown").isEmpty)
  }

  /// Coordinators append under a lock that those who wait for the disk need.
  @Test func `who waits for a log is told of its failed write when the append has returned`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    let lock = Mutex(())
    let heard = WakeUp()
    faulty.holdFlushes()
    try log.append(batch(["a"]))
    log.whenDurable(through: 1) { _ in
      lock.withLock { _ in }
      heard.signal()
    }
    faulty.fail(.write, "orders-0/00000000000000000000.log", EIO)
    lock.withLock { _ in
      _ = #expect(throws: LogError.self) { try log.append(batch(["b"])) }
    }
    faulty.releaseFlushes()
    heard.wait()
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [1, 10])
  func `a failed flush acknowledges nothing and takes its logs offline`(count: Int) throws {
    let store = try workspace.open()
    let logs = try (0..<count).map { try workspace.log(store, topic: "failing", Int32($0)) }
    for log in logs {
      try log.append(batch(["a"]))
      try log.settle()
    }
    faulty.fail(.synchronize, ".log", EIO)
    faulty.fail(.synchronizeFileSystem, "", EIO)
    faulty.holdFlushes()
    for log in logs { try log.append(batch(["b"])) }
    faulty.releaseFlushes()
    for log in logs {
      #expect(throws: LogError.self) { try log.settle() }
      #expect(log.offsets.highWatermark == 1)
      #expect(log.offlineError != nil)
    }
    // Not even when the next flush would succeed.
    faulty.heal()
    store.checkpoint()
    for log in logs {
      #expect(throws: LogError.self) { try log.append(batch(["c"])) }
      #expect(log.offsets.highWatermark == 1)
      #expect(try log.values().map(\.value) == ["a"])
    }
    store.close(nowMs: workspace.now)
  }

  @Test func `when the process has too many open files an append is refused and the log goes on`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    faulty.fail(.open, ".log", EMFILE)
    #expect(throws: LogError.self) { try log.append(batch(["a"])) }
    faulty.heal()
    #expect(try log.append(batch(["a"])).baseOffset == 0)
    store.close(nowMs: workspace.now)
  }
}
