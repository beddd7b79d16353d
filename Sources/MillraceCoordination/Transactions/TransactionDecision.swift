// What the transaction coordinator decided about one event. The runtime performs it in this order: append `records` as
// one batch; when they are durable, answer, and write the outcomes in `endings`; and let those go on who waited for
// what is in `completed`.

package struct TransactionDecision: Sendable {
  /// Facts for the journal. The shard has already taken them in.
  package var records: [TransactionRecord] = []
  /// Outcomes to be written once the records are durable, and not before: an outcome that anybody can see is final.
  package var endings: [TransactionEnding] = []
  /// Transactional ids that may begin a transaction again.
  package var completed: [String] = []
  /// What an operator may want to read in the log.
  package var notices: [TransactionNotice] = []

  package init() {}
}

/// The outcome of one transaction, to be written into all of its partitions. When it stands in all of them, durably,
/// the runtime says so with `TransactionShard.complete`.
package struct TransactionEnding: Sendable, Equatable {
  package var transactionalId: String
  package var producerId: Int64
  package var producerEpoch: Int16
  package var isCommit: Bool
  /// Of the transaction: from 2 on the outcome's epoch is above that of the records.
  package var transactionVersion: Int16
  package var partitions: [TransactionPartition]

  init(_ transaction: Transaction) {
    transactionalId = transaction.transactionalId
    producerId = transaction.producerId
    producerEpoch = transaction.producerEpoch
    isCommit = transaction.state == .prepareCommit
    transactionVersion = transaction.clientVersion
    partitions = transaction.partitions.sorted()
  }
}

package enum TransactionNotice: Sendable, Equatable {
  case initialized(transactionalId: String, producerId: Int64, producerEpoch: Int16)
  case timedOut(transactionalId: String, producerId: Int64, timeoutMs: Int32)
  case fenced(transactionalId: String, producerId: Int64)
  case expired(transactionalId: String)
}

/// What came of an event that may need a producer id that nobody ever had. Then nothing has changed, and the event is
/// to be given again, with one.
package enum TransactionStep<Answer: Sendable>: Sendable {
  case decided(Answer, TransactionDecision)
  case needsProducerId

  static func refused(_ answer: Answer) -> Self { .decided(answer, TransactionDecision()) }
}
