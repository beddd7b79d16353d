// The group coordinator for one partition of __consumer_offsets: the groups whose ids hash there, and their offsets.
//
// A plain value. Each event changes it at once and returns or fills a `GroupDecision`; the runtime journals the
// decision's records and withholds the answers until they are durable. If the journal fails, the shard is thrown away
// and read anew from the log: replaying the records of all decisions so far gives the same groups and offsets, apart
// from rebalances under way, which the log does not know.
//
// `+Membership`, `+Consumer`, `+Share`, `+Offsets`, `+Transactions` and `+Administration` hold the events, `+Journal`
// the replay.

import MillraceProtocol

package struct GroupShard: Sendable {
  package var config: GroupConfig
  package internal(set) var classicGroups: [String: ClassicGroup] = [:]
  package internal(set) var consumerGroups: [String: ConsumerGroup] = [:]
  /// A group id is in one of the three.
  package internal(set) var share = ShareGroupShard()
  package internal(set) var offsets = OffsetStore()
  /// What was committed in transactions that have not ended.
  var pendingOffsets = PendingOffsets()

  /// Of all kinds.
  package var groupCount: Int { classicGroups.count + consumerGroups.count + share.groups.count }

  package init(config: GroupConfig) {
    self.config = config
  }
}
