import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct TransactionReplayTests {
  @Test func `an outcome that was decided before a crash is written after it`() throws {
    for commit in [true, false] {
      var stage = TransactionStage()
      let producer = try stage.producer("a")
      #expect(stage.add("t", to: producer) == .none)
      _ = try stage.end(producer, commit: commit)
      let decided = stage.endings
      try stage.restart()
      #expect(stage.endings == decided)
      stage.writeMarkers()
      #expect(stage.state("a") == (commit ? "CompleteCommit" : "CompleteAbort"))
      try stage.restart()
      #expect(stage.endings.isEmpty)
    }
  }

  @Test func `an open transaction goes on after a restart`() throws {
    var stage = TransactionStage()
    let producer = try stage.producer("a")
    #expect(stage.add("t", to: producer) == .none)
    try stage.restart()
    #expect(stage.verify("t", in: producer) == [.none])
    #expect(stage.add("u", to: producer) == .none)
    #expect(try stage.finish(producer, commit: true) == producer.next)
  }

  @Test func `values are of version 0 until the feature allows tagged fields`() throws {
    for level: Int16 in [0, 1, 2] {
      var stage = TransactionStage(level: level)
      let producer = try stage.producer("a")
      #expect(stage.add("t", to: producer, clientVersion: 0) == .none)
      let versions = stage.journal.map { $0.value?.getInteger(at: $0.value?.readerIndex ?? 0, as: Int16.self) }
      #expect(versions == Array(repeating: level == 0 ? 0 : 1, count: 2))
      #expect(try stage.replayed().transactions["a"]?.partitions == [TransactionPartition(topic: "t", partition: 0)])
    }
  }

  @Test func `a record's bytes are Kafka's`() throws {
    var stage = TransactionStage(level: 0)
    let producer = try stage.producer("ab", timeoutMs: 60_000)
    #expect(stage.add("t", to: producer, clientVersion: 0) == .none)
    let (key, value) = stage.journal[1]
    #expect(Array(key.readableBytesView) == [0, 0, 0, 2, 0x61, 0x62])
    let bytes = try Array(#require(value).readableBytesView)
    // Version, producer id 1001, epoch 0, time-out 60000, Ongoing, one topic "t" with partition 0, two timestamps.
    #expect(
      Array(bytes[..<29]) == [0, 0] + [0, 0, 0, 0, 0, 0, 3, 0xE9] + [0, 0] + [0, 0, 0xEA, 0x60] + [1]
        + [0, 0, 0, 1] + [0, 1, 0x74] + [0, 0, 0, 1, 0])
    #expect(bytes.count == 2 + 8 + 2 + 4 + 1 + 4 + 3 + 4 + 4 + 8 + 8)
  }

  @Test func `records of other types, and values that make no sense, are told apart`() throws {
    var other = ByteBuffer()
    other.writeInteger(Int16(9))
    #expect(try TransactionRecord.decode(key: other, value: nil) == nil)
    let key = try CoordinatorRecord.encodeKey(TransactionLogKey(transactionalId: "a"))
    #expect(throws: TransactionRecordError.self) {
      try TransactionRecord.decode(key: key, value: ByteBuffer(bytes: [0, 0, 1]))
    }
    let odd = try CoordinatorRecord.encodeValue(TransactionLogValue(transactionStatus: 77), version: 1)
    #expect(throws: TransactionRecordError.unknownState(77)) { try TransactionRecord.decode(key: key, value: odd) }
    #expect(try TransactionRecord.decode(key: key, value: nil) == TransactionRecord(transactionalId: "a"))
  }

  @Test func `what was journaled and what is remembered are the same after any sequence of events`() throws {
    let seed = UInt64.random(in: 0...UInt64.max)
    var random = TransactionSeed(state: seed)
    var stage = TransactionStage(config: TransactionConfig())
    var producers: [Producer] = []
    for step in 0..<2_000 {
      let id = ["a", "b", "c"].randomElement(using: &random)!
      let producer = producers.suffix(6).randomElement(using: &random)
      switch Int.random(in: 0..<9, using: &random) {
      case 0:
        if let new = try stage.attempt(id) { producers.append(new) }
      case 1:
        if let producer, let new = try stage.attempt(producer.transactionalId, expecting: producer) {
          producers.append(new)
        }
      case 2, 3: if let producer { _ = stage.add("t", id, to: producer) }
      case 4:
        guard let producer else { continue }
        let answer = try stage.end(producer, commit: .random(using: &random))
        if answer.errorCode == 0 {
          producers.append(
            Producer(transactionalId: producer.transactionalId, id: answer.producerId, epoch: answer.producerEpoch))
        }
      case 5: if let producer { _ = try stage.end(producer, commit: .random(using: &random), version: 4) }
      case 6: stage.writeMarkers()
      case 7:
        stage.pass(ms: 1_000)
        stage.abortTimedOut()
      default:
        if step % 50 == 0 { try stage.restart() }
      }
      let replayed = try stage.replayed()
      #expect(replayed.transactions.count == stage.shard.transactions.count, "seed \(seed), step \(step)")
      for (id, transaction) in stage.shard.transactions {
        #expect(replayed.transactions[id]?.asJournaled == transaction.asJournaled, "seed \(seed), step \(step)")
      }
      if step % 10 == 9 { stage.shortenJournal() }
    }
    #expect(producers.count > 50, "seed \(seed)")
  }
}

extension Transaction {
  /// Without what no journal keeps.
  fileprivate var asJournaled: Transaction {
    var copy = self
    copy.lastProducerEpoch = -1
    copy.deadlineMs = nil
    return copy
  }
}

extension TransactionStage {
  /// Nil if it is refused.
  fileprivate mutating func attempt(_ id: String, expecting: Producer? = nil) throws -> Producer? {
    let answer = try initialize(id, timeoutMs: 5_000, expecting: expecting)
    guard answer.errorCode == 0 else { return nil }
    return Producer(transactionalId: id, id: answer.producerId, epoch: answer.producerEpoch)
  }
}

struct TransactionSeed: RandomNumberGenerator {
  var state: UInt64
  mutating func next() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }
}
