// One transactional id: which producer it is now, and how far its transaction has come. A plain value; the rules by
// which it changes are in the extensions of `TransactionShard`.

package struct TransactionPartition: Hashable, Sendable, Comparable {
  package var topic: String
  package var partition: Int32

  package init(topic: String, partition: Int32) {
    self.topic = topic
    self.partition = partition
  }

  package static func < (a: Self, b: Self) -> Bool { (a.topic, a.partition) < (b.topic, b.partition) }
}

/// What the client, or for want of one the cluster, takes part in (KIP-890): 2 raises the epoch with every transaction.
package enum TransactionVersion {
  package static let featureName = "transaction.version"
  package static let range: ClosedRange<Int16> = 0...2
  package static let latest: Int16 = 2

  /// From this level on journal values have tagged fields.
  static let flexibleRecords: Int16 = 1

  package static func raisesEpoch(_ version: Int16) -> Bool { version >= 2 }
}

package struct Transaction: Sendable, Equatable {
  static let noProducerId: Int64 = -1
  static let noEpoch: Int16 = -1
  static let noTimestamp: Int64 = -1

  package let transactionalId: String
  package internal(set) var state = TransactionState.empty
  package internal(set) var producerId: Int64
  /// The producer id before the last change: differs after an exhausted epoch, and tells a retry across it.
  package internal(set) var previousProducerId = noProducerId
  /// The producer id that takes over when the outcome is written, since the epochs of this one are used up.
  package internal(set) var nextProducerId = noProducerId
  package internal(set) var producerEpoch = noEpoch
  /// The epoch that a retry of the last bump would come with (KIP-360). Not journaled, as in Kafka.
  package internal(set) var lastProducerEpoch = noEpoch
  package internal(set) var timeoutMs: Int32
  package internal(set) var partitions: Set<TransactionPartition> = []
  package internal(set) var startMs = noTimestamp
  package internal(set) var lastUpdateMs: Int64
  package internal(set) var clientVersion: Int16 = 0
  /// When an open transaction is aborted, on the monotonic clock. Not journaled: known anew after a start.
  var deadlineMs: Int64?

  init(transactionalId: String, producerId: Int64, timeoutMs: Int32, nowMs: Int64) {
    self.transactionalId = transactionalId
    self.producerId = producerId
    self.timeoutMs = timeoutMs
    lastUpdateMs = nowMs
  }

  /// The epoch may still be raised once, by fencing; what a client is given stays below.
  static func isExhausted(_ epoch: Int16) -> Bool { epoch >= Int16.max - 1 }
  var isEpochExhausted: Bool { Self.isExhausted(producerEpoch) }
  /// No outcome could come with an epoch above this one.
  var hasLastEpoch: Bool { producerEpoch == .max }

  mutating func raiseEpoch() {
    // A journal that another broker wrote could hold the last one; there is nothing above it.
    producerEpoch = producerEpoch == .max ? .max : producerEpoch + 1
  }

  mutating func startClock(_ now: Moment, elapsedMs: Int64 = 0) {
    deadlineMs = now.uptimeMs + max(0, Int64(timeoutMs) - elapsedMs)
  }
}
