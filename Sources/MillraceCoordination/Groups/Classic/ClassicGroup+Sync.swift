// SyncGroup: the leader brings the assignment, everyone fetches theirs.
//
// The group is stable, and its new generation journaled, in the step in which the leader's SyncGroup arrives. Nobody
// is told before the journal is durable, since the runtime holds all answers back until then.

import MillraceProtocol
import NIOCore

extension ClassicGroup {
  mutating func sync(
    _ request: SyncGroupRequest, ticket: SyncTicket, now: Moment, into decision: inout GroupDecision
  ) {
    let memberId = request.memberId
    if let refusal = refusal(of: request) {
      decision.answers.append(.sync(ticket, SyncGroupResponse(refusing: refusal)))
      return
    }
    pendingSyncs.remove(memberId)
    if pendingSyncs.isEmpty { syncTimer.stop() }

    switch state {
    case .empty, .preparingRebalance:
      preconditionFailure("refused above")
    case .completingRebalance:
      park(ticket, for: memberId, into: &decision)
      if memberId == leader { assign(request.assignments, now, &decision) }
    case .stable:
      decision.answers.append(.sync(ticket, assignmentAnswer(to: memberId)))
    }
  }

  private func refusal(of request: SyncGroupRequest) -> ErrorCode? {
    if state == .empty { return .unknownMemberId }
    if let refusal = refusal(memberId: request.memberId, groupInstanceId: request.groupInstanceId) { return refusal }
    if request.generationId != generation { return .illegalGeneration }
    // v5+ says which protocol the client believes to be in use (KIP-559).
    if let type = request.protocolType, let ours = protocolType, type != ours { return .inconsistentGroupProtocol }
    if let name = request.protocolName, let ours = protocolName, name != ours { return .inconsistentGroupProtocol }
    return state == .preparingRebalance ? .rebalanceInProgress : nil
  }

  private mutating func assign(
    _ assignments: [SyncGroupRequest.SyncGroupRequestAssignment], _ now: Moment, _ decision: inout GroupDecision
  ) {
    // A member that the leader forgot gets nothing; an assignment for somebody unknown is dropped.
    for memberId in members.keys { members[memberId]?.assignment = ByteBuffer() }
    for one in assignments { members[one.memberId]?.assignment = ByteBuffer(buffer: one.assignment) }
    transition(to: .stable, nowMs: now.wallMs)
    decision.records.append(record())
    decision.notices.append(.stable(groupId: groupId, generation: generation))
    answerParkedSyncs(.none, now, &decision)
  }

  mutating func answerParkedSyncs(_ error: ErrorCode, _ now: Moment, _ decision: inout GroupDecision) {
    for memberId in members.keys {
      guard let ticket = takeSyncTicket(of: memberId) else { continue }
      let answer = error == .none ? assignmentAnswer(to: memberId) : SyncGroupResponse(refusing: error)
      decision.answers.append(.sync(ticket, answer))
      // While it was parked its session could run out unnoticed.
      restartSession(of: memberId, now, &decision)
    }
  }

  private func assignmentAnswer(to memberId: String) -> SyncGroupResponse {
    SyncGroupResponse(
      errorCode: ErrorCode.none.rawValue, protocolType: protocolType, protocolName: protocolName,
      assignment: members[memberId]?.assignment ?? ByteBuffer())
  }

  /// Some members were told of the generation a rebalance time-out ago and never asked for their part of it.
  mutating func syncTimeIsUp(_ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision) {
    guard state == .completingRebalance || state == .stable, !pendingSyncs.isEmpty else { return }
    let silent = pendingSyncs.sorted()
    for memberId in silent { remove(memberId, into: &decision) }
    let reason = "no SyncGroup from \(silent.joined(separator: ", "))"
    prepareRebalance(because: reason, now, config, &decision)
  }
}
