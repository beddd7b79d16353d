// What the group coordinator decided about one event. The runtime performs it in this order: append `records` as one
// batch, arm `timers`, and send `answers` once everything journaled so far is durable.

import MillraceProtocol

package struct GroupDecision: Sendable {
  /// Facts for the journal. The shard has already taken them in.
  package var records: [GroupRecord] = []
  /// Parked callers (and the one who asks now) whose answer is known.
  package var answers: [GroupAnswer] = []
  /// Alarms to set. An alarm is never cancelled: when it goes off too late to matter, the shard recognises that.
  package var timers: [GroupTimer] = []
  /// What an operator may want to read in the log.
  package var notices: [GroupNotice] = []
  /// Regular expressions to match with all topics, elsewhere; `GroupShard.patternsMatched` is told what came of it.
  package var patternQueries: [PatternQuery] = []

  /// State of share-partitions to be initialized in the share coordinator, once the records are durable; then
  /// `GroupShard.initialized` and `initializationFailed` are told.
  package var initializations: [ShareInitialization] = []
  /// Members of share groups that were put out because they fell silent: what they hold may be released.
  package var fenced: [ShareSessionKey] = []

  package init() {}
}

/// Names a JoinGroup request that waits for the rebalance it takes part in. Given out by the runtime; used once.
package struct JoinTicket: Hashable, Sendable {
  package let id: UInt64
  package init(id: UInt64) { self.id = id }
}

/// Names a SyncGroup request that waits for the leader's assignment. Given out by the runtime; used once.
package struct SyncTicket: Hashable, Sendable {
  package let id: UInt64
  package init(id: UInt64) { self.id = id }
}

package enum GroupAnswer: Sendable, Equatable {
  case join(JoinTicket, JoinGroupResponse)
  case sync(SyncTicket, SyncGroupResponse)
}

/// An alarm and, at once, the name by which it comes back to `GroupShard.timerFired`.
package struct GroupTimer: Hashable, Sendable {
  package enum Kind: Hashable, Sendable {
    /// The session of a member, or of an id that was handed out and not used yet.
    case session(memberId: String)
    /// The end of the join phase.
    case join
    /// The end of the wait for SyncGroup requests.
    case sync
    /// The end of the wait for a member of a consumer group to give up partitions.
    case revocation(memberId: String)
    /// The end of the wait for a classic member of a consumer group to join again, or to fetch its assignment.
    case memberJoin(memberId: String)
    case memberSync(memberId: String)
  }

  package var groupId: String
  package var kind: Kind
  package var deadlineMs: Int64

  package init(groupId: String, kind: Kind, deadlineMs: Int64) {
    self.groupId = groupId
    self.kind = kind
    self.deadlineMs = deadlineMs
  }
}

package enum GroupNotice: Sendable, Equatable {
  case rebalancing(groupId: String, generation: Int32, reason: String)
  case joined(groupId: String, generation: Int32, memberCount: Int)
  case stable(groupId: String, generation: Int32)
  case empty(groupId: String, generation: Int32)
  case deleted(groupId: String)
  case epochBumped(groupId: String, epoch: Int32, reason: String)
  case removed(groupId: String, memberId: String, reason: String)
  case upgraded(groupId: String)
  case downgraded(groupId: String)
}
