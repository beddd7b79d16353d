import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct RetentionTests {
  let workspace = Workspace()

  init() { workspace.hasThreads = false }

  /// Segments of four batches of 100 records' time each: batch `index` has the time `index * 1000`.
  private func filled(_ store: LogStore, _ config: LogConfig, batches: Int = 20) throws -> PartitionLog {
    let log = try workspace.log(store, config)
    for index in 0..<batches { try log.append(batch(["\(index)"], timestamp: Int64(index) * 1000)) }
    store.commit()
    return log
  }

  private var config: LogConfig {
    LogConfig(
      segmentBytes: Int32(4 * batch(["00"]).count), segmentMs: .max, retentionMs: -1, fileDeleteDelayMs: 1000)
  }

  private var segmentCount: Int { workspace.files.count { $0.hasSuffix(".log") } }

  @Test func `old segments go, readers of their offsets are told, and the files go after the delay`() throws {
    let store = try workspace.open()
    var config = config
    config.retentionMs = 10_000
    let log = try filled(store, config)
    #expect(segmentCount == 5)
    // 3000 is the youngest of the first segment, 7000 of the second.
    #expect(store.enforceRetention(nowMs: 13_000).isEmpty)
    let reports = store.enforceRetention(nowMs: 17_001)
    #expect(reports.map(\.segmentCount) == [2])
    #expect(log.offsets.logStartOffset == 8)
    #expect(throws: LogError.offsetOutOfRange(requested: 7, start: 8, end: 20)) { try log.values(from: 7) }
    #expect(try log.values().map(\.offset) == Array(8..<20))
    #expect(workspace.files.count { $0.hasSuffix(".log.deleted") } == 2)
    store.maintain(nowMs: 18_000)
    #expect(workspace.files.count { $0.hasSuffix(".deleted") } > 0)
    store.maintain(nowMs: 18_001)
    #expect(!workspace.files.contains { $0.hasSuffix(".deleted") })
    #expect(segmentCount == 3)
    #expect(workspace.errors.all == [])
    store.close(nowMs: workspace.now)
  }

  @Test func `a larger log than retention.bytes loses its oldest segments`() throws {
    let store = try workspace.open()
    var config = config
    let log = try filled(store, config)
    config.retentionBytes = log.sizeInBytes / 2
    log.config = config
    #expect(store.enforceRetention(nowMs: 0).map(\.segmentCount) == [2])
    #expect(log.sizeInBytes >= config.retentionBytes)
    #expect(log.offsets.logStartOffset == 8)
    store.close(nowMs: workspace.now)
  }

  @Test func `when all is old the log goes on, empty, at the same offset, whatever a crash leaves`() throws {
    var store = try workspace.open()
    var config = config
    config.retentionMs = 1
    var log = try filled(store, config)
    #expect(store.enforceRetention(nowMs: 1_000_000).map(\.segmentCount) == [5])
    #expect(log.offsets == LogOffsets(logStartOffset: 20, highWatermark: 20, lastStableOffset: 20, logEndOffset: 20))
    #expect(store.enforceRetention(nowMs: 2_000_000).isEmpty)
    workspace.crash(store)
    for checkpoint in OffsetCheckpoint.allCases { workspace.removeRoot(checkpoint.rawValue) }
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(log.offsets.logEndOffset == 20)
    #expect(try log.append(batch(["next"])).baseOffset == 20)
    store.commit()
    #expect(try log.values().map(\.value) == ["next"])
    store.close(nowMs: workspace.now)
  }

  @Test func `settings that change while the log is open count at once`() throws {
    let store = try workspace.open()
    var config = config
    config.retentionMs = 1_000_000
    let log = try filled(store, config)
    #expect(store.enforceRetention(nowMs: 20_000).isEmpty)
    config.retentionMs = 15_000
    log.config = config
    #expect(store.enforceRetention(nowMs: 20_000).map(\.segmentCount) == [1])
    // As for a topic that is compacted only.
    config.retentionMs = -1
    log.config = config
    #expect(store.enforceRetention(nowMs: 1_000_000_000).isEmpty)
    config.retentionBytes = 1
    log.config = config
    #expect(store.enforceRetention(nowMs: 0).map(\.segmentCount) == [3])
    #expect(log.offsets.logStartOffset == 16)
    store.close(nowMs: workspace.now)
  }

  @Test func `what no flush covers stays`() throws {
    let store = try workspace.open()
    var config = config
    config.retentionMs = 1
    let log = try filled(store, config, batches: 6)
    for index in 6..<20 { try log.append(batch(["\(index)"], timestamp: 0)) }
    #expect(store.enforceRetention(nowMs: 1_000_000).map(\.segmentCount) == [1])
    #expect(log.offsets.logStartOffset == 4)
    store.commit()
    #expect(store.enforceRetention(nowMs: 1_000_000).map(\.segmentCount) == [4])
    store.close(nowMs: workspace.now)
  }

  @Test func `an open transaction holds what it has begun with`() throws {
    let store = try workspace.open()
    var config = config
    config.retentionBytes = 0
    let log = try filled(store, config, batches: 8)
    try log.append(batch(["t"], timestamp: 0, producerId: 1, epoch: 0, sequence: 0, isTransactional: true))
    for index in 9..<20 { try log.append(batch(["\(index)"], timestamp: 0)) }
    store.commit()
    #expect(store.enforceRetention(nowMs: 0).map(\.logStartOffset) == [8])
    #expect(store.enforceRetention(nowMs: 0).isEmpty)
    let marker = EndTransactionMarker(isCommit: true, coordinatorEpoch: 0).batch(
      producerId: 1, producerEpoch: 0, timestamp: 0)
    try log.append(marker, origin: .coordinator)
    store.commit()
    #expect(store.enforceRetention(nowMs: 0).map(\.logStartOffset) == [21])
    store.close(nowMs: workspace.now)
  }

  @Test func `records without times are as old as their file`() throws {
    let store = try workspace.open()
    var config = config
    config.retentionMs = 60_000
    let log = try workspace.log(store, config)
    for _ in 0..<8 { try log.append(batch(["00"], timestamp: -1), now: workspace.now) }
    store.commit()
    #expect(store.enforceRetention(nowMs: workspace.now + 30_000).isEmpty)
    #expect(store.enforceRetention(nowMs: workspace.now + 90_000).map(\.segmentCount) == [2])
    store.close(nowMs: workspace.now)
  }

  @Test func `a read under way keeps the file it has`() throws {
    let store = try workspace.open()
    var config = config
    config.retentionBytes = 0
    let log = try filled(store, config)
    let plan = try log.read(from: 0, maxBytes: 100, minOneBatch: true, isolation: .readUncommitted)
    _ = store.enforceRetention(nowMs: 0)
    store.maintain(nowMs: 10_000)
    #expect(segmentCount == 1)
    #expect(try plan.load().count == plan.byteCount)
    store.close(nowMs: workspace.now)
  }

  @Test func `logs that nobody opened are not opened for nothing, and are when something is old`() throws {
    var store = try workspace.open()
    var config = config
    config.retentionMs = 10_000
    _ = try filled(store, config)
    store.close(nowMs: workspace.now)
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(store.enforceRetention(nowMs: 13_000).isEmpty)
    #expect(!log.isOpen)
    let (lists, opens) = (faulty.count(.list), faulty.count(.open))
    for _ in 0..<10 { #expect(store.enforceRetention(nowMs: 13_000).isEmpty) }
    #expect(faulty.count(.list) == lists && faulty.count(.open) == opens)
    #expect(store.enforceRetention(nowMs: 13_001).map(\.segmentCount) == [1])
    #expect(log.isOpen)
    store.close(nowMs: workspace.now)
  }

  /// Stops before each call that renames, removes, creates or flushes, as a crash does.
  @Test(arguments: 0..<40) func `a failing disk leaves no hole and loses nothing that stays`(failAt: Int) throws {
    let stopping = StoppingFileSystem()
    workspace.fileSystem = stopping
    var store = try workspace.open()
    var config = config
    config.retentionBytes = 0
    let log = try filled(store, config)
    store.checkpoint()
    stopping.stop(after: failAt)
    _ = store.enforceRetention(nowMs: 0)
    store.maintain(nowMs: 10_000)
    stopping.stop(after: nil)
    workspace.crash(store)
    store = try workspace.open()
    let again = try workspace.log(store, config)
    let start = again.offsets.logStartOffset
    #expect(try again.values().map(\.offset) == Array(start..<20))
    #expect(again.offsets.logEndOffset == 20)
    _ = log
    _ = store.enforceRetention(nowMs: 0)
    #expect(try again.append(batch(["next"])).baseOffset == 20)
    store.commit()
    #expect(try again.values().map(\.offset) == [20])
    store.close(nowMs: workspace.now)
  }

  @Test func `readers at every offset see whole records or are told that they are gone`() throws {
    workspace.hasThreads = true
    let store = try workspace.open()
    var config = config
    config.fileDeleteDelayMs = 0
    let log = try workspace.log(store, config)
    config.retentionBytes = 2000
    log.config = config
    let isDone = Collected<Bool>()
    let failures = Collected<String>()
    let readers = (0..<3).map { number -> WakeUp in
      let ended = WakeUp()
      BackgroundThread.start(name: "reader") {
        var random = SeededGenerator(seed: UInt64(number))
        while isDone.all.isEmpty {
          let offsets = log.offsets
          let offset = Int64.random(in: 0...max(0, offsets.highWatermark), using: &random)
          do {
            let found = try log.values(from: offset, maxBytes: 500)
            for (offset, value) in found where value != "\(offset)" { failures.add("\(value) at \(offset)") }
          } catch LogError.offsetOutOfRange {
            if offset >= log.offsets.logStartOffset { failures.add("\(offset) is in the log") }
          } catch {
            failures.add("\(error)")
          }
        }
        ended.signal()
      }
      return ended
    }
    for index in 0..<2000 {
      try log.append(batch(["\(index)"]))
      if index % 20 == 0 {
        _ = store.enforceRetention(nowMs: workspace.now)
        store.maintain(nowMs: Wallclock.nowMs + 10)
      }
    }
    isDone.add(true)
    for reader in readers { reader.wait() }
    #expect(failures.all.prefix(3) == [])
    #expect(log.offsets.logStartOffset > 1000)
    #expect(workspace.errors.all == [])
    store.close(nowMs: workspace.now)
  }
}
