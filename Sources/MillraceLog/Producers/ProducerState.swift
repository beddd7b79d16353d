// What a partition remembers of one producer id (KIP-98): its epoch, its last five batches, by which a retry is known
// for a duplicate and a gap for a gap, and where its open transaction began.

import MillraceRecords

struct ProducerState: Sendable, Equatable {
  /// As many as an idempotent producer may have in flight.
  static let rememberedBatches = 5

  var epoch: Int16
  var coordinatorEpoch: Int32 = -1
  var lastTimestamp: Int64 = -1
  /// When this process last heard of the producer, by its own clock; for a producer from a snapshot, when that was read.
  /// Expiry counts from here, since `lastTimestamp` is whatever the client says.
  var lastSeenMs: Int64 = 0
  /// The first offset of the transaction that is open.
  var transactionStart: Int64?
  /// Oldest first; without storage of their own, since most appends change them.
  private var slots: (AppendedBatch, AppendedBatch, AppendedBatch, AppendedBatch, AppendedBatch) =
    (.none, .none, .none, .none, .none)
  private(set) var batchCount = 0

  init(epoch: Int16 = BatchHeader.noProducerEpoch) {
    self.epoch = epoch
  }

  /// The batch `index` places from the oldest.
  subscript(index: Int) -> AppendedBatch {
    switch index {
    case 0: slots.0
    case 1: slots.1
    case 2: slots.2
    case 3: slots.3
    default: slots.4
    }
  }

  var last: AppendedBatch? { batchCount > 0 ? self[batchCount - 1] : nil }

  mutating func add(_ batch: AppendedBatch) {
    switch batchCount {
    case 0: slots.0 = batch
    case 1: slots.1 = batch
    case 2: slots.2 = batch
    case 3: slots.3 = batch
    case 4: slots.4 = batch
    default: slots = (slots.1, slots.2, slots.3, slots.4, batch)
    }
    batchCount = min(batchCount + 1, Self.rememberedBatches)
    lastTimestamp = batch.timestamp
  }

  /// A new epoch begins without batches.
  mutating func begin(_ epoch: Int16) {
    guard epoch != self.epoch else { return }
    self.epoch = epoch
    batchCount = 0
  }

  func duplicate(firstSequence: Int32, lastSequence: Int32) -> AppendedBatch? {
    for index in 0..<batchCount {
      let batch = self[index]
      if batch.lastSequence == lastSequence, batch.firstSequence == firstSequence { return batch }
    }
    return nil
  }

  static func == (left: ProducerState, right: ProducerState) -> Bool {
    left.epoch == right.epoch && left.coordinatorEpoch == right.coordinatorEpoch
      && left.lastTimestamp == right.lastTimestamp && left.transactionStart == right.transactionStart
      && left.batchCount == right.batchCount && (0..<left.batchCount).allSatisfy { left[$0] == right[$0] }
  }
}

/// A batch that the log has, by its producer's numbers and the log's.
struct AppendedBatch: Sendable, Equatable {
  var lastSequence: Int32
  var lastOffset: Int64
  var offsetDelta: Int32
  var timestamp: Int64

  static let none = AppendedBatch(lastSequence: -1, lastOffset: -1, offsetDelta: 0, timestamp: -1)

  /// -1 for batches without sequences, such as offset commits in a transaction.
  var firstSequence: Int32 {
    lastSequence < 0 ? lastSequence : BatchHeader.sequence(lastSequence, advancedBy: 0 &- offsetDelta)
  }
  var baseOffset: Int64 { lastOffset &- Int64(offsetDelta) }
}
