// AddPartitionsToTxn, AddOffsetsToTxn, and the same asked by this broker for a batch that begins to write in a partition
// (KIP-890). Whether a topic exists is the handlers' concern.

import MillraceProtocol

extension TransactionShard {
  /// - Parameter clientVersion: of the transaction, as the request that asks shows it.
  package mutating func addPartitions(
    _ partitions: [TransactionPartition], to transactionalId: String, producerId: Int64, producerEpoch: Int16,
    clientVersion: Int16, now: Moment
  ) -> (ErrorCode, TransactionDecision) {
    var decision = TransactionDecision()
    guard !transactionalId.isEmpty else { return (.invalidRequest, decision) }
    let current: Transaction
    switch find(transactionalId, producerId, producerEpoch) {
    case .success(let transaction): current = transaction
    case .failure(let error): return (error, decision)
    }
    if current.state.isEnding { return (.concurrentTransactions, decision) }
    if current.state == .ongoing, current.partitions.isSuperset(of: partitions) { return (.none, decision) }

    var changed = current
    if current.state != .ongoing {
      changed.startMs = now.wallMs
      changed.startClock(now)
    }
    changed.state = .ongoing
    changed.partitions.formUnion(partitions)
    changed.lastUpdateMs = now.wallMs
    changed.clientVersion = clientVersion
    put(changed, &decision)
    return (.none, decision)
  }

  /// Whether each of the partitions belongs to the producer's transaction: one code for each. Changes nothing.
  package func verify(
    _ partitions: [TransactionPartition], in transactionalId: String, producerId: Int64, producerEpoch: Int16
  ) -> [ErrorCode] {
    guard !transactionalId.isEmpty else { return partitions.map { _ in .invalidRequest } }
    switch find(transactionalId, producerId, producerEpoch) {
    case .failure(let error):
      return partitions.map { _ in error }
    case .success(let transaction):
      if transaction.state.isEnding { return partitions.map { _ in .concurrentTransactions } }
      return partitions.map { transaction.partitions.contains($0) ? .none : .transactionAbortable }
    }
  }

  private func find(
    _ transactionalId: String, _ producerId: Int64, _ producerEpoch: Int16
  ) -> Result<Transaction, ErrorCode> {
    guard let transaction = transactions[transactionalId], transaction.producerId == producerId else {
      return .failure(.invalidProducerIdMapping)
    }
    return transaction.producerEpoch == producerEpoch ? .success(transaction) : .failure(.producerFenced)
  }
}
