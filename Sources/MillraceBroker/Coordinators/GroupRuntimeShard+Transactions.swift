// Offsets that are committed in transactions: their batches carry the producer, and the outcome of its transaction is a
// batch of the same journal. The shard takes in both in the order in which they are there, under its lock.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension GroupRuntimeShard {
  func commit(
    _ request: TxnOffsetCommitRequest, _ transaction: TransactionGuard,
    then outcome: @escaping Outcome<TxnOffsetCommitResponse>
  ) {
    let producer = Journal.Producer(id: request.producerId, epoch: request.producerEpoch, transaction: transaction)
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal { return Effects(refusal: { outcome(.failure(refusal)) }) }
      // Asked before the shard decides: a shard that is ahead of its journal is thrown away.
      if let refusal = journal.refusal(of: producer) { return Effects(refusal: { outcome(.failure(refusal)) }) }
      let now = time.now()
      let (response, decision) = state.shard.commit(request, now: now)
      var effects = perform(decision, now, &state, producer: producer)
      effects.add({ outcome(.success(response)) }, onFailure: { outcome(.failure($0)) })
      return effects
    }
    complete(effects)
  }

  /// Journals the outcome of a transaction; `outcome` is called when it is durable.
  func end(_ marker: TransactionMarker, then outcome: @escaping Outcome<Void>) {
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal { return Effects(refusal: { outcome(.failure(refusal)) }) }
      do throws(LogError) {
        state.journalEnd = try journal.append(marker, nowMs: time.now().wallMs)
      } catch {
        // Refused, and nothing has changed.
        let code = error.isAboutProducer ? ErrorCode(error) : ErrorCode(ofJournal: error)
        return Effects(refusal: { outcome(.failure(code)) })
      }
      state.shard.endTransaction(producerId: marker.producerId, isCommit: marker.isCommit)
      var effects = Effects(through: state.journalEnd, incarnation: state.incarnation)
      effects.add({ outcome(.success(())) }, onFailure: { outcome(.failure($0)) })
      return effects
    }
    complete(effects)
  }
}

extension LogError {
  /// The log is well, and does not take this from this producer.
  var isAboutProducer: Bool {
    switch self {
    case .outOfOrderSequence, .invalidProducerEpoch, .invalidTransactionState, .transactionCoordinatorFenced: true
    default: false
    }
  }
}
