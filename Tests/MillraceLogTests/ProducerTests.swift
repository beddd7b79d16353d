import MillraceRecords
import Testing

@testable import MillraceLog

@Suite struct ProducerTests {
  private let workspace = Workspace()

  private func send(
    _ log: PartitionLog, _ sequence: Int32, count: Int = 1, id: Int64 = 9, epoch: Int16 = 0,
    isTransactional: Bool = false, origin: AppendOrigin = .client
  ) throws -> AppendResult {
    try log.append(
      batch(
        (0..<count).map { "\(sequence)+\($0)" }, producerId: id, epoch: epoch, sequence: sequence,
        isTransactional: isTransactional), origin: origin)
  }

  @Test func `a duplicate of one of the last five batches is answered with its first offsets`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    for index in 0..<7 { _ = try send(log, Int32(2 * index), count: 2) }
    for index in 2..<7 {
      let result = try send(log, Int32(2 * index), count: 2)
      #expect(result.isDuplicate)
      #expect(result.baseOffset == Int64(2 * index))
      #expect(result.lastOffset == Int64(2 * index + 1))
    }
    #expect(throws: LogError.outOfOrderSequence(producerId: 9, expected: 14, found: 2)) {
      try send(log, 2, count: 2)
    }
    // The same first sequence with another count is no duplicate.
    #expect(throws: LogError.outOfOrderSequence(producerId: 9, expected: 14, found: 12)) { try send(log, 12) }
    #expect(log.offsets.logEndOffset == 14)
    store.close(nowMs: workspace.now)
  }

  @Test func `a gap in the sequence is refused`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    _ = try send(log, 0)
    #expect(throws: LogError.outOfOrderSequence(producerId: 9, expected: 1, found: 2)) { try send(log, 2) }
    #expect(try send(log, 1).baseOffset == 1)
    store.close(nowMs: workspace.now)
  }

  @Test func `an unknown producer may begin anywhere, a new epoch only at zero, an old one not at all`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    #expect(try send(log, 41, epoch: 3).baseOffset == 0)
    #expect(throws: LogError.outOfOrderSequence(producerId: 9, expected: 0, found: 42)) {
      try send(log, 42, epoch: 4)
    }
    #expect(try send(log, 0, epoch: 4).baseOffset == 1)
    #expect(throws: LogError.invalidProducerEpoch(producerId: 9, current: 4, found: 3)) {
      try send(log, 42, epoch: 3)
    }
    store.close(nowMs: workspace.now)
  }

  @Test func `zero comes after the largest sequence, also within a batch`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    _ = try send(log, Int32.max - 3, count: 3)
    #expect(try send(log, Int32.max, count: 3).baseOffset == 3)
    let again = try send(log, Int32.max, count: 3)
    #expect(again.isDuplicate && again.baseOffset == 3 && again.lastOffset == 5)
    #expect(try send(log, 2).baseOffset == 6)
    store.close(nowMs: workspace.now)
  }

  @Test func `coordinators' batches are fenced by epoch but not counted`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    _ = try send(log, -1, epoch: 2, origin: .coordinator)
    _ = try send(log, -1, epoch: 2, origin: .coordinator)
    #expect(throws: LogError.invalidProducerEpoch(producerId: 9, current: 2, found: 1)) {
      try send(log, -1, epoch: 1, origin: .coordinator)
    }
    #expect(log.offsets.logEndOffset == 2)
    store.close(nowMs: workspace.now)
  }

  enum Stop: CaseIterable { case clean, crash, crashAfterCheckpoint, snapshotMissing, snapshotGarbage }

  @Test(arguments: Stop.allCases)
  func `duplicates, gaps and epochs are known after a restart`(stop: Stop) throws {
    let workspace = Workspace()
    var store = try workspace.open()
    var log = try workspace.log(store, LogConfig(segmentBytes: 1000))
    for sequence in 0..<30 { _ = try send(log, Int32(sequence), epoch: 1) }
    _ = try send(log, 0, id: 10, epoch: 5)
    try log.settle()
    if stop == .crashAfterCheckpoint { store.checkpoint() }
    if stop == .crash || stop == .crashAfterCheckpoint {
      workspace.crash(store)
    } else {
      store.close(nowMs: workspace.now)
    }
    for name in workspace.files where name.hasSuffix(".snapshot") {
      if stop == .snapshotMissing { workspace.remove(name) }
      if stop == .snapshotGarbage { workspace.write([0, 1, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], name) }
    }
    store = try workspace.open()
    #expect(store.wasCleanlyStopped == (stop != .crash && stop != .crashAfterCheckpoint))
    log = try workspace.log(store, LogConfig(segmentBytes: 1000))
    for sequence in 25..<30 {
      let result = try send(log, Int32(sequence), epoch: 1)
      #expect(result.isDuplicate)
      #expect(result.baseOffset == Int64(sequence))
    }
    #expect(throws: LogError.outOfOrderSequence(producerId: 9, expected: 30, found: 31)) {
      try send(log, 31, epoch: 1)
    }
    #expect(throws: LogError.invalidProducerEpoch(producerId: 10, current: 5, found: 4)) {
      try send(log, 1, id: 10, epoch: 4)
    }
    #expect(try send(log, 30, epoch: 1).baseOffset == 31)
    store.close(nowMs: workspace.now)
  }

  @Test func `a producer that stopped is forgotten after its time, by this process's clock`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store, LogConfig(producerIdExpirationMs: 1000))
    // The client's clock is years behind.
    try log.append(batch(["a"], timestamp: 1, producerId: 9, epoch: 0, sequence: 0), now: workspace.now)
    log.forgetIdleProducers(nowMs: workspace.now + 999)
    #expect(try log.activeProducers().count == 1)
    log.forgetIdleProducers(nowMs: workspace.now + 1000)
    #expect(try log.activeProducers().isEmpty)
    #expect(try send(log, 77).baseOffset == 1)
    store.close(nowMs: workspace.now)
  }

  @Test func `the last stable offset waits for the outcome of a transaction to be durable`() throws {
    let faulty = FaultyFileSystem()
    workspace.fileSystem = faulty
    let store = try workspace.open()
    let log = try workspace.log(store)
    _ = try send(log, 0, id: 1)
    _ = try send(log, 0, id: 2, isTransactional: true)
    _ = try send(log, 1, id: 1)
    try log.settle()
    #expect(log.offsets == LogOffsets(logStartOffset: 0, highWatermark: 3, lastStableOffset: 1, logEndOffset: 3))
    #expect(try log.values(isolation: .readCommitted).map(\.offset) == [0])
    #expect(try log.hasOpenTransaction(producerId: 2, epoch: 0))
    #expect(throws: LogError.invalidTransactionState(producerId: 2)) { try send(log, 1, id: 2) }

    faulty.holdFlushes()
    let marker = EndTransactionMarker(isCommit: true, coordinatorEpoch: 4)
      .batch(producerId: 2, producerEpoch: 0, timestamp: workspace.now)
    #expect(try log.append(marker, origin: .coordinator).baseOffset == 3)
    #expect(log.offsets.lastStableOffset == 1)
    faulty.releaseFlushes()
    try log.settle()
    #expect(log.offsets.lastStableOffset == 4)
    #expect(try log.values(isolation: .readCommitted).map(\.offset) == [0, 1, 2])

    let zombie = EndTransactionMarker(isCommit: false, coordinatorEpoch: 3)
      .batch(producerId: 2, producerEpoch: 0, timestamp: workspace.now)
    #expect(throws: LogError.transactionCoordinatorFenced(producerId: 2, current: 4, found: 3)) {
      try log.append(zombie, origin: .coordinator)
    }
    store.close(nowMs: workspace.now)
  }

  @Test(arguments: [true, false])
  func `an open transaction is open after a restart`(isClean: Bool) throws {
    let workspace = Workspace()
    var store = try workspace.open()
    var log = try workspace.log(store)
    _ = try send(log, 0, id: 1)
    _ = try send(log, 0, id: 2, isTransactional: true)
    _ = try send(log, 0, id: 3, isTransactional: true)
    try log.append(
      EndTransactionMarker(isCommit: true, coordinatorEpoch: 0).batch(producerId: 2, producerEpoch: 0, timestamp: 5),
      origin: .coordinator)
    try log.settle()
    #expect(log.offsets.lastStableOffset == 2)
    if isClean { store.close(nowMs: workspace.now) } else { workspace.crash(store) }
    store = try workspace.open()
    log = try workspace.log(store)
    #expect(log.offsets == LogOffsets(logStartOffset: 0, highWatermark: 4, lastStableOffset: 2, logEndOffset: 4))
    store.close(nowMs: workspace.now)
  }

  @Test func `a snapshot decodes to what was encoded, and no damaged one decodes`() throws {
    var generator = SystemRandomNumberGenerator()
    let seed = UInt64.random(in: 0...UInt64.max, using: &generator)
    var random = SeededGenerator(seed: seed)
    var producers: [Int64: ProducerState] = [:]
    for id in 0..<20 {
      var state = ProducerState(epoch: Int16.random(in: 0...9, using: &random))
      for index in 0..<Int.random(in: 0...8, using: &random) {
        state.add(
          AppendedBatch(lastSequence: Int32(index), lastOffset: Int64(index * 10), offsetDelta: 0, timestamp: 5))
      }
      state.coordinatorEpoch = Int32.random(in: -1...5, using: &random)
      state.transactionStart = Bool.random(using: &random) ? 17 : nil
      producers[Int64(id)] = state
    }
    let bytes = ProducerSnapshot.encode(producers)
    #expect(ProducerSnapshot.decode(bytes) == producers, "seed \(seed)")
    for _ in 0..<300 {
      var damaged = bytes
      damaged[Int.random(in: 0..<damaged.count, using: &random)] ^= UInt8.random(in: 1...255, using: &random)
      #expect(ProducerSnapshot.decode(damaged) == nil, "seed \(seed)")
      #expect(ProducerSnapshot.decode(Array(bytes.prefix(Int.random(in: 0..<bytes.count, using: &random)))) == nil)
    }
  }
}
