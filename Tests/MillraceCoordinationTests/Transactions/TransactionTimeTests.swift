import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct TransactionTimeTests {
  @Test func `a transaction past its time-out is aborted and its producer fenced`() throws {
    for level: Int16 in [0, 2] {
      var stage = TransactionStage(level: level)
      let producer = try stage.producer("a", timeoutMs: 5_000)
      #expect(stage.add("t", to: producer, clientVersion: level) == .none)
      stage.pass(ms: 5_000)
      stage.abortTimedOut()
      #expect(stage.state("a") == "Ongoing")
      stage.pass(ms: 1)
      stage.abortTimedOut()
      #expect(stage.state("a") == "PrepareAbort")
      #expect(stage.endings.map(\.producerEpoch) == [1])
      #expect(stage.notices.last == .timedOut(transactionalId: "a", producerId: producer.id, timeoutMs: 5_000))
      stage.writeMarkers()
      #expect(stage.add("t", to: producer) == .producerFenced)
      let version: Int16 = level == 2 ? 5 : 4
      let late = try stage.endError(producer, commit: true, version: version)
      #expect(late == (level == 2 ? .invalidTxnState : .producerFenced), "the commit comes too late")
    }
  }

  @Test func `the time-out counts from the first partition, and not by a clock that jumps`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a", timeoutMs: 5_000)
    stage.pass(ms: 60_000)
    stage.abortTimedOut()
    #expect(stage.add("t", to: producer) == .none)
    stage.pass(ms: 3_000, wallMs: 365 * 24 * 3_600_000)
    #expect(stage.add("u", to: producer) == .none, "more partitions give no more time")
    stage.abortTimedOut()
    #expect(stage.state("a") == "Ongoing")
    stage.pass(ms: 2_001, wallMs: -10 * 365 * 24 * 3_600_000)
    stage.abortTimedOut()
    #expect(stage.state("a") == "PrepareAbort")
  }

  @Test func `after a restart an open transaction has the time it had left`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a", timeoutMs: 5_000)
    #expect(stage.add("t", to: producer) == .none)
    stage.pass(ms: 4_000)
    try stage.restart()
    stage.pass(ms: 1_000)
    stage.abortTimedOut()
    #expect(stage.state("a") == "Ongoing")
    stage.pass(ms: 1)
    stage.abortTimedOut()
    #expect(stage.state("a") == "PrepareAbort")
  }

  @Test func `idle ids are forgotten, open transactions are not`() throws {
    var config = TransactionConfig()
    config.idExpirationMs = 1_000
    var stage = TransactionStage(config: config)
    _ = try stage.producer("idle")
    let open = try stage.producer("open")
    #expect(stage.add("t", to: open) == .none)
    let ending = try stage.producer("ending")
    #expect(stage.add("t", to: ending) == .none)
    _ = try stage.end(ending, commit: true)
    stage.pass(ms: 999)
    stage.expireIds()
    #expect(stage.shard.transactions.count == 3)
    stage.pass(ms: 1)
    stage.expireIds()
    #expect(stage.shard.transactions.keys.sorted() == ["ending", "open"])
    #expect(try stage.replayed().transactions.keys.sorted() == ["ending", "open"])
    #expect(stage.shard.describe("idle").errorCode == ErrorCode.transactionalIdNotFound.rawValue)
  }
}
