import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct InitProducerIdTests {
  @Test func `a new transactional id gets a producer id with epoch 0`() throws {
    var stage = TransactionStage()
    let first = try stage.producer("a")
    #expect(first.epoch == 0)
    #expect(stage.state("a") == "Empty")
    let second = try stage.producer("b")
    #expect(second.id != first.id && second.epoch == 0)
  }

  @Test func `the next producer of the id keeps the producer id and fences the one before`() throws {
    var stage = TransactionStage()
    let old = try stage.producer("a")
    let new = try stage.producer("a")
    #expect(new == old.next)
    #expect(stage.add("t", to: old) == .producerFenced)
    #expect(stage.add("t", to: new) == .none)
    #expect(try stage.endError(old, commit: true) == .producerFenced)
  }

  @Test func `requests that make no sense are refused and change nothing`() throws {
    var stage = TransactionStage()
    #expect(try stage.initialize("").errorCode == ErrorCode.invalidRequest.rawValue)
    #expect(try stage.initialize("a", timeoutMs: 0).errorCode == ErrorCode.invalidTransactionTimeout.rawValue)
    #expect(try stage.initialize("a", timeoutMs: 900_001).errorCode == ErrorCode.invalidTransactionTimeout.rawValue)
    let half = Producer(transactionalId: "a", id: 7, epoch: -1)
    #expect(try stage.initialize("a", expecting: half).errorCode == ErrorCode.invalidRequest.rawValue)
    #expect(stage.journal.isEmpty && stage.shard.transactions.isEmpty)
  }

  @Test func `an open transaction is aborted first, and nobody gets the epoch of that abort`() throws {
    for level: Int16 in [0, 2] {
      var stage = TransactionStage(level: level)
      let old = try stage.producer("a")
      #expect(stage.add("t", to: old, clientVersion: level) == .none)
      #expect(try stage.initialize("a").errorCode == ErrorCode.concurrentTransactions.rawValue)
      #expect(stage.state("a") == "PrepareAbort")
      let ending = try #require(stage.endings.first)
      #expect(!ending.isCommit && ending.producerEpoch == 1 && ending.transactionVersion == level)
      #expect(ending.partitions == [TransactionPartition(topic: "t", partition: 0)])
      #expect(try stage.initialize("a").errorCode == ErrorCode.concurrentTransactions.rawValue)
      stage.writeMarkers()
      #expect(stage.state("a") == "CompleteAbort")
      let new = try stage.producer("a")
      #expect(new.id == old.id && new.epoch == 2)
    }
  }

  @Test func `a producer goes on after an error with the epoch above its own, and may ask twice`() throws {
    var stage = TransactionStage()
    let first = try stage.producer("a")
    let second = try stage.producer("a", expecting: first)
    #expect(second == first.next)
    #expect(try stage.producer("a", expecting: first) == second, "the answer was lost")
    let third = try stage.producer("a", expecting: second)
    #expect(third == second.next)
    #expect(try stage.initialize("a", expecting: first).errorCode == ErrorCode.producerFenced.rawValue)
  }

  @Test func `who was fenced by another producer cannot go on`() throws {
    var stage = TransactionStage()
    let zombie = try stage.producer("a")
    _ = try stage.producer("a")
    #expect(try stage.initialize("a", expecting: zombie).errorCode == ErrorCode.producerFenced.rawValue)
    let stranger = Producer(transactionalId: "a", id: 5, epoch: 0)
    #expect(try stage.initialize("a", expecting: stranger).errorCode == ErrorCode.producerFenced.rawValue)
  }

  @Test func `a producer that an empty coordinator does not know begins anew`() throws {
    var stage = TransactionStage()
    let unknown = Producer(transactionalId: "a", id: 5, epoch: 3)
    let producer = try stage.producer("a", expecting: unknown)
    #expect(producer.id != 5 && producer.epoch == 0)
  }

  @Test func `when the epochs are used up there is a new producer id`() throws {
    var stage = TransactionStage()
    let last = try stage.producerWithLastEpoch("a")
    let new = try stage.producer("a")
    #expect(new.id != last.id && new.epoch == 0)
    #expect(stage.add("t", to: last) == .invalidProducerIdMapping)
  }

  @Test func `a producer with the last epoch goes on under a new id, and may ask twice`() throws {
    var stage = TransactionStage()
    let last = try stage.producerWithLastEpoch("a")
    let new = try stage.producer("a", expecting: last)
    #expect(new.id != last.id && new.epoch == 0)
    #expect(try stage.producer("a", expecting: last) == new)
  }

  @Test func `fencing the last epoch leads to a new producer id`() throws {
    var stage = TransactionStage()
    let last = try stage.producerWithLastEpoch("a")
    #expect(stage.add("t", to: last) == .none)
    #expect(try stage.initialize("a").errorCode == ErrorCode.concurrentTransactions.rawValue)
    #expect(stage.endings[0].producerEpoch == .max)
    stage.writeMarkers()
    let new = try stage.producer("a")
    #expect(new.id != last.id && new.epoch == 0)
  }

  @Test(arguments: [true, false])
  func `nobody writes under the epoch of an abort that has none above it`(endsFirst: Bool) throws {
    var stage = TransactionStage()
    let last = try stage.producerWithLastEpoch("a")
    #expect(stage.add("t", to: last) == .none)
    stage.pass(ms: 60_001)
    stage.abortTimedOut()
    #expect(stage.endings.map(\.producerEpoch) == [.max])
    stage.writeMarkers()
    let next = endsFirst ? try stage.finish(last, commit: false) : try stage.producer("a", expecting: last)
    #expect(next.id != last.id && next.epoch == 0)
    #expect(stage.add("t", to: next) == .none)
    _ = try stage.finish(next, commit: true)
  }
}
