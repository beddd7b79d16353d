// What failing disks and unlucky moments must not lead to: bytes that count as durable and are not, and partitions or
// deletions that a power cut takes back.

import Foundation
import Synchronization
import Testing

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

@Suite struct FailureTests {
  private let workspace = Workspace()
  private let faulty = FaultyFileSystem()

  init() {
    workspace.fileSystem = faulty
    workspace.hasThreads = false
  }

  // MARK: Flushes

  @Test func `a flush that runs before the bytes of a write are there does not count for them`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try log.append(batch(["a"]))
    store.commit()
    faulty.set { $0.beforeWrite = { log.home.commit.commit([log]) } }
    try log.append(batch(["b"]))
    let flushes = faulty.count(.synchronize)
    #expect(log.offsets.highWatermark == 1)
    store.commit()
    #expect(faulty.count(.synchronize) == flushes + 1)
    #expect(log.offsets.highWatermark == 2)
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [false, true])
  func `a file that the cache lets go of during its flush is closed after it`(evicts: Bool) throws {
    let cache = OpenFileCache(fileSystem: faulty, limit: 16)
    let slot = FileSlot(directory: PartitionDirectory(workspace.path), offset: 0, kind: .log, cache: cache)
    _ = try slot.open(.create)
    slot.noteWrite()
    faulty.holdFlushes()
    let flush = InBackground { try slot.synchronize() }
    faulty.waitForFlush()
    if evicts {
      let eviction = InBackground { slot.evict() }
      while faulty.heldFlushes < 2 { usleep(200) }
      #expect(faulty.faults.withLock { $0.openFiles.count } == 1)
      faulty.releaseFlushes()
      try eviction.wait()
    } else {
      slot.release()
      #expect(faulty.faults.withLock { $0.openFiles.count } == 1)
      faulty.releaseFlushes()
    }
    try flush.wait()
    #expect(faulty.faults.withLock { $0.openFiles.isEmpty })
  }

  @Test func `a log whose flush failed is offline before anybody can flush what is left of it`() throws {
    let store = try workspace.open()
    let logs = try (0..<5).map { try workspace.log(store, topic: "failing", Int32($0)) }
    for log in logs { try log.append(batch(["a"])) }
    faulty.fail(.synchronizeFileSystem, "", EIO)
    let faulty = faulty
    let seen = Collected<Bool>()
    for log in logs {
      log.whenDurable(through: 1) { _ in
        faulty.heal()
        for other in logs { seen.add(other.offlineError != nil) }
        log.home.commit.commit(logs)
      }
    }
    store.commit()
    #expect(seen.all == [Bool](repeating: true, count: 25))
    #expect(logs.map(\.offsets.highWatermark) == [0, 0, 0, 0, 0])
    store.close(nowMs: workspace.now)
  }

  @Test func `after one failed flush of a file system its files are flushed one by one`() throws {
    let store = try workspace.open()
    let logs = try (0..<8).map { try workspace.log(store, topic: "many", Int32($0)) }
    for log in logs[..<4] { try log.append(batch(["a"])) }
    faulty.fail(.synchronizeFileSystem, "", EIO)
    store.commit()
    faulty.heal()
    #expect(logs[..<4].allSatisfy { $0.offlineError != nil })
    // One of these may be the log that the error was about; only its own file tells.
    for log in logs[4...] { try log.append(batch(["a"])) }
    faulty.fail(.synchronize, "many-5/00000000000000000000.log", EIO)
    store.commit()
    #expect(faulty.count(.synchronizeFileSystem) == 1)
    #expect(logs[4...].map(\.offsets.highWatermark) == [1, 0, 1, 1])
    faulty.heal()
    _ = try store.createPartitions(
      (10..<13).map { (PartitionID(topic: "many", partition: $0), workspace.topicId) }, config: LogConfig())
    #expect(faulty.count(.synchronizeFileSystem) == 1)
    store.close(nowMs: workspace.now)
  }

  // MARK: Making partitions

  private func create(_ count: Int32, in store: LogStore) throws -> [PartitionLog] {
    try store.createPartitions(
      (0..<count).map { (PartitionID(topic: "new", partition: $0), workspace.topicId) }, config: LogConfig())
  }

  @Test(arguments: [
    (StorageError.Operation.createDirectory, "new-2", ENOSPC), (.write, "new-1/partition.metadata", ENOSPC),
    (.open, "new-0/00000000000000000000.log", EMFILE), (.synchronizeFileSystem, "", EIO),
  ])
  func `partitions that could not be made are not there, and the next try makes them`(
    operation: StorageError.Operation, suffix: String, errorNumber: Int32
  ) throws {
    let store = try workspace.open()
    faulty.fail(operation, suffix, errorNumber)
    for _ in 0..<2 {
      let error = #expect(throws: LogError.self) { try create(3, in: store) }
      guard case .storage(let cause) = error else {
        Issue.record("\(String(describing: error))")
        return
      }
      // Not that something is in the way.
      #expect(cause.errorNumber == errorNumber || operation == .synchronizeFileSystem)
      #expect(store.existingPartitions().isEmpty)
      #expect(store.partition(PartitionID(topic: "new", partition: 0)) == nil)
      if operation == .synchronizeFileSystem { break }
    }
    faulty.heal()
    let logs = try create(3, in: store)
    for log in logs { try log.append(batch(["a"])) }
    store.commit()
    #expect(logs.map(\.offsets.highWatermark) == [1, 1, 1])
    #expect(throws: LogError.partitionExists(logs[0].id)) { try create(1, in: store) }
    store.close(nowMs: workspace.now)
  }

  @Test func `a directory with records in it is never taken for what a failed creation left`() throws {
    let store = try workspace.open()
    try FileManager.default.createDirectory(atPath: workspace.file(""), withIntermediateDirectories: true)
    workspace.write(batch(["somebody's"]), "00000000000000000000.log")
    #expect(throws: LogError.storage(StorageError(EEXIST, .createDirectory, "\(workspace.path)/orders-0"))) {
      try workspace.log(store)
    }
    #expect(workspace.bytes("00000000000000000000.log") == batch(["somebody's"]))
    store.close(nowMs: workspace.now)
  }

  @Test func `a partition whose old offsets could not be forgotten is not there`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    for _ in 0..<3 { try log.append(batch(["a"])) }
    store.commit()
    store.checkpoint()
    try store.deletePartition(log.id, nowMs: workspace.now)
    faulty.fail(.write, ".tmp", EIO)
    for _ in 0..<2 {
      #expect(throws: LogError.self) { try workspace.log(store) }
      #expect(store.existingPartitions().isEmpty)
    }
    faulty.heal()
    _ = try workspace.log(store)
    let recorded = OffsetCheckpoint.decode(workspace.root("recovery-point-offset-checkpoint"))
    #expect(recorded?[log.id] == nil)
    store.close(nowMs: workspace.now)
  }

  // MARK: Deletions

  private func logOfFiveSegments(_ store: LogStore, partition: Int32 = 0) throws -> PartitionLog {
    let log = try workspace.log(store, LogConfig(segmentBytes: 100, retentionMs: -1), partition)
    for _ in 0..<5 { try log.append(batch(["a"])) }
    store.commit()
    store.checkpoint()
    #expect(try log.currentView().segments.count == 5)
    return log
  }

  @Test func `the start of a log stays recorded when its deletions could not be made durable`() throws {
    let store = try workspace.open()
    let log = try logOfFiveSegments(store)
    let others = try (1..<4).map { try logOfFiveSegments(store, partition: $0) }
    for log in [log] + others { _ = try log.deleteRecords(before: 3, nowMs: workspace.now) }
    faulty.fail(.synchronizeFileSystem, "", EIO)
    _ = store.enforceRetention(nowMs: workspace.now)
    #expect(log.offlineError != nil)
    faulty.heal()
    func recorded() -> Int64? {
      OffsetCheckpoint.decode(workspace.root("log-start-offset-checkpoint"))?[log.id]
    }
    store.checkpoint()
    #expect(recorded() == 3)
    store.close(nowMs: workspace.now)
    #expect(recorded() == 3)
  }

  @Test func `a segment that waits for its place is deleted under the name it has`() throws {
    var store = try workspace.open()
    var log = try logOfFiveSegments(store)
    try log.currentView().segments[0].move(to: .swap)
    try log.currentView().segments[4].move(to: .swap)
    _ = try log.deleteRecords(before: 2, nowMs: workspace.now)
    _ = store.enforceRetention(nowMs: workspace.now)
    _ = try log.truncate(to: 3, nowMs: workspace.now)
    #expect(!workspace.files.contains { $0.hasSuffix(".swap") })
    workspace.crash(store)
    store = try workspace.open()
    log = try workspace.log(store)
    #expect(try log.values().map(\.offset) == [2])
    store.close(nowMs: workspace.now)
  }

  @Test func `files with an endless delay of deletion stay`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 100, fileDeleteDelayMs: .max))
    for _ in 0..<5 { try log.append(batch(["a"])) }
    store.commit()
    _ = try log.deleteRecords(before: 3, nowMs: workspace.now)
    _ = store.enforceRetention(nowMs: workspace.now)
    store.maintain(nowMs: workspace.now + 1)
    #expect(workspace.files.contains("00000000000000000000.log.deleted"))
    try store.deletePartition(log.id, nowMs: workspace.now)
    store.maintain(nowMs: workspace.now + 2)
    let left = try FileManager.default.contentsOfDirectory(atPath: workspace.path)
    #expect(left.contains { $0.hasSuffix("-delete") })
    store.close(nowMs: workspace.now)
  }

  @Test func `a segment that retention closes is flushed until it goes`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(durability: .buffered, retentionMs: 1000))
    try log.append(batch(["old"], timestamp: 1000))
    let active = try log.currentView().segments[0]
    _ = try log.expire(nowMs: workspace.now)
    #expect(try log.currentView().segments.count == 2)
    #expect(active.log.isDirty)
    log.home.commit.commit([log])
    #expect(!active.log.isDirty)
    store.close(nowMs: workspace.now)
  }

  // MARK: What the last run left

  @Test func `snapshots past the end of the log are removed durably, or the log is not opened`() throws {
    var store = try workspace.open()
    var log = try workspace.log(store)
    try log.append(batch(["a"]))
    store.commit()
    store.checkpoint()
    workspace.crash(store)
    workspace.write([1, 2, 3], "00000000000000000099.snapshot")
    store = try workspace.open()
    log = try workspace.log(store)
    faulty.fail(.remove, "99.snapshot", EIO)
    #expect(throws: LogError.self) { try log.values() }
    faulty.heal()
    let flushes = faulty.count(.synchronizeDirectory)
    #expect(try log.values().map(\.value) == ["a"])
    #expect(faulty.count(.synchronizeDirectory) > flushes)
    #expect(!workspace.exists("00000000000000000099.snapshot"))
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [4, 5, 1_000_003, Int64.max])
  func `a recovery point above the high watermark is not believed`(damaged: Int64) throws {
    var store = try workspace.open()
    var log = try workspace.log(store)
    for _ in 0..<3 { try log.append(batch(["a"])) }
    store.commit()
    store.checkpoint()
    for _ in 0..<2 { try log.append(batch(["b"])) }
    workspace.crash(store)
    workspace.edit("00000000000000000000.log") { $0[$0.count - 1] ^= 1 }
    workspace.writeRoot(Array("0\n1\norders 0 \(damaged)\n".utf8), "recovery-point-offset-checkpoint")
    store = try workspace.open()
    log = try workspace.log(store)
    #expect(try log.values().map(\.value) == ["a", "a", "a", "b"])
    #expect(try log.append(batch(["c"])).baseOffset == 4)
    store.close(nowMs: workspace.now)
  }

  @Test func `a data directory may be named with slashes at its end`() throws {
    let store = try LogStore.open(
      workspace.options(directories: ["\(workspace.path)/x/data//"]), nowMs: workspace.now)
    let log = try workspace.log(store)
    #expect(log.directory.path == "\(workspace.path)/x/data/orders-0")
    store.close(nowMs: workspace.now)
    #expect(workspace.options(directories: ["/", "a", "//"]).directories == ["/", "a", "/"])
  }
}

/// Work on a thread of its own.
private final class InBackground: Sendable {
  private let result = Mutex<Result<Void, any Error>?>(nil)
  private let isDone = WakeUp()

  init(_ work: @escaping @Sendable () throws -> Void) {
    BackgroundThread.start(name: "test") {
      let result = Result { try work() }
      self.result.withLock { $0 = result }
      self.isDone.signal()
    }
  }

  func wait() throws {
    isDone.wait()
    try result.withLock { try $0?.get() }
  }
}
