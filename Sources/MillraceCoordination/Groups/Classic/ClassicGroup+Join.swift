// JoinGroup.
//
// v4+ makes a new dynamic member come back with the id it was given, so that a client which never saw its answer does
// not leave a ghost behind (KIP-394). Static members are known by `group.instance.id` (KIP-345). From v9 on a static
// member that returns as leader of a stable group is told not to assign again (KIP-814).

import MillraceProtocol
import NIOCore

/// Who sends a JoinGroup, and the randomness for the id it may be given.
package struct JoinCaller: Sendable {
  package var version: Int16
  package var clientId: String
  package var clientHost: String
  package var idSuffix: String

  /// `idSuffix` makes member ids unique: a random UUID's text.
  package init(version: Int16, clientId: String, clientHost: String, idSuffix: String) {
    self.version = version
    self.clientId = clientId
    self.clientHost = clientHost
    self.idSuffix = idSuffix
  }

  var mustKnowItsId: Bool { version >= 4 }
  var understandsSkipAssignment: Bool { version >= 9 }

  /// Recognisable for people, unless the name leaves no room: an id has to fit into a string of the protocol.
  func newMemberId(groupInstanceId: String?) -> String {
    let name = groupInstanceId ?? clientId
    return name.utf8.count + 1 + idSuffix.utf8.count > Int(Int16.max) ? idSuffix : "\(name)-\(idSuffix)"
  }
}

