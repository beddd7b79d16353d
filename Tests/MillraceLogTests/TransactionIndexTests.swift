import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct TransactionIndexTests {
  private let workspace = Workspace()
  private let first = "00000000000000000000"

  private func data(_ log: PartitionLog, _ id: Int64, _ sequence: Int32, _ value: String = "a") throws {
    try log.append(batch([value], producerId: id, epoch: 0, sequence: sequence, isTransactional: true))
  }

  private func end(_ log: PartitionLog, _ id: Int64, commits: Bool = false) throws {
    try log.append(
      EndTransactionMarker(isCommit: commits, coordinatorEpoch: 0)
        .batch(producerId: id, producerEpoch: 0, timestamp: 1_700_000_000_000), origin: .coordinator)
  }

  private func plan(
    _ log: PartitionLog, from offset: Int64 = 0, maxBytes: Int = 1 << 20, isolation: Isolation = .readCommitted
  ) throws -> ReadPlan {
    try log.read(from: offset, maxBytes: maxBytes, minOneBatch: true, isolation: isolation)
  }

  /// Offsets 0 and 1 of producer 7, which aborts at 4; offsets 2 and 3 of producer 8, which commits at 5; 6 and its abort
  /// at 7 of producer 7.
  private func fill(_ log: PartitionLog) throws {
    try data(log, 7, 0)
    try data(log, 7, 1)
    try data(log, 8, 0)
    try data(log, 8, 1)
    try end(log, 7)
    try end(log, 8, commits: true)
    try data(log, 7, 2)
    try end(log, 7)
    try log.settle()
  }

  @Test func `the file holds Kafka's entries and a seal`() throws {
    let store = try workspace.open()
    try fill(try workspace.log(store))
    store.close(nowMs: workspace.now)
    var fields = Fields(workspace.bytes("\(first).txnindex"))
    for (producerId, firstOffset, lastOffset, lastStableOffset) in [(7, 0, 4, 2), (7, 6, 7, 8)] {
      #expect(fields.next(Int16.self) == 0)
      #expect(fields.next(Int64.self) == Int64(producerId))
      #expect(fields.next(Int64.self) == Int64(firstOffset))
      #expect(fields.next(Int64.self) == Int64(lastOffset))
      #expect(fields.next(Int64.self) == Int64(lastStableOffset))
    }
    #expect(fields.next(Int16.self) == 0)
    #expect(fields.next(UInt32.self) == 0x4D49_4C4C)
    _ = fields.next(UInt32.self)
    #expect(fields.next(Int64.self) == Int64.max)
    #expect(fields.next(Int64.self) == 7)
    #expect(fields.next(Int64.self) == 8)
    #expect(fields.isAtEnd)
    let bytes = workspace.bytes("\(first).txnindex")
    #expect(
      Array(bytes[..<34])
        == [0, 0] + [0, 0, 0, 0, 0, 0, 0, 7] + [0, 0, 0, 0, 0, 0, 0, 0] + [0, 0, 0, 0, 0, 0, 0, 4]
        + [0, 0, 0, 0, 0, 0, 0, 2])
    let inspector = LogInspector(directory: "\(workspace.path)/orders-0")
    #expect(try inspector.transactionIndex(workspace.file("\(first).txnindex"))?.entries.map(\.lastOffset) == [4, 7])
    #expect(try inspector.verify().findings == [])
  }

  @Test func `a read_committed plan names the aborted transactions in its range and no others`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try fill(log)
    let one = AbortedTransaction(producerId: 7, firstOffset: 0)
    let two = AbortedTransaction(producerId: 7, firstOffset: 6)
    #expect(try plan(log).abortedTransactions == [one, two])
    #expect(try plan(log, maxBytes: 1).abortedTransactions == [one])
    #expect(try plan(log, from: 3, maxBytes: 1).abortedTransactions == [one])
    #expect(try plan(log, from: 5, maxBytes: 1).abortedTransactions == [])
    #expect(try plan(log, from: 5).abortedTransactions == [two])
    #expect(try plan(log, isolation: .readUncommitted).abortedTransactions == [])
    store.close(nowMs: workspace.now)
  }

  @Test func `an abort segments behind its records is found`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 300))
    try data(log, 7, 0)
    for sequence in 0..<20 { try data(log, 8, Int32(sequence)) }
    try end(log, 8, commits: true)
    try end(log, 7)
    try log.settle()
    #expect(try log.currentView().segments.count > 5)
    let expected = [AbortedTransaction(producerId: 7, firstOffset: 0)]
    #expect(try plan(log).abortedTransactions == expected)
    // Every record of producer 8 stands between the aborted record and its marker.
    #expect(try plan(log, from: 10, maxBytes: 1).abortedTransactions == expected)
    store.close(nowMs: workspace.now)
  }

  enum Stop: CaseIterable { case clean, crash, crashAfterCheckpoint }
  enum Fault: CaseIterable { case none, missing, zeroed, garbage, cut, withoutSeal, stale, kafkaLike }

  @Test(arguments: Stop.allCases, Fault.allCases)
  func `what a reader is told is the same after a restart, whatever became of the files`(
    stop: Stop, fault: Fault
  ) throws {
    let workspace = Workspace()
    let config = LogConfig(segmentBytes: 900)
    func answers(_ log: PartitionLog) throws -> [[AbortedTransaction]] {
      try (0..<log.offsets.logEndOffset).map { try plan(log, from: $0, maxBytes: 400).abortedTransactions }
    }
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for round in 0..<12 {
      try data(log, 7, Int32(2 * round))
      try data(log, 8, Int32(round))
      try data(log, 7, Int32(2 * round + 1))
      try end(log, 7, commits: round % 3 == 0)
      try end(log, 8, commits: round % 4 != 0)
      try log.settle()
      if round == 6, stop == .crashAfterCheckpoint { store.checkpoint() }
    }
    let expected = try answers(log)
    #expect(expected.contains { $0.count > 1 })
    if stop == .clean { store.close(nowMs: workspace.now) } else { workspace.crash(store) }
    for name in workspace.files where name.hasSuffix(".txnindex") {
      switch fault {
      case .none: break
      case .missing: workspace.remove(name)
      case .zeroed: workspace.edit(name) { $0 = [UInt8](repeating: 0, count: $0.count) }
      case .garbage: workspace.edit(name) { bytes in for index in bytes.indices { bytes[index] = UInt8(index & 255) } }
      case .cut: workspace.edit(name) { $0.removeLast(1) }
      case .withoutSeal: workspace.edit(name) { $0.removeLast(34) }
      case .stale:
        workspace.write(TransactionIndexContent(entries: [], through: 1, lastStableOffset: 1).encode(), name)
      case .kafkaLike: workspace.edit(name) { $0.removeFirst(34) }
      }
    }
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(try answers(log) == expected)
    // It is told the same by files that were made anew.
    store.close(nowMs: workspace.now)
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(try answers(log) == expected)
    store.close(nowMs: workspace.now)
    #expect(try LogInspector(directory: "\(workspace.path)/orders-0").verify().findings == [])
  }

  @Test func `a truncation takes the aborts behind it`() throws {
    var store = try workspace.open()
    var log = try workspace.log(store)
    try fill(log)
    store.checkpoint()
    try log.truncate(to: 6, nowMs: workspace.now)
    #expect(try plan(log).abortedTransactions == [AbortedTransaction(producerId: 7, firstOffset: 0)])
    try data(log, 9, 0)
    try data(log, 9, 1)
    try end(log, 9, commits: true)
    try log.settle()
    workspace.crash(store)
    store = try workspace.open()
    log = try workspace.log(store)
    #expect(try plan(log).abortedTransactions == [AbortedTransaction(producerId: 7, firstOffset: 0)])
    store.close(nowMs: workspace.now)
  }

  @Test func `segments that are deleted take their index with them`() throws {
    workspace.hasThreads = false
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 300, fileDeleteDelayMs: 0))
    for round in 0..<6 {
      try data(log, 7, Int32(round))
      try end(log, 7)
    }
    store.commit()
    _ = try log.deleteRecords(before: 10, nowMs: workspace.now)
    store.maintain(nowMs: workspace.now)
    #expect(
      Set(workspace.files.filter { $0.hasSuffix(".txnindex") }.map { $0.prefix(20) }).isSubset(
        of: Set(workspace.files.filter { $0.hasSuffix(".log") }.map { $0.prefix(20) })))
    #expect(try plan(log, from: 10).abortedTransactions == [AbortedTransaction(producerId: 7, firstOffset: 10)])
    store.close(nowMs: workspace.now)
  }

  @Test func `without room for an index readers are told the same`() throws {
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    faulty.fail(.write, ".txnindex", 28)
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(segmentBytes: 500))
    try fill(log)
    store.checkpoint()
    #expect(
      try plan(log).abortedTransactions + plan(log, from: 6).abortedTransactions
        == [AbortedTransaction(producerId: 7, firstOffset: 0), AbortedTransaction(producerId: 7, firstOffset: 6)])
    store.close(nowMs: workspace.now)
  }

  @Test func `no damaged index is believed`() {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = SeededGenerator(seed: seed)
    let entries = (0..<5).map {
      AbortedTransactionEntry(
        producerId: $0, firstOffset: $0 * 10, lastOffset: $0 * 10 + 5, lastStableOffset: $0 * 10 + 6)
    }
    let content = TransactionIndexContent(entries: entries, through: 60, lastStableOffset: 60)
    let bytes = content.encode()
    #expect(TransactionIndexContent(fileContent: bytes) == content)
    for _ in 0..<500 {
      var damaged = bytes
      damaged[Int.random(in: 0..<damaged.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
      #expect(TransactionIndexContent(fileContent: damaged) == nil, "seed \(seed)")
      #expect(
        TransactionIndexContent(fileContent: Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random))))
          == nil)
    }
  }

  @Test func `a read_committed plan that ends where unstable records begin says where to go on`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(indexIntervalBytes: 1))
    try log.append(batch(["settled", "both"]))
    try data(log, 7, 0)
    try log.settle()
    // The unstable batch has an index entry, which this reader must not follow.
    let plan = try plan(log, maxBytes: 1)
    #expect(plan.byteCount == batch(["settled", "both"]).count)
    #expect(plan.nextOffset == 2)
    store.close(nowMs: workspace.now)
  }

  @Test func `a transaction whose first records were removed is still aborted after a crash`() throws {
    workspace.hasThreads = false
    let config = LogConfig(segmentBytes: 300, retentionMs: -1, fileDeleteDelayMs: 0)
    var store = try workspace.open()
    var log = try workspace.log(store, config)
    for sequence in 0..<8 { try data(log, 7, Int32(sequence)) }
    store.commit()
    store.checkpoint()
    try end(log, 7)
    store.commit()
    let second = try log.currentView().segments[1].baseOffset
    _ = try log.deleteRecords(before: second, nowMs: workspace.now)
    _ = store.enforceRetention(nowMs: workspace.now)
    workspace.crash(store)
    store = try workspace.open()
    log = try workspace.log(store, config)
    #expect(log.offsets.logStartOffset == second)
    #expect(try plan(log, from: second).abortedTransactions == [AbortedTransaction(producerId: 7, firstOffset: 0)])
    store.close(nowMs: workspace.now)
  }
}
