// Heartbeat, and what happens when time runs out.

import MillraceProtocol

extension ClassicGroup {
  mutating func heartbeat(_ request: HeartbeatRequest, now: Moment, into decision: inout GroupDecision) -> ErrorCode {
    if let refusal = refusal(memberId: request.memberId, groupInstanceId: request.groupInstanceId) { return refusal }
    if request.generationId != generation { return .illegalGeneration }
    restartSession(of: request.memberId, now, &decision)
    return state == .preparingRebalance ? .rebalanceInProgress : .none
  }

  mutating func restartSession(of memberId: String, _ now: Moment, _ decision: inout GroupDecision) {
    guard let member = members[memberId] else { return }
    restartSession(of: memberId, forMs: Int64(member.sessionTimeoutMs), now, &decision)
  }

  mutating func restartSession(
    of memberId: String, forMs timeoutMs: Int64, _ now: Moment, _ decision: inout GroupDecision
  ) {
    guard let alarmMs = members[memberId]?.session.start(until: now.uptimeMs + timeoutMs) else { return }
    arm(.session(memberId: memberId), alarmMs, &decision)
  }

  func arm(_ kind: GroupTimer.Kind, _ alarmMs: Int64?, _ decision: inout GroupDecision) {
    guard let alarmMs else { return }
    decision.timers.append(GroupTimer(groupId: groupId, kind: kind, deadlineMs: alarmMs))
  }

  mutating func timerFired(_ timer: GroupTimer, now: Moment, config: GroupConfig, into decision: inout GroupDecision) {
    let firing: Countdown.Firing
    switch timer.kind {
    case .join:
      firing = joinTimer.fired(timer.deadlineMs)
    case .sync:
      firing = syncTimer.fired(timer.deadlineMs)
    case .revocation, .memberJoin, .memberSync:
      // Of the consumer group that this one was.
      firing = .outdated
    case .session(let memberId):
      firing =
        members[memberId]?.session.fired(timer.deadlineMs) ?? pendingJoins[memberId]?.fired(timer.deadlineMs)
        ?? .outdated
    }
    switch (firing, timer.kind) {
    case (.outdated, _): break
    case (.early(let alarmMs), _): arm(timer.kind, alarmMs, &decision)
    case (.expired, .join): joinTimeIsUp(now, config, &decision)
    case (.expired, .sync): syncTimeIsUp(now, config, &decision)
    case (.expired, .session(let memberId)): sessionIsOver(memberId, now, config, &decision)
    case (.expired, .revocation), (.expired, .memberJoin), (.expired, .memberSync): break
    }
  }

  private mutating func sessionIsOver(
    _ memberId: String, _ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision
  ) {
    // A member that waits for us is alive as far as we can tell; its session starts again with the answer.
    if members[memberId]?.hasSatisfiedHeartbeat == true { return }
    let wasMember = members[memberId] != nil
    remove(memberId, into: &decision)
    switch state {
    case .stable, .completingRebalance:
      if wasMember { prepareRebalance(because: "the session of \(memberId) is over", now, config, &decision) }
    case .preparingRebalance:
      if hasAllMembersJoined { completeJoin(now, config, &decision) }
    case .empty:
      break
    }
  }
}
