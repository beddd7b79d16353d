// The group coordinator's part in transactions.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension GroupRuntime {
  /// The partition that a transaction has to hold to commit offsets of the group; nil before there is a topic.
  func journalPartition(of groupId: String) -> TransactionPartition? {
    let count = shards.count
    guard count > 0 else { return nil }
    return TransactionPartition(
      topic: Self.topicName, partition: GroupPartitioning.partition(of: groupId, count: Int32(count)))
  }

  /// The journal that the group's offsets go to.
  func journal(of groupId: String) -> Journal? { shard(for: groupId)?.journal }

  func commit(
    _ request: TxnOffsetCommitRequest, _ transaction: TransactionGuard,
    _ answer: @escaping @Sendable (TxnOffsetCommitResponse) -> Void
  ) {
    guard let shard = shard(for: request.groupId) else {
      return answer(TxnOffsetCommitResponse(refusing: request, .notCoordinator))
    }
    shard.commit(request, transaction) { outcome in
      answer(outcome.recover { TxnOffsetCommitResponse(refusing: request, $0) })
    }
  }

  /// Writes the outcome of a transaction into a partition of __consumer_offsets.
  func end(
    _ marker: TransactionMarker, partition: Int32, _ done: @escaping @Sendable (Result<Void, ErrorCode>) -> Void
  ) {
    let shards = self.shards
    guard partition >= 0, Int(partition) < shards.count else { return done(.failure(.notCoordinator)) }
    shards[Int(partition)].end(marker, then: done)
  }
}
