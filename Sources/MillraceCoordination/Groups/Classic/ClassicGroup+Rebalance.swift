// The join phase: from the reason to rebalance to the next generation.

import MillraceProtocol
import NIOCore

extension ClassicGroup {
  mutating func rebalanceOrCompleteJoin(
    because reason: @autoclosure () -> String, _ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision
  ) {
    if state == .preparingRebalance {
      completeJoinIfEverybodyIsHere(now, config, &decision)
    } else {
      prepareRebalance(because: reason(), now, config, &decision)
    }
  }

  mutating func completeJoinIfEverybodyIsHere(
    _ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision
  ) {
    // The first rebalance of a group always waits for its delay, for nobody knows how many will come.
    guard state == .preparingRebalance, stateBefore != .empty, hasAllMembersJoined else { return }
    completeJoin(now, config, &decision)
  }

  mutating func prepareRebalance(
    because reason: String, _ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision
  ) {
    decision.notices.append(.rebalancing(groupId: groupId, generation: generation, reason: reason))
    if state == .completingRebalance {
      for memberId in members.keys { members[memberId]?.assignment = ByteBuffer() }
      answerParkedSyncs(.rebalanceInProgress, now, &decision)
    }
    pendingSyncs.removeAll()
    syncTimer.stop()

    let isInitial = state == .empty
    transition(to: .preparingRebalance, nowMs: now.wallMs)
    if isInitial {
      hasNewcomer = false
      let delayMs = Int64(max(config.initialRebalanceDelayMs, 0))
      waitForJoins(
        .initial(delayMs: delayMs, remainingMs: max(rebalanceTimeoutMs - delayMs, 0)), delayMs, now, &decision)
    } else if hasAllMembersJoined {
      completeJoin(now, config, &decision)
    } else {
      waitForJoins(.rejoining, rebalanceTimeoutMs, now, &decision)
    }
  }

  private mutating func waitForJoins(
    _ stage: JoinStage, _ timeoutMs: Int64, _ now: Moment, _ decision: inout GroupDecision
  ) {
    joinStage = stage
    arm(.join, joinTimer.start(until: now.uptimeMs + timeoutMs), &decision)
  }

  /// The join phase has lasted as long as it may.
  mutating func joinTimeIsUp(_ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision) {
    guard state == .preparingRebalance else { return }
    if case .initial(let delayMs, let remainingMs) = joinStage, hasNewcomer, remainingMs > 0 {
      hasNewcomer = false
      let nextMs = min(Int64(max(config.initialRebalanceDelayMs, 0)), remainingMs)
      let stage = JoinStage.initial(delayMs: nextMs, remainingMs: max(remainingMs - delayMs, 0))
      waitForJoins(stage, nextMs, now, &decision)
    } else {
      completeJoin(now, config, &decision)
    }
  }

  mutating func completeJoin(_ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision) {
    joinTimer.stop()
    for member in members.values where !member.isAwaitingJoin && member.groupInstanceId == nil {
      remove(member.memberId, into: &decision)
    }
    if !electLeaderAmongJoined() && !members.isEmpty {
      // Nobody but absent static members: wait until they return or their sessions end.
      waitForJoins(.rejoining, rebalanceTimeoutMs, now, &decision)
      return
    }

    generation = generation == .max ? 0 : generation + 1
    protocolName = selectProtocol()
    subscribedTopics = readSubscribedTopics()
    pendingSyncs.removeAll()
    if members.isEmpty {
      transition(to: .empty, nowMs: now.wallMs)
      decision.records.append(record())
      decision.notices.append(.empty(groupId: groupId, generation: generation))
      return
    }
    transition(to: .completingRebalance, nowMs: now.wallMs)
    for memberId in members.keys {
      if let ticket = takeJoinTicket(of: memberId) {
        decision.answers.append(.join(ticket, generationAnswer(to: memberId)))
      }
      members[memberId]?.isNew = false
      restartSession(of: memberId, now, &decision)
      pendingSyncs.insert(memberId)
    }
    arm(.sync, syncTimer.start(until: now.uptimeMs + rebalanceTimeoutMs), &decision)
    decision.notices.append(.joined(groupId: groupId, generation: generation, memberCount: members.count))
  }

  /// The leader keeps its office if it came back; otherwise the first who did gets it.
  private mutating func electLeaderAmongJoined() -> Bool {
    if let leader, members[leader]?.isAwaitingJoin == true { return true }
    guard let successor = members.values.first(where: \.isAwaitingJoin) else { return false }
    leader = successor.memberId
    return true
  }
}
