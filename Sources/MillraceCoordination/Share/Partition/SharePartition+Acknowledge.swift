// Acknowledgements: accept, release, reject and renew (KIP-1222), and "gap" for an offset at which a batch has no record.
//
// All of a partition's acknowledgements in one request succeed, or none has any effect and the answer is the error of
// the first that is wrong, in Kafka's terms:
//
//   INVALID_REQUEST        the request contradicts itself, or names offsets that nobody could have got
//   INVALID_RECORD_STATE   a record that this member does not hold, or not any more

import MillraceProtocol

package enum ShareAcknowledgeType: Int8, Sendable {
  case gap = 0
  case accept = 1
  case release = 2
  case reject = 3
  case renew = 4
}

/// One acknowledgement batch of a ShareFetch or ShareAcknowledge, as it came: nothing in it is checked.
package struct ShareAcknowledgement: Sendable, Equatable {
  package var firstOffset: Int64
  package var lastOffset: Int64
  /// One for all offsets, or one for each.
  package var types: [Int8]

  package init(firstOffset: Int64, lastOffset: Int64, types: [Int8]) {
    self.firstOffset = firstOffset
    self.lastOffset = lastOffset
    self.types = types
  }

  package init(_ batch: ShareFetchRequest.AcknowledgementBatch) {
    self.init(firstOffset: batch.firstOffset, lastOffset: batch.lastOffset, types: batch.acknowledgeTypes)
  }

  package init(_ batch: ShareAcknowledgeRequest.AcknowledgementBatch) {
    self.init(firstOffset: batch.firstOffset, lastOffset: batch.lastOffset, types: batch.acknowledgeTypes)
  }
}

extension SharePartition {
  /// - Parameter allowsRenew: the request says `IsRenewAck` (version 2).
  package mutating func acknowledge(
    _ batches: [ShareAcknowledgement], by memberId: String, allowsRenew: Bool, now: Moment
  ) -> (error: ErrorCode, decision: SharePartitionDecision) {
    var plan: [(offsets: ClosedRange<Int64>, type: ShareAcknowledgeType)] = []
    var before: Int64 = -1
    for batch in batches {
      guard let steps = batch.steps(allowsRenew: allowsRenew), batch.firstOffset >= before else {
        return (.invalidRequest, SharePartitionDecision())
      }
      if batch.firstOffset == before { return (.invalidRecordState, SharePartitionDecision()) }
      before = batch.lastOffset
      if batch.lastOffset < startOffset { continue }
      if let refusal = refusal(of: batch.firstOffset...batch.lastOffset, by: memberId) {
        return (refusal, SharePartitionDecision())
      }
      plan += steps
    }
    var outcome = RecordOutcome()
    for step in plan where step.offsets.upperBound >= startOffset {
      perform(step.type, on: step.offsets, now, &outcome)
    }
    return (.none, conclude(outcome))
  }

  /// Offsets that the start has passed need nothing more; all others have to be with this member.
  private func refusal(of offsets: ClosedRange<Int64>, by memberId: String) -> ErrorCode? {
    guard !runs.isEmpty else { return .invalidRecordState }
    guard offsets.upperBound < nextOffset else { return .invalidRequest }
    var refusal: ErrorCode?
    runs.forEach(in: max(offsets.lowerBound, startOffset)...offsets.upperBound) { run in
      if case .acquired(memberId, _) = run.phase { return true }
      refusal = .invalidRecordState
      return false
    }
    return refusal
  }

  private mutating func perform(
    _ type: ShareAcknowledgeType, on offsets: ClosedRange<Int64>, _ now: Moment, _ outcome: inout RecordOutcome
  ) {
    switch type {
    case .accept: end(offsets, as: .acknowledged, &outcome)
    case .gap: end(offsets, as: .archived, &outcome)
    case .reject: giveUp(offsets, .rejected, &outcome)
    case .release: giveBack(offsets, .counted, now, &outcome)
    case .renew: renew(offsets, until: now.uptimeMs.addingClamped(policy.recordLockDurationMs))
    }
  }

  /// The alarm that is set goes off at the old time and finds the new one.
  private mutating func renew(_ offsets: ClosedRange<Int64>, until deadlineMs: Int64) {
    runs.change(offsets) { run in
      guard case .acquired(let memberId, let untilMs) = run.phase else { return }
      run.phase = .acquired(memberId: memberId, untilMs: max(untilMs, deadlineMs))
    }
  }
}

extension ShareAcknowledgement {
  /// What to do with which offsets, neighbours with the same type together; nil if the batch contradicts itself.
  fileprivate func steps(allowsRenew: Bool) -> [(offsets: ClosedRange<Int64>, type: ShareAcknowledgeType)]? {
    guard firstOffset >= 0, firstOffset <= lastOffset, lastOffset < .max, !types.isEmpty else { return nil }
    if types.count > 1, Int64(types.count) != lastOffset - firstOffset + 1 { return nil }
    var steps: [(offsets: ClosedRange<Int64>, type: ShareAcknowledgeType)] = []
    var begin = firstOffset
    for (index, raw) in types.enumerated() {
      guard let type = ShareAcknowledgeType(rawValue: raw), allowsRenew || type != .renew else { return nil }
      let isLast = index == types.count - 1
      guard isLast || types[index + 1] != raw else { continue }
      let end = isLast ? lastOffset : firstOffset + Int64(index)
      steps.append((begin...end, type))
      begin = end + 1
    }
    return steps
  }
}
