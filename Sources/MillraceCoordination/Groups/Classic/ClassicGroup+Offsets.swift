// What a classic group allows to be done to its committed offsets.

import MillraceProtocol

extension ClassicGroup {
  /// Members commit for their generation; a client without membership may commit only while the group is empty.
  func refusalOfCommit(memberId: String, groupInstanceId: String?, generation claimed: Int32) -> ErrorCode? {
    if claimed < 0 && state == .empty { return nil }
    if claimed >= 0 || !memberId.isEmpty || groupInstanceId != nil {
      if let refusal = refusal(memberId: memberId, groupInstanceId: groupInstanceId) { return refusal }
      if claimed != generation { return .illegalGeneration }
    } else if state != .empty {
      return .unknownMemberId
    }
    // It knows the generation, so it has joined, but it may be committing for partitions that it is about to lose.
    return state == .completingRebalance ? .rebalanceInProgress : nil
  }

  /// Older producers say nothing of the group's generation; what they say is checked, and the group's state is not: it is
  /// the transaction that may come too late.
  func refusalOfTransactionalCommit(
    memberId: String, groupInstanceId: String?, generation claimed: Int32
  ) -> ErrorCode? {
    if claimed < 0 && state == .empty { return nil }
    guard claimed >= 0 || !memberId.isEmpty || groupInstanceId != nil else { return nil }
    if let refusal = refusal(memberId: memberId, groupInstanceId: groupInstanceId) { return refusal }
    return claimed == generation ? nil : .illegalGeneration
  }

  /// A commit shows that the member is alive, except between join and sync.
  mutating func committed(by memberId: String, _ now: Moment, _ decision: inout GroupDecision) {
    guard state == .stable || state == .preparingRebalance else { return }
    restartSession(of: memberId, now, &decision)
  }

  /// Offsets of topics that nobody subscribes to may go while consumers are there; other kinds of groups have to be
  /// empty, since nobody can tell what they use.
  var refusalOfOffsetDeletion: ErrorCode? {
    state == .empty || usesConsumerProtocol ? nil : .nonEmptyGroup
  }

  /// Since when an offset of this group counts as unused; nil if it does not as long as the group is as it is
  /// (KIP-211).
  func unusedSince(_ offset: CommittedOffset) -> Int64? {
    guard protocolType != nil else { return offset.commitTimestampMs }
    if state == .empty { return stateTimestampMs ?? offset.commitTimestampMs }
    return usesConsumerProtocol && subscribedTopics != nil && state == .stable ? offset.commitTimestampMs : nil
  }
}
