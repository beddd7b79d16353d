// The outcome of a producer's transaction, as it is written into one partition.

import MillraceLog
import MillraceRecords

package struct TransactionMarker: Sendable {
  package var producerId: Int64
  package var producerEpoch: Int16
  package var isCommit: Bool
  package var coordinatorEpoch: Int32
  /// Of the transaction (KIP-890).
  package var transactionVersion: Int16

  /// In transaction version 2 the outcome comes with an epoch above that of the records.
  var `guard`: TransactionGuard { transactionVersion >= 2 ? .raisedEpoch : .unchecked }

  func batch(nowMs: Int64) -> [UInt8] {
    EndTransactionMarker(isCommit: isCommit, coordinatorEpoch: coordinatorEpoch).batch(
      producerId: producerId, producerEpoch: producerEpoch, timestamp: nowMs)
  }
}
