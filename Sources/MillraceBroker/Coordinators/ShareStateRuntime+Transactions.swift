// Writes of share-partition state that become true together with what a producer writes elsewhere: a record is archived
// exactly when the dead letter for it is there. Their batches carry the producer, and the outcome of its transaction is
// a batch of the same journal. The shard takes in both in the order in which they are there, under its lock.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

/// What became of a write in a transaction.
package enum TransactionalWriteOutcome: Sendable, Equatable {
  /// It counts, durably.
  case committed
  case aborted
  /// The coordinator has lost its journal or the broker stops: what is true then is what is read next.
  case unknown
}

extension ShareStateRuntime {
  /// The partition that a transaction has to hold to write the state; nil before there is a topic (`ensureTopic`).
  package func journalPartition(of key: ShareStateKey) -> TransactionPartition? {
    let count = shards.count
    return count == 0
      ? nil : TransactionPartition(topic: Self.topicName, partition: Self.partition(of: key, count: count))
  }

  /// The journal that the state goes to.
  func journal(of key: ShareStateKey) -> Journal? { shard(for: key)?.journal }

  /// Appends the write to the producer's transaction, which holds `journalPartition(of:)`.
  /// - Parameters:
  ///   - then: is told once, when the record is durable, or that it was refused.
  ///   - ended: is told once when the transaction has ended, if `then` was told of no error.
  package func write(
    _ key: ShareStateKey, _ write: ShareStateWrite, in producer: Journal.Producer,
    then: @escaping @Sendable (ErrorCode) -> Void,
    ended: @escaping @Sendable (TransactionalWriteOutcome) -> Void
  ) {
    guard let shard = shard(for: key) else { return then(.notCoordinator) }
    shard.write(key, write, in: producer, then: then, ended: ended)
  }

  /// Writes the outcome of a transaction into a partition of __share_group_state.
  func end(
    _ marker: TransactionMarker, partition: Int32, _ done: @escaping @Sendable (Result<Void, ErrorCode>) -> Void
  ) {
    let shards = self.shards
    guard partition >= 0, Int(partition) < shards.count else { return done(.failure(.notCoordinator)) }
    shards[Int(partition)].end(marker, then: done)
  }
}

extension ShareStateRuntimeShard {
  func write(
    _ key: ShareStateKey, _ write: ShareStateWrite, in producer: Journal.Producer,
    then: @escaping @Sendable (ErrorCode) -> Void,
    ended: @escaping @Sendable (TransactionalWriteOutcome) -> Void
  ) {
    complete(
      state.withLock { state in
        if let refusal = state.phase.refusal ?? journal.refusal(of: producer) { return .refused { then(refusal) } }
        let record: ShareStateRecord
        switch state.shard.transactionalWrite(key, write) {
        case .success(let accepted): record = accepted
        case .failure(let refusal): return .refused { then(refusal.errorCode) }
        }
        do {
          state.journalEnd = try journal.append(
            [Journal.Fact(record.encode())], nowMs: time.now().wallMs, producer: producer)
        } catch {
          // Refused, and nothing has changed.
          return .refused { then(ErrorCode(ofJournal: error)) }
        }
        state.shard.replay(record, at: state.journalEnd - 1, producerId: producer.id)
        // Flushes are answered in order, so nobody hears of the end first.
        state.endings[producer.id, default: []].append(ended)
        return journaled(state) {
          then(.none)
        } fail: {
          then($0)
        }
      })
  }

  /// Journals the outcome of a transaction; `outcome` is called when it is durable.
  func end(_ marker: TransactionMarker, then outcome: @escaping Outcome<Void>) {
    complete(
      state.withLock { state in
        if let refusal = state.phase.refusal { return .refused { outcome(.failure(refusal)) } }
        do throws(LogError) {
          state.journalEnd = try journal.append(marker, nowMs: time.now().wallMs)
        } catch {
          // Refused, and nothing has changed.
          let code = error.isAboutProducer ? ErrorCode(error) : ErrorCode(ofJournal: error)
          return .refused { outcome(.failure(code)) }
        }
        state.shard.ended(producerId: marker.producerId, isCommit: marker.isCommit)
        let endings = state.endings.removeValue(forKey: marker.producerId) ?? []
        return journaled(state) {
          for tell in endings { tell(marker.isCommit ? .committed : .aborted) }
          outcome(.success(()))
        } fail: { error in
          for tell in endings { tell(.unknown) }
          outcome(.failure(error))
        }
      })
  }
}
