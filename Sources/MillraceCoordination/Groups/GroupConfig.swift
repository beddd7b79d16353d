// The settings that the group coordinator obeys, under Kafka's names and with Kafka's defaults.

package struct GroupConfig: Sendable, Equatable {
  /// `group.min.session.timeout.ms`
  package var minSessionTimeoutMs: Int32 = 6_000
  /// `group.max.session.timeout.ms`
  package var maxSessionTimeoutMs: Int32 = 1_800_000
  /// `group.initial.rebalance.delay.ms`
  package var initialRebalanceDelayMs: Int32 = 3_000
  /// `group.max.size`
  package var maxSize: Int32 = .max
  /// `offset.metadata.max.bytes`, counted as Kafka counts it: in UTF-16 units
  package var offsetMetadataMaxBytes: Int32 = 4_096
  /// `offsets.retention.minutes`, in milliseconds
  package var offsetsRetentionMs: Int64 = 7 * 24 * 60 * 60_000
  /// `group.consumer.…`
  package var consumer = ConsumerGroupConfig()
  /// `group.share.…`
  package var share = ShareGroupConfig()
  /// Of share groups that have configs of their own.
  package var shareOfGroups: [String: ShareGroupConfig] = [:]

  /// How long a new member's first JoinGroup may stay parked. It cannot heartbeat yet and a dead connection goes
  /// unnoticed meanwhile, so the join itself expires; a live client joins again. Not configurable in Kafka either.
  package static let newMemberJoinTimeoutMs: Int64 = 5 * 60_000

  /// How many ids may be handed out in one group to clients that have not come back with them (KIP-394).
  package static let maxPendingMembers = 10_000

  package init() {}

  package func share(of groupId: String) -> ShareGroupConfig { shareOfGroups[groupId] ?? share }
}
