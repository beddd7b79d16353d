// The transaction coordinator for one partition of __transaction_state: the transactional ids that hash there.
//
// A plain value. Each event changes it at once and returns a `TransactionDecision`; the runtime journals the decision's
// records and withholds the answers until they are durable. Kafka refuses requests while a change is on its way to the
// disk; here they meet the new state, and their answers wait behind it.
//
// `+InitProducerId`, `+Partitions`, `+EndTxn` and `+Time` hold the events, `+Describe` the questions. The rules are
// those of Kafka 4.2's coordinator, for both transaction versions.

import MillraceProtocol

package struct TransactionShard: Sendable, Equatable {
  package var config: TransactionConfig
  package private(set) var transactions: [String: Transaction] = [:]

  package init(config: TransactionConfig) {
    self.config = config
  }

  /// The outcome of the id's transaction is decided and not yet written everywhere.
  package func isEnding(_ transactionalId: String) -> Bool {
    transactions[transactionalId]?.state.isEnding ?? false
  }

  // MARK: Taking in facts

  package mutating func replay(_ record: TransactionRecord) {
    transactions[record.transactionalId] = record.transaction
  }

  /// The whole log has been replayed: time-outs begin to count, and outcomes that were decided are written. What was
  /// open already when the broker stopped has that much less time; a clock that went back gives it the whole time.
  package mutating func loaded(now: Moment) -> TransactionDecision {
    var decision = TransactionDecision()
    for (id, transaction) in transactions.sorted(by: { $0.key < $1.key }) {
      if transaction.state == .ongoing {
        let (elapsed, overflow) = now.wallMs.subtractingReportingOverflow(transaction.startMs)
        transactions[id]?.startClock(now, elapsedMs: overflow ? 0 : max(0, elapsed))
      } else if transaction.state.isEnding {
        decision.endings.append(TransactionEnding(transaction))
      }
    }
    return decision
  }

  /// The id has changed, and that is a fact.
  mutating func put(_ changed: Transaction, _ decision: inout TransactionDecision) {
    var changed = changed
    if let before = transactions[changed.transactionalId] { changed.previousProducerId = before.producerId }
    if changed.state != .ongoing { changed.deadlineMs = nil }
    transactions[changed.transactionalId] = changed
    decision.records.append(TransactionRecord(transactionalId: changed.transactionalId, transaction: changed))
  }

  mutating func remove(_ transactionalId: String, _ decision: inout TransactionDecision) {
    transactions[transactionalId] = nil
    decision.records.append(TransactionRecord(transactionalId: transactionalId, transaction: nil))
  }
}
