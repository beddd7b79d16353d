// The settings of consumer groups (KIP-848), under Kafka's names and with Kafka's defaults.

package struct ConsumerGroupConfig: Sendable, Equatable {
  package struct Timeouts: Sendable, Equatable {
    /// `group.consumer.session.timeout.ms`, for one group `consumer.session.timeout.ms`
    package var sessionTimeoutMs: Int32
    /// `group.consumer.heartbeat.interval.ms`, for one group `consumer.heartbeat.interval.ms`
    package var heartbeatIntervalMs: Int32

    package init(sessionTimeoutMs: Int32, heartbeatIntervalMs: Int32) {
      self.sessionTimeoutMs = sessionTimeoutMs
      self.heartbeatIntervalMs = heartbeatIntervalMs
    }
  }

  package var timeouts = Timeouts(sessionTimeoutMs: 45_000, heartbeatIntervalMs: 5_000)
  /// Of groups that have some of their own.
  package var timeoutsOfGroups: [String: Timeouts] = [:]
  /// `group.consumer.max.size`
  package var maxSize: Int32 = .max
  /// `group.consumer.assignors`; the first is used when members do not ask for one.
  package var assignors: [Assignor] = [.uniform, .range]
  /// `group.consumer.migration.policy`
  package var migrationPolicy = MigrationPolicy.bidirectional
  /// `group.consumer.regex.refresh.interval.ms`
  package var patternRefreshIntervalMs: Int64 = 600_000

  /// What one member may subscribe to, in bytes of topic names and expression. A record of the journal has to hold it.
  package static let maxSubscriptionBytes = 512 << 10
  /// Ids and the like are strings of 16 bits' length in the journal.
  package static let maxIdBytes = Int(Int16.max)

  package init() {}

  package func timeouts(of groupId: String) -> Timeouts { timeoutsOfGroups[groupId] ?? timeouts }
}

/// Whether a group with members may change its protocol, as the first or last consumer of the other kind comes or goes.
package enum MigrationPolicy: String, Sendable, CaseIterable {
  case bidirectional
  /// From classic to consumer.
  case upgrade
  case downgrade
  case disabled

  var allowsUpgrade: Bool { self == .bidirectional || self == .upgrade }
  var allowsDowngrade: Bool { self == .bidirectional || self == .downgrade }
}
