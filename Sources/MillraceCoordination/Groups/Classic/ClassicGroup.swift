// A group under the classic protocol (JoinGroup, SyncGroup, Heartbeat, LeaveGroup): its state and its members.
//
//              join                 all joined, or time is up            leader syncs
//   Empty ----------> PreparingRebalance -------------> CompletingRebalance -------> Stable
//     ^                   |        ^                            |                     |
//     +---- nobody left --+        +---- a member comes, goes, changes or is silent --+
//
// Kafka's fifth state, Dead, is a group that is just being removed; here removal is one step and nobody meets it.
//
// Invariants: every parked ticket belongs to a member and is answered exactly once, also when the member goes; the
// leader is a member; in every state but Empty all members have at least one protocol in common.
//
// `+Join`, `+Rebalance`, `+Sync`, `+Session` and `+Leave` hold the events. They follow Kafka 4.2's coordinator.

import MillraceProtocol
import OrderedCollections

package struct ClassicGroup: Sendable {
  package enum State: String, Sendable {
    case empty = "Empty"
    case preparingRebalance = "PreparingRebalance"
    case completingRebalance = "CompletingRebalance"
    case stable = "Stable"
  }

  /// Why the join phase has a deadline.
  enum JoinStage: Sendable {
    /// The first join of an empty group waits for company (KIP-134): extended while new members keep coming.
    case initial(delayMs: Int64, remainingMs: Int64)
    /// Everyone is given the rebalance time-out to come back.
    case rejoining
  }

  /// What consumers put into `protocolType`; only then are subscriptions understood.
  static let consumerProtocolType = "consumer"

  package let groupId: String
  package private(set) var state: State
  private(set) var stateBefore: State = .empty
  package private(set) var stateTimestampMs: Int64?
  package internal(set) var generation: Int32 = 0
  package internal(set) var protocolType: String?
  package internal(set) var protocolName: String?
  package internal(set) var leader: String?
  /// In the order of joining.
  package internal(set) var members: OrderedDictionary<String, ClassicMember> = [:]
  private(set) var staticMembers: [String: String] = [:]
  /// Ids handed out by MEMBER_ID_REQUIRED whose owners have not joined with them yet (KIP-394).
  var pendingJoins: [String: Countdown] = [:]
  /// Members that were told of the generation and have not sent SyncGroup.
  var pendingSyncs: Set<String> = []
  /// How many members support each protocol.
  private var supporters: [String: Int] = [:]
  private(set) var awaitingJoinCount = 0
  /// Topics of all subscriptions; nil when the group is not one of consumers or a subscription cannot be read.
  package internal(set) var subscribedTopics: Set<String>?

  var joinStage = JoinStage.rejoining
  var joinTimer = Countdown()
  var syncTimer = Countdown()
  /// Somebody joined since the initial delay was last extended.
  var hasNewcomer = false

  package init(groupId: String, nowMs: Int64) {
    self.groupId = groupId
    self.state = .empty
    self.stateTimestampMs = nowMs
  }

  /// A group as the journal describes it.
  init(groupId: String, state: State, stateTimestampMs: Int64?) {
    self.groupId = groupId
    self.state = state
    self.stateTimestampMs = stateTimestampMs
  }

  mutating func transition(to next: State, nowMs: Int64) {
    stateBefore = state
    state = next
    stateTimestampMs = nowMs
  }

  var usesConsumerProtocol: Bool { protocolType == Self.consumerProtocolType }

  var hasAllMembersJoined: Bool { members.count == awaitingJoinCount && pendingJoins.isEmpty }

  /// The longest that any member asked to be given for a rebalance.
  var rebalanceTimeoutMs: Int64 { members.values.reduce(0) { max($0, Int64($1.rebalanceTimeoutMs)) } }

  func staticMemberId(of groupInstanceId: String) -> String? { staticMembers[groupInstanceId] }
}

// MARK: - Members

extension ClassicGroup {
  /// The reason to turn away a caller that claims to be `memberId`, if there is one (KIP-345 for fencing).
  func refusal(memberId: String, groupInstanceId: String?) -> ErrorCode? {
    if let groupInstanceId {
      guard let current = staticMembers[groupInstanceId] else { return .unknownMemberId }
      if current != memberId { return .fencedInstanceId }
    }
    return members[memberId] == nil ? .unknownMemberId : nil
  }

  mutating func add(_ member: ClassicMember) {
    if let groupInstanceId = member.groupInstanceId { staticMembers[groupInstanceId] = member.memberId }
    if leader == nil { leader = member.memberId }
    count(member.protocols, by: 1)
    if member.isAwaitingJoin { awaitingJoinCount += 1 }
    members[member.memberId] = member
  }

