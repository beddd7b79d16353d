import Foundation
import MillraceRecords
import Testing

@testable import MillraceLog

/// Random updates, tombstones and transactions against a model: what a reader of committed records ends with, key by key,
/// before, while and after the log is compacted, and after a crash.
@Suite struct CompactionModelTests {
  /// A million with MILLRACE_FULL set.
  static let updates = ProcessInfo.processInfo.environment["MILLRACE_FULL"] == nil ? 100_000 : 1_000_000

  private struct Model {
    var last: [String: KeyedRecord] = [:]
    mutating func put(_ record: KeyedRecord) { last[record.key] = record }
  }

  @Test(arguments: [1 << 20, 100_000]) func `a compacted log ends with the last value of each key`(mapBytes: Int) throws
  {
    let seed = UInt64.random(in: 0...UInt64.max)
    print("seed: \(seed)")
    var random = SeededGenerator(seed: seed)
    let workspace = Workspace()
    workspace.hasThreads = false
    let config = LogConfig(
      segmentBytes: 128 << 10, segmentMs: .max, retentionMs: -1, fileDeleteDelayMs: 0, isCompacted: true,
      deleteRetentionMs: 5_000, minCleanableDirtyRatio: 0.3)
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    var model = Model()
    var sequences: [Int64: Int32] = [:]
    var open: [Int64: [KeyedRecord]] = [:]
    var nowMs: Int64 = 1_000
    var done = 0
    var batches = 0
    func end(_ producerId: Int64) throws {
      guard let records = open.removeValue(forKey: producerId) else { return }
      let commits = Int.random(in: 0..<3, using: &random) > 0
      let marker = EndTransactionMarker(isCommit: commits, coordinatorEpoch: 0)
      try log.append(
        marker.batch(producerId: producerId, producerEpoch: 0, timestamp: nowMs), now: nowMs, origin: .coordinator)
      // A reader of committed records sees a transaction's where they are, not where it ends.
      if commits {
        for record in records where record.offset > model.last[record.key]?.offset ?? -1 { model.put(record) }
      }
    }
    func check(_ what: String) throws {
      let found = try log.records(maxBytes: 1 << 20, isolation: .readCommitted)
      var last: [String: KeyedRecord] = [:]
      for record in found { last[record.key] = record }
      let stable = log.offsets.lastStableOffset
      let expected = model.last.filter { $0.value.offset < stable }
      // A tombstone may be gone; then nothing of its key is left.
      for (key, record) in last where record != expected[key] && model.last[key]?.offset ?? 0 < stable {
        #expect(record == expected[key], "\(what): \(key), seed \(seed)")
      }
      for (key, record) in expected where record.value != nil && model.last[key]?.offset == record.offset {
        #expect(last[key] == record, "\(what): \(key), seed \(seed)")
      }
    }
    while done < Self.updates {
      let producerId = Int64.random(in: 0..<6, using: &random)
      let isTransactional = producerId < 3
      let count = Int.random(in: 1...60, using: &random)
      let records = (0..<count).map { _ -> (key: String, value: String?) in
        let skewed = Int.random(in: 0..<Int.random(in: 1...3000, using: &random), using: &random)
        let isTombstone = Int.random(in: 0..<20, using: &random) == 0
        return ("key-\(skewed)", isTombstone ? nil : "value-\(UInt32.random(in: 0...UInt32.max, using: &random))")
      }
      let first = sequences[producerId, default: 0]
      sequences[producerId] = first + Int32(count)
      let compression = CompressionType.allCases.randomElement(using: &random)!
      let result = try log.append(
        keyed(
          records, timestamp: nowMs, producerId: producerId, epoch: 0, sequence: first,
          isTransactional: isTransactional, compression: compression), now: nowMs)
      let written = records.enumerated().map {
        KeyedRecord(offset: result.baseOffset + Int64($0.offset), key: $0.element.key, value: $0.element.value)
      }
      if isTransactional {
        open[producerId, default: []] += written
        if Int.random(in: 0..<4, using: &random) == 0 { try end(producerId) }
      } else {
        for record in written { model.put(record) }
      }
      done += count
      batches += 1
      nowMs += 10
      if batches % 100 == 0 {
        // Transactions do not stay open for ever.
        for producerId in Array(open.keys) { try end(producerId) }
        store.commit()
        while case .cleaned? = workspace.cleaner(store, mapBytes: mapBytes).cleanDirtiest(nowMs: nowMs) {}
        store.maintain(nowMs: .max)
      }
      if batches % 1500 == 0 {
        try check("while it grows")
        workspace.crash(store)
        store = try workspace.open()
        log = try workspace.log(store, config)
        try check("after a crash")
      }
    }
    for producerId in Array(open.keys) { try end(producerId) }
    try check("at the end")
    try settle(store, log, workspace, config, mapBytes: mapBytes, nowMs: nowMs)
    // Below the active segment: exactly the last value of each key, and no tombstone.
    let found = try log.records(isolation: .readCommitted).filter { !$0.key.hasPrefix("settle") }
    let expected = model.last.values.filter { $0.value != nil }.sorted { $0.offset < $1.offset }
    #expect(found.count == expected.count, "seed \(seed)")
    #expect(found == expected, "seed \(seed)")
    store.close(nowMs: nowMs)
    #expect(workspace.errors.all == [])
    try workspace.expectWholeLog()
  }

  /// Compacts until all tombstones' time is over.
  private func settle(
    _ store: LogStore, _ log: PartitionLog, _ workspace: Workspace, _ config: LogConfig, mapBytes: Int, nowMs: Int64
  ) throws {
    var config = config
    config.minCleanableDirtyRatio = 0
    log.config = config
    for step in 1...4 {
      try log.append(keyed([("settle", "\(step)")], timestamp: nowMs))
      try log.roll(nowMs: nowMs)
      store.commit()
      while case .cleaned? = workspace.cleaner(store, mapBytes: mapBytes).cleanDirtiest(
        nowMs: nowMs + Int64(step) * 10_000)
      {}
    }
  }

  @Test func `the map holds what is put, and is full when its share is taken`() {
    let map = OffsetMap(slotCount: 1000, loadFactor: 0.9)
    #expect(map.capacity == 900)
    func withKey<Result>(_ number: Int, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
      Array("key-\(number)".utf8).withUnsafeBytes(body)
    }
    for round in 0..<3 {
      for number in 0..<900 { withKey(number) { map.put($0, Int64(round * 900 + number)) } }
    }
    #expect(map.count == 900 && map.isFull)
    for number in 0..<900 { #expect(withKey(number) { map.offset(of: $0) } == Int64(1800 + number)) }
    for number in 900..<1800 { #expect(withKey(number) { map.offset(of: $0) } == nil) }
    #expect(UnsafeRawBufferPointer(start: nil, count: 0).isEmpty && map.offset(of: .init(start: nil, count: 0)) == nil)
  }
}
