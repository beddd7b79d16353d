// What a share consumer can be told. Names and meanings are those of Kafka's share consumer configs (KIP-932).

/// When a record counts as processed (`share.acknowledgement.mode`).
public enum AcknowledgementMode: String, Sendable, Hashable, CaseIterable {
  /// When the application asks for more, unless it has said something else of the record before.
  case implicit
  /// When the application says so.
  case explicit
}

/// How many records a fetch brings (`share.acquire.mode`, KIP-1206).
public enum AcquireMode: String, Sendable, Hashable, CaseIterable {
  /// About `maxRecords`: whole batches, which is less work for everybody.
  case batchOptimized = "batch_optimized"
  /// At most `maxRecords`. Brokers that do not know it send whole batches.
  case recordLimit = "record_limit"
}

/// How a share consumer behaves.
///
/// With a metrics system of swift-metrics bootstrapped before it is made, it counts and measures the following, with the
/// dimension `client_id`, and `topic` where it says so.
///
/// | metric | kind | |
/// |---|---|---|
/// | `kafka_share_consumer_records_acquired_total` | counter by topic | records that were delivered to this member |
/// | `kafka_share_consumer_fetch_latency` | timer | from a fetch to its answer, with the broker's wait for records |
/// | `kafka_share_consumer_acknowledgements_send_total` | counter | acknowledgements that were answered |
/// | `kafka_share_consumer_acknowledgements_error_total` | counter | those of them that the broker did not take |
public struct ShareConsumerConfiguration: Sendable {
  /// The cluster, and how to reach it.
  public var client: ClientConfiguration
  /// The share group whose members divide the records of topics among each other (`group.id`).
  public var groupId: String
  /// When a record counts as processed (`share.acknowledgement.mode`).
  public var acknowledgementMode = AcknowledgementMode.implicit
  /// How many records a fetch brings (`share.acquire.mode`).
  public var acquireMode = AcquireMode.batchOptimized
  /// How many records a fetch brings at about, and how many the application may have unacknowledged before no more are
  /// fetched (`max.poll.records`).
  public var maxRecords = 500
  /// Whether the locks of records that the application has are renewed before they run out (KIP-1222), so that
  /// processing may take as long as it takes. What is lost with the application comes back when its session ends.
  /// Off by default; brokers from Kafka 4.2 on have it.
  public var renewsLocks = false
  /// How long an acknowledgement waits for a fetch to travel with, before it goes on its own.
  public var acknowledgementInterval: Duration = .seconds(1)
  /// How much a broker waits for, up to `fetchMaxWait` (`fetch.min.bytes`).
  public var fetchMinBytes = 1
  /// How long a broker may wait for ``fetchMinBytes`` before it answers (`fetch.max.wait.ms`).
  public var fetchMaxWait: Duration = .milliseconds(500)
  /// How much a fetch returns, unless a single batch is larger (`fetch.max.bytes`).
  public var fetchMaxBytes = 50 << 20
  /// How long the application may take between two records before the member leaves the group for as long
  /// (`max.poll.interval.ms`).
  public var maxPollInterval: Duration = .seconds(300)
  /// Where this consumer is (`client.rack`).
  public var rack: String?
  /// Whether the checksums of batches are checked (`check.crcs`).
  public var checksCRCs = true
  /// Called with what brokers answered to acknowledgements. Be quick.
  public var onAcknowledged: (@Sendable (AcknowledgementReport) -> Void)?

  /// The defaults, for a cluster and a share group.
  public init(_ client: ClientConfiguration, groupId: String) {
    self.client = client
    self.groupId = groupId
  }

  func check() throws(KafkaError) {
    guard !groupId.isEmpty else { throw KafkaError(.configuration, "the group id is empty") }
    guard maxRecords > 0, fetchMinBytes >= 0, fetchMaxBytes > 0 else {
      throw KafkaError(.configuration, "maxRecords and fetch sizes must be greater than zero")
    }
    guard fetchMaxWait >= .zero, acknowledgementInterval > .zero, maxPollInterval > .zero else {
      throw KafkaError(.configuration, "fetchMaxWait, acknowledgementInterval and maxPollInterval must not be negative")
    }
  }
}