  /// Takes a member, or a pending id, out of the group. Whatever it still waited for is answered.
  mutating func remove(_ memberId: String, into decision: inout GroupDecision) {
    if let member = members.removeValue(forKey: memberId) {
      count(member.protocols, by: -1)
      if let ticket = member.joinTicket {
        awaitingJoinCount -= 1
        decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .unknownMemberId)))
      }
      if let ticket = member.syncTicket {
        decision.answers.append(.sync(ticket, SyncGroupResponse(refusing: .unknownMemberId)))
      }
      if let groupInstanceId = member.groupInstanceId, staticMembers[groupInstanceId] == memberId {
        staticMembers[groupInstanceId] = nil
      }
      if leader == memberId { leader = members.keys.first }
    }
    pendingJoins[memberId] = nil
    pendingSyncs.remove(memberId)
  }

  /// A static member came back without its old id: the newcomer takes its place and the old id is fenced (KIP-345).
  mutating func replaceStaticMember(
    _ oldMemberId: String, with newMemberId: String, into decision: inout GroupDecision
  ) {
    guard let old = members.removeValue(forKey: oldMemberId) else {
      preconditionFailure("the static member \(oldMemberId) is not in the group")
    }
    if let ticket = old.joinTicket {
      awaitingJoinCount -= 1
      decision.answers.append(.join(ticket, JoinGroupResponse(refusing: .fencedInstanceId, memberId: oldMemberId)))
    }
    if let ticket = old.syncTicket {
      decision.answers.append(.sync(ticket, SyncGroupResponse(refusing: .fencedInstanceId)))
    }
    members[newMemberId] = ClassicMember(
      memberId: newMemberId, groupInstanceId: old.groupInstanceId, clientId: old.clientId, clientHost: old.clientHost,
      rebalanceTimeoutMs: old.rebalanceTimeoutMs, sessionTimeoutMs: old.sessionTimeoutMs, protocols: old.protocols,
      assignment: old.assignment)
    if let groupInstanceId = old.groupInstanceId { staticMembers[groupInstanceId] = newMemberId }
    if leader == oldMemberId { leader = newMemberId }
    if pendingSyncs.remove(oldMemberId) != nil { pendingSyncs.insert(newMemberId) }
  }

  /// What a member says anew with each JoinGroup.
  mutating func update(_ memberId: String, from request: JoinGroupRequest) {
    guard var member = members[memberId] else { preconditionFailure("\(memberId) is not in the group") }
    count(member.protocols, by: -1)
    member.protocols = [SupportedProtocol](request.protocols)
    member.rebalanceTimeoutMs = request.rebalanceTimeoutMs
    member.sessionTimeoutMs = request.sessionTimeoutMs
    count(member.protocols, by: 1)
    members[memberId] = member
  }

  /// Parks a JoinGroup. One that the member left waiting before (on a connection it gave up, most likely) is answered.
  mutating func park(_ ticket: JoinTicket, for memberId: String, into decision: inout GroupDecision) {
    if let forgotten = members[memberId]?.joinTicket {
      decision.answers.append(.join(forgotten, JoinGroupResponse(refusing: .rebalanceInProgress, memberId: memberId)))
    } else {
      awaitingJoinCount += 1
    }
    members[memberId]?.joinTicket = ticket
  }

  mutating func park(_ ticket: SyncTicket, for memberId: String, into decision: inout GroupDecision) {
    if let forgotten = members[memberId]?.syncTicket {
      decision.answers.append(.sync(forgotten, SyncGroupResponse(refusing: .rebalanceInProgress)))
    }
    members[memberId]?.syncTicket = ticket
  }

  /// The parked JoinGroup of a member, if any, which the caller now answers.
  mutating func takeJoinTicket(of memberId: String) -> JoinTicket? {
    guard let ticket = members[memberId]?.joinTicket else { return nil }
    members[memberId]?.joinTicket = nil
    awaitingJoinCount -= 1
    return ticket
  }

  mutating func takeSyncTicket(of memberId: String) -> SyncTicket? {
    guard let ticket = members[memberId]?.syncTicket else { return nil }
    members[memberId]?.syncTicket = nil
    return ticket
  }
}

// MARK: - Protocols

extension ClassicGroup {
  private mutating func count(_ protocols: [SupportedProtocol], by step: Int) {
    for one in protocols { supporters[one.name, default: 0] += step }
  }

  /// Whether a member with these protocols and the members there are can agree on one.
  func supports(protocolType type: String, protocols: [JoinGroupRequest.JoinGroupRequestProtocol]) -> Bool {
    if state == .empty { return !type.isEmpty && !protocols.isEmpty }
    return type == protocolType && protocols.contains { supporters[$0.name, default: 0] == members.count }
  }

  /// Each member votes for the protocol it likes best among those that all support. A tie goes to the one that the
  /// member longest in the group prefers, so that every coordinator decides alike.
  func selectProtocol() -> String? {
    var votes: OrderedDictionary<String, Int> = [:]
    for member in members.values {
      let favourite = member.protocols.first { supporters[$0.name, default: 0] == members.count }
      if let favourite { votes[favourite.name, default: 0] += 1 }
    }
    let most = votes.values.max()
    return votes.first { $0.value == most }?.key
  }
}
