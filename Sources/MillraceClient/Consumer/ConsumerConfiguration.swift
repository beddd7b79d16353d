// What a consumer can be told. Names and meanings are those of Kafka's consumer configs.

/// Where to start when a partition has no position, or one that is not there any more (`auto.offset.reset`).
public enum OffsetReset: String, Sendable, Hashable, CaseIterable {
  /// At the first record that is there.
  case earliest
  /// At the end, with records that are written from now on.
  case latest
  /// Nowhere: that is an error.
  case none
}

/// How a group's leader gives partitions to members (`partition.assignment.strategy`).
public enum GroupAssignor: String, Sendable, Hashable, CaseIterable {
  /// Neighbouring partitions of each topic; equal partitions of different topics to the same member.
  case range
  /// All partitions in turn.
  case roundRobin = "roundrobin"
  /// As evenly as can be, and members keep what they had.
  case sticky
  /// The same without a pause: a member only gives up what is to be another's, and goes on reading the rest meanwhile
  /// (KIP-429). A member that offers others as well gives up everything as they do, so that a group can change over
  /// member by member.
  case cooperativeSticky = "cooperative-sticky"

  var isCooperative: Bool { self == .cooperativeSticky }
}

/// How members of a group agree on who reads what (`group.protocol`).
public enum GroupProtocol: String, Sendable, Hashable, CaseIterable {
  /// A member works it out for all, by ``ConsumerConfiguration/assignors``; but for
  /// ``GroupAssignor/cooperativeSticky`` everybody gives up everything meanwhile.
  case classic
  /// The coordinator decides, and a member only gives up what it has to (KIP-848); brokers from Kafka 4.0 on have it.
  case consumer
}

/// A change of what a group member has to read.
public enum RebalanceEvent: Sendable, Hashable {
  /// Partitions were assigned; reading them begins afterwards.
  case assigned([TopicPartition])
  /// Partitions will be another member's. What was read of them can still be committed.
  case revoked([TopicPartition])
  /// Partitions are another member's already: this one was away for too long.
  case lost([TopicPartition])
}

/// Where reading of a partition starts.
public enum StartPosition: Sendable, Hashable {
  /// The first record that is there.
  case earliest
  /// The end: records that are written from now on.
  case latest
  /// The record with this offset, or the first one behind it.
  case offset(Int64)
  /// The first record with this time or a later one, in milliseconds since 1970; the end if there is none.
  case timestamp(Int64)
  /// So many records before the end.
  case fromEnd(Int64)
  /// What the group committed; where it did not, `ConsumerConfiguration.autoOffsetReset` decides.
  case committed
}

