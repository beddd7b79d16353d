// A log of a coordinator's facts, read from the start when the broker starts and appended to from then on: the
// metadata journal, a partition of __consumer_offsets. One decision is one batch, so it is all there after a crash or
// not at all.

import MillraceLog
import MillraceProtocol
import MillraceRecords
import NIOCore

package struct Journal: Sendable {
  /// How much is read at a time while replaying.
  private static let readSize = 1 << 20

  /// About how large a batch of facts becomes; small enough for the smallest segments.
  private static let batchByteCount = 512 << 10

  package let log: PartitionLog
  /// Written into every batch.
  package let leaderEpoch: Int32

  package init(log: PartitionLog, leaderEpoch: Int32) {
    self.log = log
    self.leaderEpoch = leaderEpoch
  }

  package struct Fact: Sendable {
    package var key: ByteBuffer?
    package var value: ByteBuffer?
    /// When read: whose transaction it is part of.
    package var producerId: Int64?

    package init(key: ByteBuffer? = nil, value: ByteBuffer?, producerId: Int64? = nil) {
      self.key = key
      self.value = value
      self.producerId = producerId
    }

    init(_ encoded: (key: ByteBuffer, value: ByteBuffer?)) {
      self.init(key: encoded.key, value: encoded.value)
    }

    var byteCount: Int64 { Int64(key?.readableBytes ?? 0) + Int64(value?.readableBytes ?? 0) }
  }

  /// The producer whose transaction a batch of facts is part of.
  package struct Producer: Sendable {
    var id: Int64
    var epoch: Int16
    /// What has to be true of the transaction.
    var transaction: TransactionGuard

    var fields: BatchFields { BatchFields(producerId: id, producerEpoch: epoch, isTransactional: true) }
  }

  /// Appends facts as one batch and returns the offset behind them. They are durable when the log says so
  /// (`log.whenDurable(through:)`), and have to be applied at once.
  package func append(_ facts: [Fact], nowMs: Int64, producer: Producer? = nil) throws(LogError) -> Int64 {
    precondition(!facts.isEmpty, "a batch has at least one record")
    var builder = BatchBuilder()
    for fact in facts {
      builder.append(
        key: fact.key.map { Array($0.readableBytesView) }, value: fact.value.map { Array($0.readableBytesView) },
        timestamp: nowMs)
    }
    let batch: [UInt8]
    do {
      batch = try builder.build(producer?.fields ?? BatchFields())
    } catch {
      preconditionFailure("an uncompressed batch cannot fail to compress: \(error)")
    }
    return try append(batch, nowMs: nowMs, producer?.transaction ?? .unchecked)
  }

  /// Appends facts as several batches if they are many (a group with very many offsets is deleted), and returns the
  /// offset behind them. That is harmless: each fact stands for itself, and nobody is told of any before all of them
  /// are durable.
  func append(inBatches facts: [Fact], nowMs: Int64, producer: Producer? = nil) throws(LogError) -> Int64 {
    var end: Int64 = 0
    var rest = facts[...]
    while !rest.isEmpty {
      var byteCount: Int64 = 0
      let batch = rest.prefix { fact in
        defer { byteCount += fact.byteCount }
        return byteCount < Self.batchByteCount
      }
      end = try append(Array(batch), nowMs: nowMs, producer: producer)
      rest = rest[batch.endIndex...]
    }
    return end
  }

  /// Why the log would not take a batch of the producer's transaction now.
  func refusal(of producer: Producer) -> ErrorCode? {
    let header = BatchHeader(
      attributes: .transactional, producerId: producer.id, producerEpoch: producer.epoch,
      baseSequence: BatchHeader.noSequence)
    do throws(LogError) {
      try log.checkProducer(header, producer.transaction)
      return nil
    } catch {
      return error.isAboutProducer ? ErrorCode(error) : ErrorCode(ofJournal: error)
    }
  }

  /// Appends the outcome of a producer's transaction.
  package func append(_ marker: TransactionMarker, nowMs: Int64) throws(LogError) -> Int64 {
    try append(marker.batch(nowMs: nowMs), nowMs: nowMs, marker.guard)
  }

  private func append(
    _ batch: [UInt8], nowMs: Int64, _ transaction: TransactionGuard
  ) throws(LogError) -> Int64 {
    let result = batch.withUnsafeBytes { bytes -> Result<AppendResult, LogError> in
      do throws(LogError) {
        guard let header = try? BatchHeader(parsing: bytes) else { throw .invalidBatch }
        return .success(
          try log.append(
            bytes, header: header, leaderEpoch: leaderEpoch, nowMs: nowMs, origin: .coordinator,
            transaction: transaction))
      } catch {
        return .failure(error)
      }
    }
    return try result.get().lastOffset + 1
  }

  /// Blocks until what was appended before `end` is durable, or never will be.
  package func waitUntilDurable(through end: Int64) throws(LogError) {
    let outcome: Result<Void, LogError> = waiting { log.whenDurable(through: end, $0) }
    try outcome.get()
  }

  /// Calls `body` with every fact from `start`, or from the start of the log, in order, and `ended` with every outcome of a transaction in
  /// between. A batch that cannot be read loses what it said: `damaged` is told where, and the replay goes on behind it,
  /// or where the index next knows a batch. What was appended before is first waited for: it is on its way to the disk,
  /// and part of the journal or of nothing. Blocks on the disk.
  package func replay(
    from start: Int64 = 0, _ body: (_ fact: Fact, _ offset: Int64, _ timestamp: Int64) -> Void,
    ended: (_ producerId: Int64, _ isCommit: Bool) -> Void = { _, _ in },
    damaged: (_ offset: Int64, _ reason: String) -> Void
  ) throws(LogError) {
    // Of a log that cannot be opened the offsets would be a checkpoint's, or none: that is not an empty journal.
    try log.open()
    // Also what failed has settled.
    try? waitUntilDurable(through: log.offsets.logEndOffset)
    var offset = max(start, log.offsets.logStartOffset)
    let end = log.offsets.logEndOffset
    var isInDamage = false
    func report(_ reason: String) {
      if !isInDamage { damaged(offset, reason) }
      isInDamage = true
    }
    while offset < end {
      let plan: ReadPlan
      do throws(LogError) {
        plan = try log.read(from: offset, maxBytes: Self.readSize, minOneBatch: true, isolation: .readUncommitted)
      } catch .corrupt(let path, let position) {
        report("\(path) at \(position)")
        offset += 1
        continue
      }
      if plan.isEmpty { return }
      let bytes = try plan.load()
      let broken = bytes.withUnsafeBytes { Self.replay($0, from: offset, body, ended, damaged) }
      if let broken {
        offset = max(offset, broken.offset)
        report(broken.reason)
        offset += 1
      } else {
        isInDamage = false
        guard plan.nextOffset > offset else { return }
        offset = plan.nextOffset
      }
    }
  }

  /// Returns where the bytes stop to be batches, if they do.
  private static func replay(
    _ bytes: UnsafeRawBufferPointer, from start: Int64, _ body: (Fact, Int64, Int64) -> Void,
    _ ended: (Int64, Bool) -> Void, _ damaged: (Int64, String) -> Void
  ) -> (offset: Int64, reason: String)? {
    var batches = BatchIterator(bytes, verifiesChecksums: true)
    var offset = start
    while true {
      do throws(BatchError) {
        guard let (batch, _) = try batches.next() else { break }
        offset = batch.header.lastOffset + 1
        guard !batch.header.isControl else {
          let producerId = batch.header.producerId
          try batch.forEachRecord { record in
            if let marker = EndTransactionMarker(record) { ended(producerId, marker.isCommit) }
          }
          continue
        }
        let base = batch.header.baseOffset
        let producerId = batch.header.isTransactional ? batch.header.producerId : nil
        try batch.forEachRecord { record in
          let key = record.key.map { ByteBuffer(bytes: $0) }
          let value = record.value.map { ByteBuffer(bytes: $0) }
          body(Fact(key: key, value: value, producerId: producerId), base + Int64(record.offsetDelta), record.timestamp)
        }
      } catch {
        // A wrong checksum is the end of one batch; a length that no batch has is the end of all that follow.
        guard batches.position < bytes.count else { return (offset, "\(error)") }
        damaged(offset, "\(error)")
      }
    }
    return batches.truncatedByteCount > 0 ? (offset, "a batch is cut off") : nil
  }
}
