// Time-outs of a consumer group's members: sessions, partitions that are not given up, and classic members that are slow.

import MillraceProtocol

extension ConsumerGroup {
  func sessionTimeoutMs(of member: ConsumerMember, _ config: ConsumerGroupConfig) -> Int64 {
    Int64(max(0, member.profile.classic?.sessionTimeoutMs ?? config.timeouts(of: groupId).sessionTimeoutMs))
  }

  mutating func restartSession(
    of memberId: String, _ now: Moment, _ config: ConsumerGroupConfig, _ decision: inout GroupDecision
  ) {
    guard let member = members[memberId] else { return }
    let deadlineMs = now.uptimeMs + sessionTimeoutMs(of: member, config)
    let alarmMs = clocks[memberId, default: MemberClocks()].session.start(until: deadlineMs)
    arm(.session(memberId: memberId), alarmMs, &decision)
  }

  mutating func startRevocation(of memberId: String, _ now: Moment, _ decision: inout GroupDecision) {
    guard let member = members[memberId] else { return }
    let deadlineMs = now.uptimeMs + Int64(max(0, member.profile.rebalanceTimeoutMs))
    let alarmMs = clocks[memberId, default: MemberClocks()].revocation.start(until: deadlineMs)
    clocks[memberId]?.revocationEpoch = member.epoch
    arm(.revocation(memberId: memberId), alarmMs, &decision)
  }

  /// Begins to wait for a classic member's JoinGroup, unless that is under way.
  mutating func awaitJoin(of memberId: String, _ now: Moment, _ decision: inout GroupDecision) {
    guard let member = members[memberId], clocks[memberId]?.isJoinAwaited != true else { return }
    let deadlineMs = now.uptimeMs + Int64(max(0, member.profile.rebalanceTimeoutMs))
    let alarmMs = clocks[memberId, default: MemberClocks()].join.start(until: deadlineMs)
    clocks[memberId]?.isJoinAwaited = true
    arm(.memberJoin(memberId: memberId), alarmMs, &decision)
  }

  mutating func awaitSync(of memberId: String, _ now: Moment, _ decision: inout GroupDecision) {
    guard let member = members[memberId] else { return }
    let deadlineMs = now.uptimeMs + Int64(max(0, member.profile.rebalanceTimeoutMs))
    let alarmMs = clocks[memberId, default: MemberClocks()].sync.start(until: deadlineMs)
    arm(.memberSync(memberId: memberId), alarmMs, &decision)
  }

  private func arm(_ kind: GroupTimer.Kind, _ alarmMs: Int64?, _ decision: inout GroupDecision) {
    guard let alarmMs else { return }
    decision.timers.append(GroupTimer(groupId: groupId, kind: kind, deadlineMs: alarmMs))
  }

  /// Replay is over: from now on the members have to be heard of.
  mutating func loaded(now: Moment, config: ConsumerGroupConfig, into decision: inout GroupDecision) {
    for member in members.values.sorted(by: { $0.memberId < $1.memberId }) {
      restartSession(of: member.memberId, now, config, &decision)
      if member.placement.state == .unrevokedPartitions && !member.usesClassicProtocol {
        startRevocation(of: member.memberId, now, &decision)
      }
    }
  }

  /// The member that an alarm has found silent, with what is held against it. The others are set again or forgotten.
  mutating func overdueMember(
    _ timer: GroupTimer, into decision: inout GroupDecision
  ) -> (memberId: String, reason: String)? {
    let memberId: String
    let reason: String
    let firing: Countdown.Firing?
    switch timer.kind {
    case .join, .sync:
      // Of the classic group that this one was.
      return nil
    case .session(let id):
      (memberId, reason) = (id, "its session is over")
      firing = clocks[id]?.session.fired(timer.deadlineMs)
    case .revocation(let id):
      (memberId, reason) = (id, "it did not give up its partitions in time")
      firing = clocks[id]?.revocation.fired(timer.deadlineMs)
      if firing == .expired && members[id]?.epoch != clocks[id]?.revocationEpoch { return nil }
    case .memberJoin(let id):
      (memberId, reason) = (id, "it did not join again in time")
      firing = clocks[id]?.join.fired(timer.deadlineMs)
    case .memberSync(let id):
      (memberId, reason) = (id, "it did not fetch its assignment in time")
      firing = clocks[id]?.sync.fired(timer.deadlineMs)
    }
    switch firing {
    case nil, .outdated: return nil
    case .early(let alarmMs):
      arm(timer.kind, alarmMs, &decision)
      return nil
    case .expired: return members[memberId] == nil ? nil : (memberId, reason)
    }
  }
}
