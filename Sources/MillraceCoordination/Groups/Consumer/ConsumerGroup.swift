// A group under the consumer protocol of KIP-848: members say what they want in heartbeats, the coordinator decides who
// gets what, and each member is led there on its own, without a moment in which all stand still.
//
//   group epoch       grows when a member comes, goes or changes its mind, or when topics change
//   assignment epoch  the group epoch that the target assignment was computed for; catches up at the next heartbeat
//   member epoch      the assignment epoch that the member has reached
//
// Invariant: a partition has at most one owner, the member that has it assigned or has not given it up yet. Nobody is
// assigned a partition that another member owns.
//
// A group changes by its records alone (`+Journal`): an event decides on a record, which is taken in and journaled in
// one step, so replaying the journal gives the same group. Beside that are only clocks, and what can be looked up again.
//
// `+Heartbeat`, `+Target`, `+Reconciliation`, `+Leave`, `+ClassicMembers`, `+Offsets`, `+Patterns` and `+Time` hold the
// events. They follow Kafka 4.2's coordinator.

import MillraceProtocol

package struct ConsumerGroup: Sendable {
  package enum State: String, Sendable {
    case empty = "Empty"
    /// The target assignment is about to be computed.
    case assigning = "Assigning"
    case reconciling = "Reconciling"
    case stable = "Stable"
  }

  package let groupId: String

  // What the journal says.
  package internal(set) var epoch: Int32 = 0
  /// Of the topics that the group subscribes to, as last seen.
  var metadataHash: Int64 = 0
  package internal(set) var assignmentEpoch: Int32 = 0
  package internal(set) var members: [String: ConsumerMember] = [:]
  package internal(set) var targets: [String: PartitionsByTopic] = [:]
  /// Topics that match each regular expression.
  var resolvedPatterns: [String: ResolvedPattern] = [:]
  /// Kafka before 4.0 journaled the topics themselves; the record goes when the group next looks at its topics.
  var hasPartitionMetadataRecord = false

  // Derived from the members.
  var index = MemberIndex()
  /// Members that are not where the target assignment wants them.
  var unreconciledCount = 0

  // Not journaled.
  var clocks: [String: MemberClocks] = [:]
  /// Version of the topics that `metadataHash` was last compared with.
  var checkedTopicsVersion: UInt64?
  var patternRefresh = PatternRefresh()

  init(groupId: String) { self.groupId = groupId }

  package var state: State {
    if members.isEmpty { return .empty }
    if epoch > assignmentEpoch { return .assigning }
    return unreconciledCount > 0 ? .reconciling : .stable
  }

  /// The owner of a partition: who has it, or was told to give it up and has not said so yet.
  package func owner(of topic: Uuid, _ partition: Int32) -> String? { index.owners[topic]?[partition] }

  package func isSubscribed(to topic: String) -> Bool {
    index.topicNames[topic] != nil || resolvedPatterns.values.contains { $0.topics.contains(topic) }
  }

  func staticMember(_ instanceId: String) -> ConsumerMember? { index.staticMembers[instanceId].flatMap { members[$0] } }
}

/// Time-outs of one member.
struct MemberClocks: Sendable {
  var session = Countdown()
  /// It has partitions to give up, and does not stay for ever in the epoch in which it was told so.
  var revocation = Countdown()
  var revocationEpoch: Int32 = 0
  /// A classic member was told to join again.
  var join = Countdown()
  var isJoinAwaited = false
  /// A classic member has joined and has to fetch its assignment.
  var sync = Countdown()
}
