import MillraceRecords
import Testing

@testable import MillraceLog

/// Records that no coordinator knows of stay out of the log (KIP-890).
@Suite struct TransactionGuardTests {
  private let workspace = Workspace()

  private func send(
    _ log: PartitionLog, _ sequence: Int32, _ transaction: TransactionGuard, epoch: Int16 = 0
  ) throws {
    let bytes = batch(["v\(sequence)"], producerId: 9, epoch: epoch, sequence: sequence, isTransactional: true)
    try bytes.withUnsafeBytes { buffer in
      _ = try log.append(
        buffer, header: try BatchHeader(parsing: buffer), leaderEpoch: 0, nowMs: workspace.now,
        transaction: transaction)
    }
  }

  private func end(_ log: PartitionLog, epoch: Int16 = 0, _ transaction: TransactionGuard = .unchecked) throws {
    let bytes = EndTransactionMarker(isCommit: true, coordinatorEpoch: 0).batch(
      producerId: 9, producerEpoch: epoch, timestamp: workspace.now)
    try bytes.withUnsafeBytes { buffer in
      _ = try log.append(
        buffer, header: try BatchHeader(parsing: buffer), leaderEpoch: 0, nowMs: workspace.now,
        origin: .coordinator, transaction: transaction)
    }
  }

  @Test func `the first batch of a transaction needs a token, the others need the transaction`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    #expect(throws: LogError.invalidTransactionState(producerId: 9)) { try send(log, 0, .open) }
    let token = try #require(try log.beginVerification(producerId: 9, epoch: 0))
    #expect(try log.beginVerification(producerId: 9, epoch: 0) == token, "asked twice")
    #expect(throws: LogError.invalidTransactionState(producerId: 9)) {
      try send(log, 0, .verified(token: token + 1, fromTheStart: false))
    }
    try send(log, 0, .verified(token: token, fromTheStart: false))
    #expect(try log.beginVerification(producerId: 9, epoch: 0) == nil, "the transaction is open")
    try send(log, 1, .open)
    try end(log)
    #expect(throws: LogError.invalidTransactionState(producerId: 9)) { try send(log, 2, .open) }
    #expect(log.offsets.logEndOffset == 3)
    store.close(nowMs: workspace.now)
  }

  @Test func `an outcome voids the token, so that a late batch opens nothing`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    let token = try #require(try log.beginVerification(producerId: 9, epoch: 0))
    try end(log)
    #expect(throws: LogError.invalidTransactionState(producerId: 9)) {
      try send(log, 0, .verified(token: token, fromTheStart: false))
    }
    let next = try #require(try log.beginVerification(producerId: 9, epoch: 0))
    #expect(next != token)
    log.endVerification(producerId: 9, token: next)
    #expect(throws: LogError.invalidTransactionState(producerId: 9)) {
      try send(log, 0, .verified(token: next, fromTheStart: false))
    }
    store.close(nowMs: workspace.now)
  }

  @Test func `the last stable offset is never before the start of the log`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    for sequence in 0..<3 { try send(log, Int32(sequence), .unchecked) }
    try log.settle()
    #expect(log.offsets.lastStableOffset == 0)
    _ = try log.deleteRecords(before: 2, nowMs: workspace.now)
    #expect(log.offsets.lastStableOffset == 2)
    #expect(try log.values(isolation: .readCommitted).isEmpty)
    try end(log)
    try log.settle()
    #expect(log.offsets.lastStableOffset == 4)
    store.close(nowMs: workspace.now)
  }

  @Test func `a fenced producer is told so before its transaction is looked at`() throws {
    let store = try workspace.open()
    let log = try workspace.log(store)
    try end(log, epoch: 4)
    let fenced = LogError.invalidProducerEpoch(producerId: 9, current: 4, found: 3)
    #expect(throws: fenced) { try log.beginVerification(producerId: 9, epoch: 3) }
    #expect(throws: fenced) { try send(log, 0, .open, epoch: 3) }
    store.close(nowMs: workspace.now)
  }

  @Test func `in transaction version 2 an unknown producer begins with sequence 0, and an outcome raises the epoch`()
    throws
  {
    let store = try workspace.open()
    let log = try workspace.log(store)
    let token = try #require(try log.beginVerification(producerId: 9, epoch: 0))
    #expect(throws: LogError.outOfOrderSequence(producerId: 9, expected: 0, found: 5)) {
      try send(log, 5, .verified(token: token, fromTheStart: true))
    }
    try send(log, 0, .verified(token: token, fromTheStart: true))
    #expect(throws: LogError.invalidProducerEpoch(producerId: 9, current: 0, found: 0)) {
      try end(log, epoch: 0, .raisedEpoch)
    }
    try end(log, epoch: 1, .raisedEpoch)
    #expect(throws: LogError.invalidProducerEpoch(producerId: 9, current: 1, found: 1)) {
      try end(log, epoch: 1, .raisedEpoch)
    }
    #expect(throws: LogError.invalidProducerEpoch(producerId: 9, current: 1, found: 0)) { try send(log, 1, .open) }
    store.close(nowMs: workspace.now)
  }
}
