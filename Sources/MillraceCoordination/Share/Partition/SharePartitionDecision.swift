// What a share-partition decided about one event. The runtime performs it in this order: write `write` through the share
// coordinator, and when that is durable answer who asked, begin the dead letters, and let waiting fetches try again.

import MillraceProtocol

package struct SharePartitionDecision: Sendable, Equatable {
  /// What has to be durable before anybody is told. Nil when nothing changed that outlives a restart.
  package var write: ShareStateWrite?
  /// Records that are to become dead letters from now on. Those of before a restart: `SharePartition.deadLetters`.
  package var deadLetters: [DeadLetter] = []
  /// A fetch that found nothing may find something now.
  package var wakesFetches = false

  package init() {}
}

/// What WriteShareGroupState carries for one partition.
package struct ShareStateWrite: Sendable, Equatable {
  package var stateEpoch: Int32
  package var leaderEpoch: Int32
  /// -1: as before.
  package var startOffset: Int64
  /// -1: not known.
  package var deliveryCompleteCount: Int32
  /// In the order of the offsets, none below the start offset (of several writes in one: those of each). May be empty:
  /// then only the start has moved.
  package var batches: [ShareStateBatch]

  package init(
    stateEpoch: Int32, leaderEpoch: Int32, startOffset: Int64, deliveryCompleteCount: Int32, batches: [ShareStateBatch]
  ) {
    self.stateEpoch = stateEpoch
    self.leaderEpoch = leaderEpoch
    self.startOffset = startOffset
    self.deliveryCompleteCount = deliveryCompleteCount
    self.batches = batches
  }

  /// Nil if a batch of the message is no state.
  package init?(_ message: WriteShareGroupStateRequest.PartitionData) {
    let batches = message.stateBatches.compactMap { ShareStateBatch($0) }
    guard batches.count == message.stateBatches.count else { return nil }
    self.init(
      stateEpoch: message.stateEpoch, leaderEpoch: message.leaderEpoch, startOffset: message.startOffset,
      deliveryCompleteCount: message.deliveryCompleteCount, batches: batches)
  }

  /// One write with the effect of this one and then the other.
  package mutating func append(_ later: ShareStateWrite) {
    if later.startOffset != -1 { startOffset = later.startOffset }
    if later.deliveryCompleteCount != -1 { deliveryCompleteCount = later.deliveryCompleteCount }
    batches += later.batches
  }

  package func message(partition: Int32) -> WriteShareGroupStateRequest.PartitionData {
    WriteShareGroupStateRequest.PartitionData(
      partition: partition, stateEpoch: stateEpoch, leaderEpoch: leaderEpoch, startOffset: startOffset,
      deliveryCompleteCount: deliveryCompleteCount, stateBatches: batches.map { $0.message() })
  }
}

/// Records whose letters are to be written: one letter for each offset at which the log has a record.
package struct DeadLetter: Sendable, Equatable {
  package var firstOffset: Int64
  package var lastOffset: Int64
  package var deliveryCount: Int16
  package var cause: DeadLetterCause
}

package struct SharePartitionSummary: Sendable, Equatable {
  package var startOffset: Int64
  package var nextOffset: Int64
  /// Records by state; together all between the two offsets.
  package var available: Int
  package var waiting: Int
  package var acquired: Int
  package var archiving: Int
  package var finished: Int
}
