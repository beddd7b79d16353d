// Keeping records out of the log that no coordinator knows of (KIP-890).
//
// A transactional batch may only be appended while its transaction is open, or else nobody would ever end it and it
// would hold back the last stable offset for good. The first batch of a transaction is let in by the coordinator; since
// asking takes time, in which the transaction may be ended, the log is asked first for a token that an outcome voids.

import MillraceRecords

/// What has to be true of a batch's transaction when it is appended.
package enum TransactionGuard: Sendable, Equatable {
  /// Nothing: the batch is not transactional, or was checked elsewhere.
  case unchecked
  /// It is open in this partition.
  case open
  /// The coordinator knows that it is in this partition: the token is of before it was asked. A producer that the
  /// partition does not know begins with sequence 0 if `fromTheStart`, as all do in transaction version 2.
  case verified(token: UInt64, fromTheStart: Bool)
  /// For an outcome: its epoch is above that of the records (transaction version 2).
  case raisedEpoch
}

extension ProducerTable {
  /// Nil if the producer's transaction is open: then there is nothing to ask the coordinator.
  mutating func beginVerification(producerId: Int64, epoch: Int16) throws(LogError) -> UInt64? {
    if let state = producers[producerId] {
      if epoch < state.epoch {
        throw .invalidProducerEpoch(producerId: producerId, current: state.epoch, found: epoch)
      }
      if state.transactionStart != nil, state.epoch == epoch { return nil }
    }
    if let token = verifications[producerId] { return token }
    lastToken += 1
    verifications[producerId] = lastToken
    return lastToken
  }

  mutating func endVerification(producerId: Int64, token: UInt64) {
    if verifications[producerId] == token { verifications[producerId] = nil }
  }

  /// For a batch that is no duplicate.
  func check(_ header: BatchHeader, guardedBy transaction: TransactionGuard) throws(LogError) {
    guard header.isTransactional, !header.isControl else { return }
    let state = producers[header.producerId]
    if let state, state.transactionStart != nil, state.epoch == header.producerEpoch { return }
    switch transaction {
    case .unchecked, .raisedEpoch: return
    case .open: break
    case .verified(let token, let fromTheStart):
      guard verifications[header.producerId] == token else { break }
      if fromTheStart, state == nil, header.baseSequence > 0 {
        throw .outOfOrderSequence(producerId: header.producerId, expected: 0, found: header.baseSequence)
      }
      return
    }
    throw .invalidTransactionState(producerId: header.producerId)
  }
}

extension PartitionLog {
  /// A token for a batch that may be the first of a transaction here; nil if the transaction is open. To be asked before
  /// the coordinator is; ends with the append, an outcome, or `endVerification`.
  package func beginVerification(producerId: Int64, epoch: Int16) throws(LogError) -> UInt64? {
    _ = try currentView()
    return try writer.withLock { (writer) throws(LogError) in
      guard writer != nil else { throw .closed }
      return try writer!.producers.beginVerification(producerId: producerId, epoch: epoch)
    }
  }

  /// The coordinator does not know of it.
  package func endVerification(producerId: Int64, token: UInt64) {
    writer.withLock { $0?.producers.endVerification(producerId: producerId, token: token) }
  }

  /// Whether a batch of a coordinator's with this header would be appended, as far as its producer goes.
  package func checkProducer(_ header: BatchHeader, _ transaction: TransactionGuard) throws(LogError) {
    _ = try currentView()
    try writer.withLock { (writer) throws(LogError) in
      guard let writer else { throw .closed }
      _ = try writer.producers.check(header, origin: .coordinator, transaction)
    }
  }
}
