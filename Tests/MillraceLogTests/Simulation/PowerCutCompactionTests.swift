import MillraceRecords
import Testing

@testable import MillraceLog

/// The power is cut at each call of a compaction, of a second one over its result, and of the removal of what they
/// replaced: each key still ends with its last committed value, or with nothing where that was a tombstone.
@Suite struct PowerCutCompactionTests {
  private let config = LogConfig(
    segmentBytes: 1500, segmentMs: .max, retentionMs: -1, fileDeleteDelayMs: 0, isCompacted: true,
    deleteRetentionMs: 0, minCleanableDirtyRatio: 0)
  private let id = PartitionID(topic: "orders", partition: 0)
  private let topicId = TopicID(high: 1, low: 2)

  /// What has to be there after a cut.
  private struct Promise {
    var last: [String: KeyedRecord]
    var endOffset: Int64
    /// The last batch of each producer.
    var batches: [[UInt8]]
  }

  private func open(_ disk: SimulatedFileSystem, _ errors: Collected<LogError>) throws -> LogStore {
    try LogStore.open(
      StoreOptions(
        directories: ["/data"], fileSystem: disk, clusterId: "simulated", checkpointIntervalMs: 1 << 40,
        checkpointBytes: 1 << 40, hasThreads: false, onError: { errors.add($0) }), nowMs: 0)
  }

  private func clean(_ store: LogStore, nowMs: Int64) {
    let cleaner = LogCleaner(
      store: store, settings: { CleanerSettings(dedupeBufferBytes: 1 << 16, ioBufferBytes: 8192) }, nowMs: { nowMs },
      onReport: { _ in })
    while case .cleaned? = cleaner.cleanDirtiest(nowMs: nowMs) {}
  }

  /// Appends random records, with transactions that all end, and makes them durable.
  private func write(
    _ log: PartitionLog, _ store: LogStore, _ promise: inout Promise, _ sequences: inout [Int64: Int32],
    _ random: inout SeededGenerator
  ) throws {
    for _ in 0..<40 {
      let producerId = Int64.random(in: 1...3, using: &random)
      let isTransactional = producerId == 3
      let records = (0..<Int.random(in: 1...5, using: &random)).map { _ -> (key: String, value: String?) in
        let key = "k\(Int.random(in: 0..<12, using: &random))"
        return (
          key, Int.random(in: 0..<6, using: &random) == 0 ? nil : "\(UInt16.random(in: 0...9999, using: &random))"
        )
      }
      let sequence = sequences[producerId, default: 0]
      sequences[producerId] = sequence + Int32(records.count)
      let bytes = keyed(
        records, producerId: producerId, epoch: 0, sequence: sequence, isTransactional: isTransactional,
        compression: Bool.random(using: &random) ? .lz4 : .none)
      let result = try log.append(bytes, now: 0)
      promise.batches.removeAll { (try? $0.withBytes { try BatchHeader(parsing: $0).producerId }) == producerId }
      promise.batches.append(bytes)
      var commits = true
      if isTransactional {
        commits = Bool.random(using: &random)
        let marker = EndTransactionMarker(isCommit: commits, coordinatorEpoch: 0)
        try log.append(marker.batch(producerId: 3, producerEpoch: 0, timestamp: 0), now: 0, origin: .coordinator)
      }
      guard commits else { continue }
      for (index, record) in records.enumerated() {
        promise.last[record.key] = KeyedRecord(
          offset: result.baseOffset + Int64(index), key: record.key, value: record.value)
      }
    }
    try log.roll(nowMs: 0)
    store.commit()
    promise.endOffset = log.offsets.logEndOffset
  }

  /// What is wrong with the log on this disk, if anything is.
  private func check(_ disk: SimulatedDisk, _ promise: Promise) throws -> String? {
    let errors = Collected<LogError>()
    let store = try open(SimulatedFileSystem(disk), errors)
    defer { store.abandon() }
    let log = try store.partition(id, topicId: topicId, config: config)
    for round in 0..<2 {
      let found = try log.records(maxBytes: 700, isolation: .readCommitted)
      var last: [String: KeyedRecord] = [:]
      for record in found { last[record.key] = record }
      for (key, record) in promise.last {
        if last[key] == record || record.value == nil && last[key] == nil { continue }
        return "\(key) ends with \(String(describing: last[key])), not \(record)"
      }
      if last.count > promise.last.count { return "there are keys that nobody wrote" }
      if log.offsets.logEndOffset != promise.endOffset { return "the log ends at \(log.offsets)" }
      if log.offsets.lastStableOffset != promise.endOffset { return "a transaction seems open: \(log.offsets)" }
      if round == 0 { clean(store, nowMs: 1_000) }
    }
    for batch in promise.batches {
      let result = try log.append(batch, now: 0)
      if !result.isDuplicate { return "a producer's last batch is not known" }
    }
    try log.append(keyed([("next", "x")]), now: 0)
    store.commit()
    return errors.all.first.map { "an error in the background: \($0)" }
  }

  @Test func `whatever call of a compaction is the last before the power is cut, no key loses its value`() throws {
    var recoveries = 0
    for round in 0..<(PowerCutTests.isFull ? 20 : 1) {
      let seed = PowerCutTests.seed &+ UInt64(round)
      var random = SeededGenerator(seed: seed)
      let disk = SimulatedFileSystem()
      let errors = Collected<LogError>()
      let store = try open(disk, errors)
      let log = try store.createPartition(id, topicId: topicId, config: config)
      var promise = Promise(last: [:], endOffset: 0, batches: [])
      var sequences: [Int64: Int32] = [:]
      let moments = Collected<SimulatedDisk>()
      for pass in 0..<3 {
        try write(log, store, &promise, &sequences, &random)
        let first = moments.all.count
        disk.observe { moments.add($0) }
        clean(store, nowMs: Int64(pass) * 10)
        store.maintain(nowMs: 1 << 40)
        disk.observe(nil)
        let all = moments.all
        let stride = PowerCutTests.isFull ? 1 : max(1, (all.count - first) / 25)
        for number in Swift.stride(from: first, to: all.count, by: stride) {
          for survival in SimulatedDisk.Survival.allCases {
            var cut = SeededGenerator(seed: seed &+ UInt64(number))
            recoveries += 1
            let problem = try check(all[number].afterPowerCut(survival, using: &cut), promise)
            #expect(problem == nil, "pass \(pass), call \(number), \(survival), seed \(seed)")
            if problem != nil { return }
          }
        }
      }
      #expect(errors.all == [])
      store.abandon()
    }
    print("compaction: \(recoveries) recoveries, seed \(PowerCutTests.seed)")
    #expect(recoveries > 300)
  }
}