/// How a consumer behaves.
///
/// With a metrics system of swift-metrics bootstrapped before it is made, a consumer counts and measures what Kafka's own
/// does, under the names that its metrics have in Prometheus. Each has the dimension `client_id`, those by topic also
/// `topic` and those by partition `topic` and `partition`.
///
/// | metric | kind | |
/// |---|---|---|
/// | `kafka_consumer_records_consumed_total` | counter by topic | records that were handed out |
/// | `kafka_consumer_bytes_consumed_total` | counter by topic | their bytes, as they were fetched |
/// | `kafka_consumer_records_lag` | gauge by partition | records of it that were not handed out yet |
/// | `kafka_consumer_fetch_latency` | timer | from a fetch to its answer, with the broker's wait for records |
/// | `kafka_consumer_fetch_size` | recorder | bytes of records in an answer |
/// | `kafka_consumer_commit_latency` | timer | from a commit to its answer |
/// | `kafka_consumer_rebalance_total` | counter | assignments by the group |
/// | `kafka_consumer_assigned_partitions` | gauge | partitions that the group has given to this member |
public struct ConsumerConfiguration: Sendable {
  /// The cluster, and how to reach it.
  public var client: ClientConfiguration
  /// The group to share partitions and committed offsets with (`group.id`).
  public var groupId: String?
  /// A name of this member that stays over restarts, so that a restart is no rebalance (KIP-345, `group.instance.id`).
  public var groupInstanceId: String?
  /// Where a partition without a committed offset begins, or whose offset is not there any more
  /// (`auto.offset.reset`).
  public var autoOffsetReset = OffsetReset.latest
  /// How often what was processed is committed (`auto.commit.interval.ms`); nil to leave that to `commit()`.
  public var autoCommitInterval: Duration? = .seconds(5)
  /// How the group's members share out partitions (`group.protocol`). A group changes from one way to the other while
  /// it runs, as its members do.
  public var groupProtocol = GroupProtocol.classic
  /// Which of the coordinator's assignors to use, `uniform` or `range`; nil for the one that it prefers
  /// (`group.remote.assignor`). Of the consumer protocol only.
  public var remoteAssignor: String?
  /// Where this consumer is, for assignors and brokers that know racks (`client.rack`). A leader may then name a replica
  /// nearby, which is read instead (KIP-392).
  public var rack: String?
  /// In order of preference. A group uses the first that all members know. Of the classic protocol only.
  public var assignors: [GroupAssignor] = [.range, .roundRobin]
  /// After how long without a heartbeat a member counts as dead (`session.timeout.ms`). Of the classic protocol only:
  /// otherwise the coordinator decides on it and on the heartbeats.
  public var sessionTimeout: Duration = .seconds(45)
  /// How often a member of a classic group shows that it is alive (`heartbeat.interval.ms`). Shorter than
  /// ``sessionTimeout``.
  public var heartbeatInterval: Duration = .seconds(3)
  /// How long processing of a batch may take before the member gives up its partitions (`max.poll.interval.ms`).
  public var maxPollInterval: Duration = .seconds(300)
  /// How much a broker waits for, up to `fetchMaxWait` (`fetch.min.bytes`).
  public var fetchMinBytes = 1
  /// How long a broker may wait for ``fetchMinBytes`` before it answers (`fetch.max.wait.ms`).
  public var fetchMaxWait: Duration = .milliseconds(500)
  /// How much a fetch returns, unless a single batch is larger (`fetch.max.bytes`).
  public var fetchMaxBytes = 50 << 20
  /// How much of one partition a fetch returns, unless a single batch is larger (`max.partition.fetch.bytes`).
  public var maxPartitionFetchBytes = 1 << 20
  /// How much is fetched ahead of what was processed, over all partitions.
  public var prefetchBytes = 64 << 20
  /// Whether records of transactions are read before these are committed (`isolation.level`).
  public var isolation = IsolationLevel.readUncommitted
  /// Whether the checksums of batches are checked (`check.crcs`).
  public var checksCRCs = true
  /// Whether iteration ends when every partition was read to its end, as of then.
  public var stopAtEnd = false
  /// Called between batches, and waited for.
  public var onRebalance: (@Sendable (RebalanceEvent) async -> Void)?

  /// The defaults, for a cluster and a group. Without one, partitions are assigned by hand and nothing is committed.
  public init(_ client: ClientConfiguration, groupId: String? = nil) {
    self.client = client
    self.groupId = groupId
  }

  func check() throws(KafkaError) {
    guard groupId != "" else { throw KafkaError(.configuration, "the group id is empty") }
    guard groupId != nil || groupInstanceId == nil else {
      throw KafkaError(.configuration, "a group instance id needs a group id")
    }
    try checkFetching()
    guard groupProtocol == .classic else { return }
    guard !assignors.isEmpty else { throw KafkaError(.configuration, "a group needs at least one assignor") }
    guard heartbeatInterval > .zero, heartbeatInterval < sessionTimeout else {
      throw KafkaError(.configuration, "the heartbeat interval must be shorter than the session time-out")
    }
    guard sessionTimeout <= maxPollInterval else {
      throw KafkaError(.configuration, "the session time-out must not be longer than maxPollInterval")
    }
  }

  private func checkFetching() throws(KafkaError) {
    guard fetchMinBytes >= 0, fetchMaxBytes > 0, maxPartitionFetchBytes > 0, prefetchBytes > 0 else {
      throw KafkaError(.configuration, "fetch sizes must be greater than zero")
    }
    guard fetchMaxWait >= .zero, (autoCommitInterval ?? .seconds(1)) > .zero else {
      throw KafkaError(.configuration, "fetchMaxWait and autoCommitInterval must not be negative")
    }
  }
}
