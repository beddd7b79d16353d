import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct EndTxnTests {
  // MARK: Transaction version 2

  @Test func `a commit goes through PrepareCommit and raises the epoch`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(stage.add("t", "u", to: producer) == .none)
    #expect(stage.state("a") == "Ongoing")
    let answer = try stage.end(producer, commit: true)
    #expect(answer.errorCode == 0 && answer.producerId == producer.id && answer.producerEpoch == 1)
    #expect(stage.state("a") == "PrepareCommit")
    #expect(stage.endings.count == 1)
    #expect(stage.endings[0].isCommit && stage.endings[0].producerEpoch == 1)
    #expect(stage.endings[0].partitions.map(\.topic) == ["t", "u"])
    #expect(stage.add("t", to: producer.next) == .concurrentTransactions)
    stage.writeMarkers()
    #expect(stage.state("a") == "CompleteCommit" && stage.completed == ["a"])
    #expect(stage.add("t", to: producer.next) == .none, "the next transaction")
  }

  @Test func `a retry is told from the end of the next transaction by its epoch`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(stage.add("t", to: producer) == .none)
    _ = try stage.end(producer, commit: true)
    #expect(try stage.endError(producer, commit: true) == .concurrentTransactions)
    #expect(try stage.endError(producer, commit: false) == .invalidTxnState)
    #expect(try stage.endError(producer.next, commit: true) == .producerFenced)
    stage.writeMarkers()
    let retried = try stage.end(producer, commit: true)
    #expect(retried.errorCode == 0 && retried.producerEpoch == 1)
    #expect(try stage.endError(producer, commit: false) == .invalidTxnState)
    #expect(try stage.endError(producer.next, commit: true) == .invalidTxnState, "nothing to commit")
    #expect(stage.state("a") == "CompleteCommit")
  }

  @Test func `aborting nothing raises the epoch, committing nothing is refused`() throws {
    var stage = TransactionStage()
    var producer = try stage.producer("a")
    #expect(try stage.endError(producer, commit: true) == .invalidTxnState)
    #expect(try stage.finish(producer, commit: false) == producer.next)
    producer = producer.next
    #expect(stage.state("a") == "CompleteAbort")
    #expect(try stage.finish(producer, commit: false) == producer.next)
    let before = producer
    producer = producer.next
    #expect(try stage.endError(before, commit: false) == .none, "a retry")
    #expect(try stage.endError(before, commit: true) == .invalidTxnState)
    #expect(stage.add("t", to: producer) == .none)
    let committed = try stage.finish(producer, commit: true)
    #expect(try stage.finish(committed, commit: false) == committed.next)
  }

  @Test func `the last epoch hands over to a new producer id, and a retry across is known, after a restart too`() throws
  {
    var stage = TransactionStage()
    let last = try stage.producerWithLastEpoch("a")
    #expect(stage.add("t", to: last) == .none)
    let answer = try stage.end(last, commit: true)
    #expect(answer.producerId != last.id && answer.producerEpoch == 0)
    #expect(stage.endings[0].producerId == last.id && stage.endings[0].producerEpoch == .max)
    try stage.restart()
    stage.writeMarkers()
    try stage.restart()
    let next = Producer(transactionalId: "a", id: answer.producerId, epoch: 0)
    let retried = try stage.end(last, commit: true)
    #expect(retried.errorCode == 0 && retried.producerId == next.id && retried.producerEpoch == 0)
    #expect(stage.add("t", to: next) == .none)
    #expect(try stage.endError(last, commit: true) == .invalidProducerIdMapping)
  }

  // MARK: Before version 2

  @Test func `an older client keeps its epoch, and a retry is known by the state`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(try stage.endError(producer, commit: false, version: 4) == .invalidTxnState, "nothing was begun")
    for commit in [true, false] {
      #expect(stage.add("t", to: producer, clientVersion: 0) == .none)
      let answer = try stage.end(producer, commit: commit, version: 4)
      #expect(answer.errorCode == 0 && answer.producerId == -1 && answer.producerEpoch == -1)
      #expect(stage.endings[0].producerEpoch == 0 && stage.endings[0].transactionVersion == 0)
      #expect(try stage.endError(producer, commit: commit, version: 4) == .concurrentTransactions)
      #expect(try stage.endError(producer, commit: !commit, version: 4) == .invalidTxnState)
      stage.writeMarkers()
      #expect(try stage.endError(producer, commit: commit, version: 4) == .none)
      #expect(try stage.endError(producer, commit: !commit, version: 4) == .invalidTxnState)
    }
    #expect(try stage.endError(producer.next, commit: true, version: 4) == .producerFenced)
    var stranger = producer
    stranger.id += 1
    #expect(try stage.endError(stranger, commit: true, version: 4) == .invalidProducerIdMapping)
  }

  @Test func `ids that nobody initialized, or none at all, are refused`() throws {
    var stage = TransactionStage()
    let nobody = Producer(transactionalId: "x", id: 1, epoch: 0)
    for version: Int16 in [4, 5] {
      #expect(try stage.endError(nobody, commit: true, version: version) == .invalidProducerIdMapping)
    }
    #expect(stage.add("t", to: nobody) == .invalidProducerIdMapping)
    let empty = Producer(transactionalId: "", id: 1, epoch: 0)
    #expect(try stage.endError(empty, commit: true) == .invalidRequest)
    #expect(stage.add("t", to: empty) == .invalidRequest)
    #expect(stage.verify("t", in: empty) == [.invalidRequest])
  }

  // MARK: Partitions and markers

  @Test func `a partition that is in the transaction already costs no record`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(stage.add("t", to: producer) == .none)
    let length = stage.journal.count
    #expect(stage.add("t", to: producer) == .none)
    #expect(stage.journal.count == length)
    #expect(stage.add("t", "u", to: producer) == .none)
    #expect(stage.journal.count == length + 1)
  }

  @Test func `a partition is verified against the transaction that is open`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(stage.verify("t", in: producer) == [.transactionAbortable])
    #expect(stage.add("t", to: producer, clientVersion: 0) == .none)
    #expect(stage.verify("t", "u", in: producer) == [.none, .transactionAbortable])
    #expect(stage.verify("t", in: producer.next) == [.producerFenced])
    _ = try stage.end(producer, commit: true, version: 4)
    #expect(stage.verify("t", in: producer) == [.concurrentTransactions])
    stage.writeMarkers()
    #expect(stage.verify("t", in: producer) == [.transactionAbortable])
  }

  @Test func `markers that arrive late end nothing of a later transaction`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(stage.add("t", to: producer) == .none)
    _ = try stage.end(producer, commit: false)
    let late = try #require(stage.endings.first)
    stage.writeMarkers()
    #expect(stage.add("t", to: producer.next) == .none)
    _ = try stage.end(producer.next, commit: true)
    let length = stage.journal.count
    stage.complete(late)
    #expect(stage.state("a") == "PrepareCommit" && stage.journal.count == length)
  }
}
