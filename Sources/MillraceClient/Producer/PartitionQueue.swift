// The batches of one partition, in the order in which their records were appended:
//
//    sent (oldest first, sequences ascending)   │   ready (full or due)   │   open (being filled)
//
// A batch that has to be sent again holds up all behind it, and goes out alone: that keeps the order. So does the first
// one under an epoch, because a broker that does not know the producer takes any sequence (KIP-360): were the first
// refused, the one behind it would be taken.

import MillraceRecords
import NIOCore

struct PartitionQueue {
  let topic: Int
  let partition: Int32
  var leader: Int32?
  var open: OpenBatch?
  var ready = CircularBuffer<OpenBatch>()
  var sent: [SentBatch] = []
  /// The sequence of the next record that is sent for the first time.
  var nextSequence: Int32 = 0
  /// A batch with a sequence failed without it being known whether the broker has it.
  var hasGap = false
  /// The broker took a batch under the current epoch, so it minds the sequences of those that follow.
  var isEstablished = false
  /// The coordinator knows that it is part of the transaction (transaction version 1).
  var isAnnounced = false
  /// The size of the last batch, a guess at the room that the next one needs.
  var usualBatchBytes = 0

  init(topic: Int, partition: Int32, leader: Int32?) {
    self.topic = topic
    self.partition = partition
    self.leader = leader
  }

  var isEmpty: Bool { open == nil && ready.isEmpty && sent.isEmpty }

  /// Whether somebody waits for a record of the open batch.
  var hasCallers: Bool { open?.callers.waiting.isEmpty == false }

  mutating func closeOpen() {
    if let batch = open.take() { ready.append(batch) }
  }

  enum Next {
    case nothing
    case again(SealedBatch, index: Int)
    case fresh
  }

  /// What may be sent now. `isUrgent`: batches need not be full or due.
  func next(now: NIODeadline, linger: TimeAmount, maxSent: Int, allowsFresh: Bool, isUrgent: Bool) -> Next {
    if let oldest = sent.first {
      if case .retrying(let sealed, let after) = oldest.state {
        return after <= now ? .again(sealed, index: 0) : .nothing
      }
      guard sent.count < maxSent, !isHeldUp else { return .nothing }
    }
    guard allowsFresh else { return .nothing }
    if !ready.isEmpty { return .fresh }
    guard let open else { return .nothing }
    return isUrgent || open.openedAt + linger <= now ? .fresh : .nothing
  }

  /// Whether what is sent for the first time has to wait for what was sent before.
  private var isHeldUp: Bool {
    sent.contains { $0.isRetry || $0.hasMoved || !$0.isUnanswered || ($0.isSequenced && !isEstablished) }
  }

  /// The oldest batch that was not sent yet, closed if it is still open.
  mutating func takeFresh() -> OpenBatch? {
    ready.popFirst() ?? open.take()
  }

  /// When `next` may say something else without anything happening.
  func nextChange(linger: TimeAmount) -> NIODeadline? {
    if let oldest = sent.first {
      if case .retrying(_, let after) = oldest.state { return after }
      if isHeldUp { return nil }
    }
    return open.map { $0.openedAt + linger }
  }
}
