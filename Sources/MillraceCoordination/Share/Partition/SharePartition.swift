// One partition of a topic as a share group consumes it (KIP-932): which records are with a member, which are available,
// and how often each was delivered.
//
//     finished, forgotten │ in flight                                    │ not fetched yet
//   ──────────────────────┼──────────────────────────────────────────────┼────────────────────
//                    startOffset                                     nextOffset
//
//   available ──acquire──▶ acquired ──accept, reject, gap──▶ finished
//       ▲  ▲                  │ release, lock ran out              ▲
//       │  └────due── waiting ◀┤                                    │ archived(…): the letter is written
//       └─────────────────────┘└──rejected or given up──▶ archiving┘
//
// A plain value. Each event changes it at once and returns a `SharePartitionDecision`; the runtime writes the decision's
// state through the share coordinator and answers when that is durable. When a write fails, for good or because another
// owner has the partition (FENCED_LEADER_EPOCH, FENCED_STATE_EPOCH), the value is thrown away and restored from what is
// persisted: then nobody was told of anything that did not happen. Where Kafka rolls single records back, this goes back
// to the last durable state as a whole.
//
// Not persisted, as in Kafka: who holds which record (after a restart all are available), and with that the last
// delivery of what was held. So a delivery count may be less than the deliveries by those that were cut short, but never
// less than what was persisted.
//
// The cost of every event is that of the runs it touches; it does not grow with the records in flight.

import MillraceProtocol

package struct SharePartition: Sendable {
  /// May change at any time; locks and delays that run already stay as they are.
  package var policy: SharePolicy
  package let stateEpoch: Int32
  package let leaderEpoch: Int32
  /// The first offset that is not finished. All below are.
  package internal(set) var startOffset: Int64
  /// The first offset that has not been fetched yet: nothing at or above it is in flight.
  package internal(set) var nextOffset: Int64

  var runs = InFlightRuns()
  var alarms = InFlightAlarms()
  /// How many records each member holds.
  var held: [String: Int] = [:]
  var jitter: Jitter

  init(policy: SharePolicy, stateEpoch: Int32, leaderEpoch: Int32, startOffset: Int64, seed: UInt64) {
    self.policy = policy
    self.stateEpoch = stateEpoch
    self.leaderEpoch = leaderEpoch
    self.startOffset = startOffset
    nextOffset = startOffset
    jitter = Jitter(state: seed)
  }

  // MARK: Questions

  /// Where the log is to be read for the next `acquire`.
  package var nextFetchOffset: Int64 { runs.firstAvailable?.firstOffset ?? nextOffset }

  /// Whether reading the log is worth it: a record waits to be delivered again, or there is room for new ones.
  package var canAcquire: Bool { runs.tally.available > 0 || runs.tally.unfinished < policy.maxRecordLocks }

  /// When `wake` is to be called (uptime), if nothing else happens before. An alarm that is set too early does no harm.
  package var nextDeadlineMs: Int64? { alarms.nextMs }

  /// Records at and above the start offset that are finished (`DeliveryCompleteCount`, KIP-1226).
  package var deliveryCompleteCount: Int32 { Int32(clamping: runs.tally.finished) }

  package var summary: SharePartitionSummary {
    SharePartitionSummary(
      startOffset: startOffset, nextOffset: nextOffset, available: runs.tally.available, waiting: runs.tally.waiting,
      acquired: runs.tally.acquired, archiving: runs.tally.archiving, finished: runs.tally.finished)
  }

  /// The write that says where the share-partition begins, and nothing else.
  package var startWrite: ShareStateWrite { write([]) }

  // MARK: Common to all events

  /// Finished records at the beginning are forgotten.
  mutating func advanceStart() {
    guard let first = runs.first, first.phase == .finished else { return }
    // Neighbouring finished runs are one, so the next one, if any, is not.
    startOffset = first.lastOffset + 1
    runs.removeAll(below: startOffset)
  }

  /// What a member does not hold any more.
  mutating func letGo(_ memberId: String, _ count: Int) {
    guard let before = held[memberId] else { return }
    held[memberId] = before > count ? before - count : nil
  }

  func write(_ changed: [ShareStateBatch]) -> ShareStateWrite {
    ShareStateWrite(
      stateEpoch: stateEpoch, leaderEpoch: leaderEpoch, startOffset: startOffset,
      deliveryCompleteCount: deliveryCompleteCount,
      batches: changed.compactMap { batch in
        guard batch.lastOffset >= startOffset else { return nil }
        var batch = batch
        batch.firstOffset = max(batch.firstOffset, startOffset)
        return batch
      })
  }
}

/// Randomness that can be repeated: SplitMix64.
struct Jitter: Sendable {
  var state: UInt64

  /// In 0..<1.
  mutating func next() -> Double {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return Double((z ^ (z >> 31)) >> 11) * 0x1p-53
  }
}
