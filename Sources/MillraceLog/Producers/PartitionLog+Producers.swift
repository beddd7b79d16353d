// Looking at a partition's producers, and forgetting those that stopped.

import MillraceRecords

/// A producer as DescribeProducers tells of it (KIP-664).
package struct ActiveProducer: Sendable, Hashable {
  package var producerId: Int64
  package var epoch: Int16
  package var coordinatorEpoch: Int32
  /// -1 without one.
  package var lastSequence: Int32
  package var lastTimestamp: Int64
  /// The first offset of the open transaction, or -1.
  package var currentTransactionStartOffset: Int64
}

extension PartitionLog {
  package func activeProducers() throws(LogError) -> [ActiveProducer] {
    _ = try currentView()
    return writer.withLock { writer in
      guard let writer else { return [] }
      return writer.producers.producers.map { id, state in
        ActiveProducer(
          producerId: id, epoch: state.epoch, coordinatorEpoch: state.coordinatorEpoch,
          lastSequence: state.last?.lastSequence ?? BatchHeader.noSequence, lastTimestamp: state.lastTimestamp,
          currentTransactionStartOffset: state.transactionStart ?? -1)
      }
    }
  }

  /// The largest id of a producer that the log knows; nil without one, and of a log that is not open.
  package var largestProducerId: Int64? { writer.withLock { $0?.producers.producers.keys.max() } }

  /// The epoch of the coordinator that last ended a transaction of the producer here; nil if none has.
  package func coordinatorEpoch(ofProducer producerId: Int64) -> Int32? {
    writer.withLock { $0?.producers.producers[producerId]?.coordinatorEpoch }
  }

  /// Whether the producer has a transaction open in this partition, under this epoch.
  package func hasOpenTransaction(producerId: Int64, epoch: Int16) throws(LogError) -> Bool {
    _ = try currentView()
    return writer.withLock { writer in
      guard let state = writer?.producers.producers[producerId] else { return false }
      return state.transactionStart != nil && state.epoch == epoch
    }
  }

  /// `producer.id.expiration.ms`: producers idle for that long are unknown from now on. A log that is not open has
  /// nothing to forget.
  func forgetIdleProducers(nowMs: Int64) {
    let expirationMs = config.producerIdExpirationMs
    writer.withLock { $0?.producers.removeExpired(nowMs: nowMs, expirationMs: expirationMs) }
  }
}