extension ClassicGroup {
  mutating func join(
    _ request: JoinGroupRequest, from caller: JoinCaller, ticket: JoinTicket, now: Moment, config: GroupConfig,
    into decision: inout GroupDecision
  ) {
    guard accepts(request.memberId, config) else {
      remove(request.memberId, into: &decision)
      decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .groupMaxSizeReached)))
      // The others need not wait for a member that has just been sent away.
      completeJoinIfEverybodyIsHere(now, config, &decision)
      return
    }
    guard supports(protocolType: request.protocolType, protocols: request.protocols) else {
      let refusal = JoinGroupResponse(refusing: .inconsistentGroupProtocol, memberId: request.memberId)
      decision.answers.append(.join(ticket, refusal))
      return
    }
    if request.memberId.isEmpty {
      joinAsNewMember(request, from: caller, ticket, now, config, &decision)
    } else {
      joinAgain(request, from: caller, ticket, now, config, &decision)
    }
  }

  private func accepts(_ memberId: String, _ config: GroupConfig) -> Bool {
    let limit = Int(config.maxSize)
    switch state {
    case .empty:
      return true
    case .preparingRebalance:
      // Those who wait are counted, not the members: the group may be larger than a limit that was lowered, and this
      // way the last to come back are the ones to go.
      return members[memberId]?.isAwaitingJoin == true || awaitingJoinCount < limit
    case .completingRebalance, .stable:
      return members[memberId] != nil || members.count < limit
    }
  }

  private mutating func joinAsNewMember(
    _ request: JoinGroupRequest, from caller: JoinCaller, _ ticket: JoinTicket, _ now: Moment, _ config: GroupConfig,
    _ decision: inout GroupDecision
  ) {
    let newMemberId = caller.newMemberId(groupInstanceId: request.groupInstanceId)
    if let groupInstanceId = request.groupInstanceId {
      if let oldMemberId = staticMemberId(of: groupInstanceId) {
        returnStaticMember(request, from: caller, oldMemberId, newMemberId, ticket, now, config, &decision)
      } else {
        addMember(newMemberId, request, from: caller, ticket, now, config, &decision)
      }
    } else if !caller.mustKnowItsId {
      addMember(newMemberId, request, from: caller, ticket, now, config, &decision)
    } else if pendingJoins.count >= GroupConfig.maxPendingMembers {
      decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .groupMaxSizeReached)))
    } else {
      var session = Countdown()
      let deadlineMs = now.uptimeMs + Int64(request.sessionTimeoutMs)
      arm(.session(memberId: newMemberId), session.start(until: deadlineMs), &decision)
      pendingJoins[newMemberId] = session
      decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .memberIdRequired, memberId: newMemberId)))
    }
  }

  private mutating func joinAgain(
    _ request: JoinGroupRequest, from caller: JoinCaller, _ ticket: JoinTicket, _ now: Moment, _ config: GroupConfig,
    _ decision: inout GroupDecision
  ) {
    let memberId = request.memberId
    if pendingJoins[memberId] != nil {
      // Only dynamic members are ever pending, so a client that now calls itself static is confused about its id.
      guard request.groupInstanceId == nil else {
        decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .unknownServerError, memberId: memberId)))
        return
      }
      addMember(memberId, request, from: caller, ticket, now, config, &decision)
      return
    }
    if let refusal = refusal(memberId: memberId, groupInstanceId: request.groupInstanceId) {
      decision.answers.append(.join(ticket, JoinGroupResponse(refusing: refusal, memberId: memberId)))
      return
    }
    let hasSameMetadata = members[memberId]?.protocols == [SupportedProtocol](request.protocols)
    let reason: String
    switch state {
    case .empty:
      decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .unknownMemberId, memberId: memberId)))
      return
    case .preparingRebalance:
      reason = "member \(memberId) joins"
    case .completingRebalance:
      if hasSameMetadata {
        // Most likely it missed the answer: tell it again.
        decision.answers.append(.join(ticket, generationAnswer(to: memberId)))
        return
      }
      reason = "member \(memberId) changed its metadata"
    case .stable:
      if leader == memberId {
        // Even without a change of its own: this is how a leader asks for an assignment after topics changed.
        reason = "leader \(memberId) joins again"
      } else if hasSameMetadata {
        decision.answers.append(.join(ticket, generationAnswer(to: memberId)))
        return
      } else {
        reason = "member \(memberId) changed its metadata"
      }
    }
    update(memberId, from: request)
    park(ticket, for: memberId, into: &decision)
    rebalanceOrCompleteJoin(because: Self.with(request, reason), now, config, &decision)
  }

  private mutating func addMember(
    _ memberId: String, _ request: JoinGroupRequest, from caller: JoinCaller, _ ticket: JoinTicket, _ now: Moment,
    _ config: GroupConfig, _ decision: inout GroupDecision
  ) {
    if members.isEmpty { protocolType = request.protocolType }
    if state == .preparingRebalance && stateBefore == .empty { hasNewcomer = true }
    add(
      ClassicMember(
        memberId: memberId, groupInstanceId: request.groupInstanceId, clientId: caller.clientId,
        clientHost: caller.clientHost, rebalanceTimeoutMs: request.rebalanceTimeoutMs,
        sessionTimeoutMs: request.sessionTimeoutMs, protocols: [SupportedProtocol](request.protocols),
        joinTicket: ticket, isNew: true, session: pendingJoins.removeValue(forKey: memberId) ?? Countdown()))
    restartSession(of: memberId, forMs: GroupConfig.newMemberJoinTimeoutMs, now, &decision)
    rebalanceOrCompleteJoin(because: Self.with(request, "member \(memberId) is new"), now, config, &decision)
  }

  private mutating func returnStaticMember(
    _ request: JoinGroupRequest, from caller: JoinCaller, _ oldMemberId: String, _ newMemberId: String,
    _ ticket: JoinTicket, _ now: Moment, _ config: GroupConfig, _ decision: inout GroupDecision
  ) {
    let leaderBefore = leader
    replaceStaticMember(oldMemberId, with: newMemberId, into: &decision)
    update(newMemberId, from: request)
    restartSession(of: newMemberId, now, &decision)
    let reason = Self.with(request, "static member \(oldMemberId) is back as \(newMemberId)")

    switch state {
    case .stable where selectProtocol() == protocolName:
      // It gets its old assignment and nobody else notices, whatever it subscribes to by now.
      subscribedTopics = readSubscribedTopics()
      decision.records.append(record())
      var answer = generationAnswer(to: newMemberId)
      if caller.understandsSkipAssignment {
        answer.skipAssignment = leader == newMemberId
      } else {
        // An older client that were told it is the leader would assign; it is named by the id it no longer has.
        answer.leader = leaderBefore ?? ""
        answer.members = []
      }
      decision.answers.append(.join(ticket, answer))
    case .stable:
      park(ticket, for: newMemberId, into: &decision)
      rebalanceOrCompleteJoin(because: reason, now, config, &decision)
    case .completingRebalance:
      // The leader may be assigning to the old id right now, and that assignment would find nobody.
      park(ticket, for: newMemberId, into: &decision)
      prepareRebalance(because: reason, now, config, &decision)
    case .preparingRebalance:
      park(ticket, for: newMemberId, into: &decision)
      completeJoinIfEverybodyIsHere(now, config, &decision)
    case .empty:
      preconditionFailure("an empty group has no static members")
    }
  }

  /// The current generation as `memberId` has to know it. Only the leader sees the members.
  func generationAnswer(to memberId: String) -> JoinGroupResponse {
    var answer = JoinGroupResponse(
      errorCode: ErrorCode.none.rawValue, generationId: generation, protocolType: protocolType,
      protocolName: protocolName, leader: leader ?? "", memberId: memberId)
    if leader == memberId {
      answer.members = members.values.map { member in
        JoinGroupResponse.JoinGroupResponseMember(
          memberId: member.memberId, groupInstanceId: member.groupInstanceId,
          metadata: member.metadata(for: protocolName) ?? ByteBuffer())
      }
    }
    return answer
  }

  /// The client may say why it joins (KIP-800).
  private static func with(_ request: JoinGroupRequest, _ reason: String) -> String {
    guard let clientReason = request.reason, !clientReason.isEmpty else { return reason }
    return "\(reason); client reason: \(clientReason)"
  }
}
