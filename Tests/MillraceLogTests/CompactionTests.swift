import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct CompactionTests {
  let workspace = Workspace()
  let config = LogConfig(
    segmentBytes: 1000, segmentMs: .max, retentionMs: -1, fileDeleteDelayMs: 0, isCompacted: true,
    deleteRetentionMs: 10_000, minCleanableDirtyRatio: 0)

  init() { workspace.hasThreads = false }

  @Test func `the last record of each key stays, at its offset, and readers get past the gaps`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    for index in 0..<60 { try log.append(keyed([("k\(index % 3)", "\(index)"), ("one", "\(index)")])) }
    try log.roll(nowMs: 0)
    store.commit()
    workspace.cleaner(store).cleanDirtiest(nowMs: 0)
    let expected = [
      KeyedRecord(offset: 114, key: "k0", value: "57"), KeyedRecord(offset: 116, key: "k1", value: "58"),
      KeyedRecord(offset: 118, key: "k2", value: "59"), KeyedRecord(offset: 119, key: "one", value: "59"),
    ]
    #expect(try log.records() == expected)
    for offset in Int64(0)...120 {
      #expect(try log.records(from: offset, maxBytes: 1) == expected.filter { $0.offset >= offset }, "\(offset)")
    }
    #expect(log.offsets.logStartOffset == 0)
    #expect(try log.append(keyed([("k0", "next")])).baseOffset == 120)
    #expect(!workspace.files.contains { $0.hasSuffix(".cleaned") || $0.hasSuffix(".swap") })
    store.maintain(nowMs: 10)
    #expect(!workspace.files.contains { $0.hasSuffix(".deleted") })
    #expect(OffsetCheckpoint.decode(workspace.root("cleaner-offset-checkpoint"))?[log.id] == 120)
    // The next pass makes one segment of what is left of them.
    #expect(workspace.files.count { $0.hasSuffix(".log") } == 7)
    try log.roll(nowMs: 0)
    store.commit()
    workspace.cleaner(store).cleanDirtiest(nowMs: 0)
    store.maintain(nowMs: 10)
    #expect(workspace.files.count { $0.hasSuffix(".log") } <= 2)
    store.close(nowMs: workspace.now)
    try workspace.expectWholeLog()
    let again = try workspace.open()
    #expect(
      try workspace.log(again, config).records(from: 0)
        == expected.dropFirst() + [KeyedRecord(offset: 120, key: "k0", value: "next")])
    again.close(nowMs: workspace.now)
  }

  @Test func `a tombstone hides what was before it, and goes after delete.retention.ms`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    let cleaner = workspace.cleaner(store)
    func more(_ value: String) throws {
      try log.append(keyed([("other", value)]))
      try log.roll(nowMs: 0)
      store.commit()
    }
    try log.append(keyed([("gone", "1"), ("stays", "1")]))
    try log.append(keyed([("gone", nil)]))
    try more("1")
    cleaner.cleanDirtiest(nowMs: 50_000)
    #expect(try log.records().map(\.key) == ["stays", "gone", "other"])
    #expect(try log.headers().compactMap(\.deleteHorizonMs) == [60_000])
    #expect(try log.headers().map(\.maxTimestamp) == [1_000, 1_000, 1_000])
    try more("2")
    cleaner.cleanDirtiest(nowMs: 59_999)
    #expect(try log.records().map(\.key) == ["stays", "gone", "other"])
    #expect(try log.headers().compactMap(\.deleteHorizonMs) == [60_000])
    try more("3")
    cleaner.cleanDirtiest(nowMs: 60_000)
    #expect(try log.records().map(\.key) == ["stays", "other"])
    store.close(nowMs: workspace.now)
    try workspace.expectWholeLog()
  }

  @Test func `aborted records go, committed ones are compacted, markers go when nothing needs them`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    let cleaner = workspace.cleaner(store)
    var sequence: [Int64: Int32] = [:]
    func transaction(_ producerId: Int64, _ records: [(key: String, value: String?)], commits: Bool) throws {
      let first = sequence[producerId, default: 0]
      sequence[producerId] = first + Int32(records.count)
      try log.append(
        keyed(records, producerId: producerId, epoch: 0, sequence: first, isTransactional: true))
      let marker = EndTransactionMarker(isCommit: commits, coordinatorEpoch: 0)
      try log.append(
        marker.batch(producerId: producerId, producerEpoch: 0, timestamp: 1000), origin: .coordinator)
    }
    try transaction(1, [("a", "1"), ("b", "1")], commits: true)
    try transaction(1, [("a", "2"), ("c", "2")], commits: false)
    try transaction(2, [("b", nil), ("d", "2")], commits: false)
    try transaction(1, [("b", "3")], commits: true)
    try transaction(2, [("e", "3")], commits: true)
    try log.roll(nowMs: 0)
    store.commit()
    let visible = ["a": "1", "b": "3", "e": "3"]
    func committed() throws -> [String: String] {
      let records = try log.records(isolation: .readCommitted)
      return Dictionary(records.map { ($0.key, $0.value ?? "-") }, uniquingKeysWith: { $1 })
    }
    #expect(try committed() == visible)
    cleaner.cleanDirtiest(nowMs: 0)
    #expect(try committed() == visible)
    #expect(try log.records().map(\.key) == ["a", "b", "e"])
    #expect(try log.headers().count { $0.isControl } == 5)
    // The aborted ones have no records left by now: their markers get a horizon, and go behind it.
    for nowMs in [Int64(1), 20_000] {
      try log.append(keyed([("z", "\(nowMs)")]))
      try log.roll(nowMs: 0)
      store.commit()
      cleaner.cleanDirtiest(nowMs: nowMs)
    }
    #expect(try committed().filter { $0.key != "z" } == visible)
    #expect(try log.headers().count { $0.isControl && $0.recordCount > 0 } == 3)
    store.close(nowMs: workspace.now)
    try workspace.expectWholeLog()
    // The transaction index says what the log says, from its file and made anew.
    for removes in [false, true] {
      if removes { for name in workspace.files where name.hasSuffix(".txnindex") { workspace.remove(name) } }
      let again = try workspace.open()
      let log = try workspace.log(again, config)
      #expect(try log.records(isolation: .readCommitted).filter { $0.key != "z" }.map(\.key) == ["a", "b", "e"])
      #expect(log.offsets.lastStableOffset == log.offsets.logEndOffset)
      again.close(nowMs: workspace.now)
    }
  }

  @Test func `the last batch of a producer stays as a header, and its retry is still a duplicate`() throws {
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for index in 0..<5 {
      try log.append(keyed([("k", "\(index)")], producerId: 7, epoch: 2, sequence: Int32(index)))
    }
    try log.append(keyed([("k", "last")]))
    try log.roll(nowMs: 0)
    store.commit()
    workspace.cleaner(store).cleanDirtiest(nowMs: 0)
    #expect(try log.records() == [KeyedRecord(offset: 5, key: "k", value: "last")])
    #expect(try log.headers().map(\.recordCount) == [0, 1])
    workspace.crash(store)
    for name in workspace.files where name.hasSuffix(".snapshot") { workspace.remove(name) }
    store = try workspace.open()
    log = try workspace.log(store, config)
    let again = try log.append(keyed([("k", "4")], producerId: 7, epoch: 2, sequence: 4))
    #expect(again.isDuplicate && again.baseOffset == 4)
    #expect(throws: LogError.outOfOrderSequence(producerId: 7, expected: 5, found: 6)) {
      try log.append(keyed([("k", "6")], producerId: 7, epoch: 2, sequence: 6))
    }
    store.close(nowMs: workspace.now)
  }

  @Test func `compaction waits for the dirty ratio and the smallest lag, and does not wait longer than the largest`()
    throws
  {
    let store = try workspace.open()
    var config = config
    config.minCleanableDirtyRatio = 0.5
    config.minCompactionLagMs = 1000
    let log = try workspace.log(store, config)
    let cleaner = workspace.cleaner(store)
    for index in 0..<40 { try log.append(keyed([("k", "\(index)")], timestamp: 10_000)) }
    try log.roll(nowMs: 0)
    store.commit()
    #expect(cleaner.cleanDirtiest(nowMs: 10_999) == nil)
    #expect(cleaner.cleanDirtiest(nowMs: 11_000) != nil)
    #expect(try log.records().map(\.offset) == [39])
    // Distinct keys: what is clean grows, so that a little dirt is not worth it.
    for index in 0..<40 { try log.append(keyed([("\(index)", "x")], timestamp: 10_000)) }
    try log.roll(nowMs: 0)
    store.commit()
    #expect(cleaner.cleanDirtiest(nowMs: 20_000) != nil)
    try log.append(keyed([("k", "new")], timestamp: 20_000))
    try log.roll(nowMs: 0)
    store.commit()
    #expect(cleaner.cleanDirtiest(nowMs: 100_000) == nil)
    config.maxCompactionLagMs = 50_000
    log.config = config
    #expect(cleaner.cleanDirtiest(nowMs: 70_000) == nil)
    #expect(cleaner.cleanDirtiest(nowMs: 70_001) != nil)
    #expect(try log.records().filter { $0.key == "k" } == [KeyedRecord(offset: 80, key: "k", value: "new")])
    config.isCompacted = false
    log.config = config
    #expect(cleaner.cleanDirtiest(nowMs: .max) == nil)
    store.close(nowMs: workspace.now)
  }

  @Test func `what is not durable, or has an open transaction, or is in the active segment is left alone`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    let cleaner = workspace.cleaner(store)
    for index in 0..<10 { try log.append(keyed([("k", "\(index)")])) }
    #expect(cleaner.cleanDirtiest(nowMs: 0) == nil)
    store.commit()
    #expect(cleaner.cleanDirtiest(nowMs: 0) == nil)
    try log.append(keyed([("k", "open")], producerId: 1, epoch: 0, sequence: 0, isTransactional: true))
    try log.roll(nowMs: 0)
    for index in 0..<30 { try log.append(keyed([("k", "\(index)")])) }
    try log.roll(nowMs: 0)
    #expect(cleaner.cleanDirtiest(nowMs: 0) == nil)
    store.commit()
    #expect(cleaner.cleanDirtiest(nowMs: 0) == nil)
    #expect(try log.records().count == 41)
    let marker = EndTransactionMarker(isCommit: false, coordinatorEpoch: 0)
    try log.append(marker.batch(producerId: 1, producerEpoch: 0, timestamp: 0), origin: .coordinator)
    store.commit()
    #expect(cleaner.cleanDirtiest(nowMs: 0) != nil)
    #expect(try log.records().map(\.offset) == [40])
    store.close(nowMs: workspace.now)
  }

  @Test func `a damaged batch ends the compaction of its log, and everything is still served`() throws {
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for index in 0..<10 { try log.append(keyed([("k", "\(index)")])) }
    try log.roll(nowMs: 0)
    try log.append(keyed([("k", "10")]))
    store.commit()
    store.close(nowMs: workspace.now)
    workspace.edit("00000000000000000000.log") { $0[$0.count / 2 + 40] ^= 1 }
    let before = workspace.bytes("00000000000000000000.log")
    store = try workspace.open()
    log = try workspace.log(store, config)
    let reports = Collected<CleanerReport>()
    let cleaner = workspace.cleaner(store, reports: reports)
    cleaner.cleanDirtiest(nowMs: 0)
    guard case .uncleanable(log.id, .corrupt(_, let position))? = reports.all.first else {
      return #expect(Bool(false), "\(reports.all)")
    }
    #expect(position > 0 && position < before.count)
    #expect(cleaner.cleanDirtiest(nowMs: 0) == nil)
    #expect(workspace.bytes("00000000000000000000.log") == before)
    #expect(!workspace.files.contains { $0.hasSuffix(".cleaned") })
    #expect(try log.append(keyed([("k", "next")])).baseOffset == 11)
    store.close(nowMs: workspace.now)
  }

  @Test func `a full disk leaves the log as it was`() throws {
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    for index in 0..<100 { try log.append(keyed([("\(index / 2)", String(repeating: "x", count: 50))])) }
    try log.roll(nowMs: 0)
    store.commit()
    store.checkpoint()
    let before = try log.records()
    faulty.set { $0.room = 100 }
    let reports = Collected<CleanerReport>()
    workspace.cleaner(store, reports: reports).cleanDirtiest(nowMs: 0)
    guard case .failed(_, .storage(let error))? = reports.all.first, error.isOutOfSpace else {
      return #expect(Bool(false), "\(reports.all)")
    }
    faulty.heal()
    #expect(try log.records() == before)
    #expect(!workspace.files.contains { $0.hasSuffix(".cleaned") })
    #expect(try log.append(keyed([("next", "x")])).baseOffset == 100)
    store.commit()
    workspace.cleaner(store).cleanDirtiest(nowMs: 0)
    store.close(nowMs: workspace.now)
  }

  /// Everything is stopped before each call that changes something, from the beginning of a pass to behind its end.
  @Test func `a crash in any step leaves the old segments or the new`() throws {
    var failAt = 0
    var outcomes: Set<String> = []
    while true {
      let workspace = Workspace()
      workspace.hasThreads = false
      let stopping = StoppingFileSystem()
      workspace.fileSystem = stopping
      var store = try workspace.open()
      let log = try workspace.log(store, config)
      for index in 0..<80 { try log.append(keyed([("k\(index % 7)", "\(index)"), ("\(index / 4)", "x")])) }
      try log.append(keyed([("k0", nil)]))
      store.commit()
      store.checkpoint()
      let before = try log.records()
      stopping.stop(after: failAt)
      workspace.cleaner(store).cleanDirtiest(nowMs: 0)
      let isComplete = stopping.callCount < failAt
      // Who is connected notices nothing.
      let expected = last(before)
      #expect(last(try log.records()) == expected)
      stopping.stop(after: nil)
      workspace.crash(store)
      store = try workspace.open()
      let again = try workspace.log(store, config)
      let found = try again.records()
      #expect(last(found) == expected, "stopped before call \(failAt)")
      #expect(again.offsets.logEndOffset == 161)
      outcomes.insert(found == before ? "old" : "new")
      #expect(!workspace.files.contains { $0.hasSuffix(".cleaned") || $0.hasSuffix(".swap") })
      #expect(try again.append(keyed([("k", "next")])).baseOffset == 161)
      store.commit()
      #expect(workspace.reports.all.flatMap(\.findings) == [])
      let cleaner = workspace.cleaner(store)
      cleaner.cleanDirtiest(nowMs: 0)
      #expect(last(try again.records()).filter { $0.key != "k" } == expected)
      store.close(nowMs: workspace.now)
      try workspace.expectWholeLog()
      if isComplete { break }
      failAt += 1
    }
    #expect(outcomes == ["old", "new"])
    #expect(failAt > 20)
  }

  private func last(_ records: [KeyedRecord]) -> [String: KeyedRecord] {
    Dictionary(records.map { ($0.key, $0) }, uniquingKeysWith: { $1 })
  }

  @Test func `logs with nothing but an active segment are not opened`() throws {
    var store = try workspace.open()
    try workspace.log(store, config).append(keyed([("k", "1")]))
    store.close(nowMs: workspace.now)
    store = try workspace.open()
    let log = try workspace.log(store, config)
    #expect(workspace.cleaner(store).cleanDirtiest(nowMs: 0) == nil)
    #expect(!log.isOpen)
    store.close(nowMs: workspace.now)
  }

  @Test func `the cleaner's threads compact by themselves and end when told to`() throws {
    workspace.hasThreads = true
    let store = try workspace.open()
    let logs = try (0..<6).map { try workspace.log(store, config, Int32($0)) }
    for log in logs {
      for index in 0..<50 { try log.append(keyed([("k", "\(index)")])) }
      try log.roll(nowMs: 0)
      try log.settle()
    }
    let cleaned = WakeUp()
    let reports = Collected<CleanerReport>()
    let cleaner = LogCleaner(
      store: store, settings: { CleanerSettings(threads: 3, backoffMs: 5) }, nowMs: { 0 },
      onReport: {
        reports.add($0)
        cleaned.signal()
      })
    cleaner.start()
    while reports.all.count < 6 { cleaned.wait() }
    cleaner.stop()
    for log in logs { #expect(try log.records().map(\.offset) == [49]) }
    store.close(nowMs: workspace.now)
    #expect(workspace.errors.all == [])
  }

  @Test func `readers and writers go on, at every offset, while the log is compacted under them`() throws {
    workspace.hasThreads = true
    let store = try workspace.open()
    let log = try workspace.log(store, config)
    let isDone = Collected<Bool>()
    let failures = Collected<String>()
    let readers = (0..<3).map { number -> WakeUp in
      let ended = WakeUp()
      BackgroundThread.start(name: "reader") {
        var random = SeededGenerator(seed: UInt64(number))
        while isDone.all.isEmpty {
          let offset = Int64.random(in: 0...log.offsets.highWatermark, using: &random)
          do {
            let end = log.offsets.highWatermark
            let found = try log.records(from: offset, maxBytes: Int.random(in: 1...3000, using: &random))
            if let wrong = found.first(where: { $0.value != "\($0.offset)" }) { failures.add("\(wrong)") }
            if zip(found, found.dropFirst()).contains(where: { $0.offset >= $1.offset }) { failures.add("order") }
            if end > offset, found.last.map({ $0.offset < end - 1 }) ?? true { failures.add("\(end) was not reached") }
            _ = try log.offset(forTimestamp: offset)
          } catch {
            failures.add("\(error)")
          }
        }
        ended.signal()
      }
      return ended
    }
    let cleaner = workspace.cleaner(store)
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    for index in 0..<3000 {
      let key = "k\(Int.random(in: 0..<20, using: &random))"
      try log.append(keyed([(key, "\(index)")], timestamp: Int64(index)))
      if index % 25 == 0 {
        cleaner.cleanDirtiest(nowMs: 0)
        store.maintain(nowMs: Wallclock.nowMs)
      }
    }
    isDone.add(true)
    for reader in readers { reader.wait() }
    #expect(failures.all.prefix(3) == [], "seed \(seed)")
    #expect(workspace.errors.all == [])
    store.close(nowMs: workspace.now)
    try workspace.expectWholeLog()
  }
}
