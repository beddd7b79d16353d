// A share-partition as it is after a start: from what ReadShareGroupState answers.

import MillraceProtocol

package enum SharePartitionError: Error, Equatable {
  /// What was persisted is no state of a share-partition: batches out of order, overlapping, or below the start offset.
  case malformedState
}

/// What is persisted of a share-partition.
package struct PersistedShareState: Sendable, Equatable {
  package static let uninitializedStartOffset: Int64 = -1

  package var stateEpoch: Int32
  /// -1 before the first record was delivered: then the group's `share.auto.offset.reset` says where to begin.
  package var startOffset: Int64
  package var batches: [ShareStateBatch]

  package init(stateEpoch: Int32, startOffset: Int64, batches: [ShareStateBatch]) {
    self.stateEpoch = stateEpoch
    self.startOffset = startOffset
    self.batches = batches
  }

  package init(_ result: ReadShareGroupStateResponse.PartitionResult) throws(SharePartitionError) {
    var batches: [ShareStateBatch] = []
    for message in result.stateBatches {
      guard let batch = ShareStateBatch(message) else { throw .malformedState }
      batches.append(batch)
    }
    self.init(stateEpoch: result.stateEpoch, startOffset: result.startOffset, batches: batches)
  }

  package var needsStartOffset: Bool { startOffset == Self.uninitializedStartOffset }
}

extension SharePartition {
  /// - Parameters:
  ///   - resetOffset: where to begin if that was never persisted (`PersistedShareState.needsStartOffset`).
  ///   - seed: for the jitter of delayed retries.
  package init(
    restoring state: PersistedShareState, leaderEpoch: Int32, resetOffset: Int64, policy: SharePolicy, seed: UInt64,
    now: Moment
  ) throws(SharePartitionError) {
    let start = state.needsStartOffset ? max(0, resetOffset) : state.startOffset
    guard start >= 0, start < .max else { throw .malformedState }
    self.init(policy: policy, stateEpoch: state.stateEpoch, leaderEpoch: leaderEpoch, startOffset: start, seed: seed)
    for batch in state.batches {
      guard batch.firstOffset >= nextOffset, batch.lastOffset >= batch.firstOffset, batch.lastOffset < .max else {
        throw .malformedState
      }
      if batch.firstOffset > nextOffset {
        // Delivered and not heard of again before the restart.
        runs.append(InFlightRun(nextOffset...(batch.firstOffset - 1), .available))
      }
      let run = InFlightRun(
        batch.firstOffset...batch.lastOffset, phase(of: batch, now: now), deliveryCount: batch.deliveryCount)
      runs.append(run)
      if let deadlineMs = run.deadlineMs { alarms.set(run.offsets, at: deadlineMs) }
      nextOffset = batch.lastOffset + 1
    }
    advanceStart()
  }

  private func phase(of batch: ShareStateBatch, now: Moment) -> InFlightRun.Phase {
    switch batch.state {
    case .acknowledged, .archived: return .finished
    case .archiving: return .archiving(batch.cause ?? .rejected)
    case .acquired: return .available
    case .available:
      guard let notBeforeMs = batch.notBeforeMs else { return .available }
      // A clock that went back, or a number that is none, cannot hold a record longer than the longest delay.
      let left = min(
        notBeforeMs.addingClamped(now.wallMs == .min ? .max : -now.wallMs),
        max(policy.retryBackoffMs, policy.retryBackoffMaxMs))
      return left > 0 ? .waiting(untilMs: now.uptimeMs.addingClamped(left)) : .available
    }
  }
}
