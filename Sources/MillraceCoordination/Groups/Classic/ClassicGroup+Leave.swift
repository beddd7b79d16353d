// LeaveGroup: members by id, static members also by `group.instance.id` alone, as an administrator removes them
// (KIP-345, KIP-571). One request, one rebalance.

import MillraceProtocol

extension ClassicGroup {
  mutating func leave(
    _ leaving: [LeaveGroupRequest.MemberIdentity], now: Moment, config: GroupConfig,
    into decision: inout GroupDecision
  ) -> [LeaveGroupResponse.MemberResponse] {
    var left: [String] = []
    let responses = leaving.map { identity in
      let error: ErrorCode
      switch memberToRemove(for: identity) {
      case .success(let memberId):
        remove(memberId, into: &decision)
        left.append(memberId)
        error = .none
      case .failure(let refusal):
        error = refusal
      }
      return LeaveGroupResponse.MemberResponse(
        memberId: identity.memberId, groupInstanceId: identity.groupInstanceId, errorCode: error.rawValue)
    }
    guard !left.isEmpty else { return responses }
    switch state {
    case .stable, .completingRebalance:
      prepareRebalance(because: "\(left.joined(separator: ", ")) left", now, config, &decision)
    case .preparingRebalance:
      completeJoinIfEverybodyIsHere(now, config, &decision)
    case .empty:
      break
    }
    return responses
  }

  private func memberToRemove(for identity: LeaveGroupRequest.MemberIdentity) -> Result<String, ErrorCode> {
    if identity.memberId.isEmpty {
      guard let current = identity.groupInstanceId.flatMap(staticMemberId(of:)) else {
        return .failure(.unknownMemberId)
      }
      return .success(current)
    }
    if pendingJoins[identity.memberId] != nil { return .success(identity.memberId) }
    if let refusal = refusal(memberId: identity.memberId, groupInstanceId: identity.groupInstanceId) {
      return .failure(refusal)
    }
    return .success(identity.memberId)
  }
}
