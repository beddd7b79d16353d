// What time does: open transactions are aborted after the time-out that their producer asked for, and ids that nobody
// used for `transactional.id.expiration.ms` are forgotten.

import MillraceProtocol

extension TransactionShard {
  /// Aborts what is past its time-out, on the clock that no operator moves.
  package mutating func abortTimedOut(level: Int16, now: Moment) -> TransactionDecision {
    var decision = TransactionDecision()
    for (id, transaction) in transactions.sorted(by: { $0.key < $1.key }) {
      guard transaction.state == .ongoing, let deadline = transaction.deadlineMs, deadline < now.uptimeMs else {
        continue
      }
      decision.notices.append(
        .timedOut(transactionalId: id, producerId: transaction.producerId, timeoutMs: transaction.timeoutMs))
      abort(fencing: transaction, level: level, now, &decision)
    }
    return decision
  }

  /// Forgets idle ids; to be asked only while the wall clock can be trusted.
  package mutating func expireIds(now: Moment) -> TransactionDecision {
    var decision = TransactionDecision()
    for (id, transaction) in transactions.sorted(by: { $0.key < $1.key }) {
      guard transaction.state != .ongoing, !transaction.state.isEnding else { continue }
      let (age, overflow) = now.wallMs.subtractingReportingOverflow(transaction.lastUpdateMs)
      guard !overflow, age >= config.idExpirationMs else { continue }
      remove(id, &decision)
      decision.notices.append(.expired(transactionalId: id))
    }
    return decision
  }
}
