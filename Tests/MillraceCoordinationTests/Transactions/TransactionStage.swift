// A transaction coordinator on a stage: a shard, a journal that takes every record in its encoded form, a clock that the
// test turns, partitions that take markers when the test says so, and producers whose requests are one line each.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

struct TransactionStage {
  var shard: TransactionShard
  /// Of the feature transaction.version.
  var level: Int16
  private(set) var now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)
  private(set) var journal: [(key: ByteBuffer, value: ByteBuffer?)] = []
  private(set) var notices: [TransactionNotice] = []
  private(set) var completed: [String] = []
  /// Outcomes that were decided and stand in no partition yet.
  private(set) var endings: [TransactionEnding] = []
  private var nextProducerId: Int64 = 1000

  init(level: Int16 = 2, config: TransactionConfig = TransactionConfig()) {
    self.level = level
    shard = TransactionShard(config: config)
  }

  // MARK: Requests

  mutating func initialize(
    _ id: String, timeoutMs: Int32 = 60_000, expecting: Producer? = nil
  ) throws -> InitProducerIdResponse {
    let request = InitProducerIdRequest(
      transactionalId: id, transactionTimeoutMs: timeoutMs, producerId: expecting?.id ?? -1,
      producerEpoch: expecting?.epoch ?? -1)
    let (now, level) = (now, level)
    return try perform { shard, freshId in
      shard.initProducerId(request, freshId: freshId, level: level, now: now)
    }
  }

  /// Initializes and expects that to succeed.
  mutating func producer(_ id: String, timeoutMs: Int32 = 60_000, expecting: Producer? = nil) throws -> Producer {
    let response = try initialize(id, timeoutMs: timeoutMs, expecting: expecting)
    try #require(ErrorCode(rawValue: response.errorCode) == .none)
    return Producer(transactionalId: id, id: response.producerId, epoch: response.producerEpoch)
  }

  /// As many raises as it takes until the last epoch that a client is given.
  mutating func producerWithLastEpoch(_ id: String) throws -> Producer {
    var producer = try producer(id)
    shard.replay(
      TransactionRecord(
        transactionalId: id,
        transaction: try #require(
          shard.transactions[id].map { transaction in
            var transaction = transaction
            transaction.producerEpoch = .max - 1
            return transaction
          })))
    producer.epoch = .max - 1
    return producer
  }

  mutating func add(_ names: String..., to producer: Producer, clientVersion: Int16 = 2) -> ErrorCode {
    let (error, decision) = shard.addPartitions(
      names.map { TransactionPartition(topic: $0, partition: 0) }, to: producer.transactionalId,
      producerId: producer.id, producerEpoch: producer.epoch, clientVersion: clientVersion, now: now)
    perform(decision)
    return error
  }

  func verify(_ names: String..., in producer: Producer) -> [ErrorCode] {
    shard.verify(
      names.map { TransactionPartition(topic: $0, partition: 0) }, in: producer.transactionalId,
      producerId: producer.id, producerEpoch: producer.epoch)
  }

  mutating func end(_ producer: Producer, commit: Bool, version: Int16 = 5) throws -> EndTxnResponse {
    let request = EndTxnRequest(
      transactionalId: producer.transactionalId, producerId: producer.id, producerEpoch: producer.epoch,
      committed: commit)
    let now = now
    return try perform { shard, freshId in shard.end(request, version: version, freshId: freshId, now: now) }
  }

  mutating func endError(_ producer: Producer, commit: Bool, version: Int16 = 5) throws -> ErrorCode {
    ErrorCode(rawValue: try end(producer, commit: commit, version: version).errorCode)
  }

  /// Ends in transaction version 2; the producer that goes on.
  mutating func finish(_ producer: Producer, commit: Bool) throws -> Producer {
    let response = try end(producer, commit: commit)
    try #require(ErrorCode(rawValue: response.errorCode) == .none)
    writeMarkers()
    return Producer(
      transactionalId: producer.transactionalId, id: response.producerId, epoch: response.producerEpoch)
  }

  func state(_ id: String) -> String { shard.describe(id).transactionState }

  // MARK: The world around

  /// The markers of everything decided so far become durable.
  mutating func writeMarkers() {
    for ending in endings {
      endings.removeFirst()
      perform(shard.complete(ending, now: now))
    }
  }

  /// A marker that was on its way for long.
  mutating func complete(_ ending: TransactionEnding) { perform(shard.complete(ending, now: now)) }

  mutating func pass(ms: Int64, wallMs: Int64? = nil) {
    now.uptimeMs += ms
    now.wallMs += wallMs ?? ms
  }

  mutating func abortTimedOut() { perform(shard.abortTimedOut(level: level, now: now)) }
  mutating func expireIds() { perform(shard.expireIds(now: now)) }

  /// The broker starts again with what the journal has.
  mutating func restart() throws {
    shard = try replayed()
    endings = []
    perform(shard.loaded(now: now))
  }

  func replayed() throws -> TransactionShard {
    var replayed = TransactionShard(config: shard.config)
    for (key, value) in journal {
      replayed.replay(try #require(try TransactionRecord.decode(key: key, value: value)))
    }
    return replayed
  }

  /// As compaction leaves the journal: the last record of each id.
  mutating func shortenJournal() {
    var kept: [ByteBuffer: Int] = [:]
    for (index, record) in journal.enumerated() { kept[record.key] = index }
    journal = kept.values.sorted().map { journal[$0] }
  }

  // MARK: Performing

  private mutating func perform<Answer>(
    _ event: (inout TransactionShard, Int64?) -> TransactionStep<Answer>
  ) throws -> Answer {
    let before = shard
    var step = event(&shard, nil)
    if case .needsProducerId = step {
      #expect(shard == before, "asking for a producer id changes nothing")
      nextProducerId += 1
      step = event(&shard, nextProducerId)
    }
    guard case .decided(let answer, let decision) = step else { throw NeverDecided() }
    perform(decision)
    return answer
  }

  private struct NeverDecided: Error {}

  private mutating func perform(_ decision: TransactionDecision) {
    for record in decision.records {
      do {
        journal.append(try record.encode(level: level))
      } catch {
        Issue.record("a record cannot be written: \(error)")
      }
    }
    endings += decision.endings
    completed += decision.completed
    notices += decision.notices
  }
}

struct Producer: Equatable {
  var transactionalId: String
  var id: Int64
  var epoch: Int16

  var next: Producer { Producer(transactionalId: transactionalId, id: id, epoch: epoch + 1) }
}
