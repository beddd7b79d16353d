// What a producer can be told. Names and meanings are those of Kafka's producer configs.

import MillraceRecords

/// When a record counts as written (`acks`).
public enum Acks: Int16, Sendable, Hashable {
  /// When it was sent. Nobody notices a loss.
  case none = 0
  /// When the partition's leader has it.
  case leader = 1
  /// When all replicas that are in sync have it, or the broker's disk, as the topic is configured.
  case all = -1
}

/// How a producer behaves.
///
/// With a metrics system of swift-metrics bootstrapped before it is made, a producer counts and measures what Kafka's own
/// does, under the names that its metrics have in Prometheus. Each has the dimension `client_id`, those by topic also
/// `topic`.
///
/// | metric | kind | |
/// |---|---|---|
/// | `kafka_producer_record_send_total` | counter by topic | records that were written |
/// | `kafka_producer_record_error_total` | counter by topic | records that were not |
/// | `kafka_producer_record_retry_total` | counter by topic | records that were sent again |
/// | `kafka_producer_byte_total` | counter by topic | bytes of batches that were sent, compressed |
/// | `kafka_producer_batch_size` | recorder | bytes of a batch, compressed |
/// | `kafka_producer_request_latency` | timer | from a request to its answer |
/// | `kafka_producer_buffer_available_bytes` | gauge | what is free of ``bufferBytes`` |
/// | `kafka_producer_bufferpool_wait_time` | timer | how long sending waited for room in the buffer |
/// | `kafka_producer_txn_commit_time`, `kafka_producer_txn_abort_time` | timer | the end of a transaction |
///
/// With a tracer of swift-distributed-tracing bootstrapped, every record is sent in a span (`send orders`, or
/// `create orders` if it is enqueued) whose context goes into its headers.
public struct ProducerConfiguration: Sendable {
  /// The cluster, and how to reach it.
  public var client: ClientConfiguration
  /// When a record counts as written (`acks`).
  public var acks: Acks = .all
  /// Whether retries can neither duplicate nor reorder records (`enable.idempotence`). Works with `acks` `.all` only and
  /// is off with others.
  public var isIdempotent = true
  /// How batches are compressed (`compression.type`).
  public var compression: Compression = .none
  /// How hard to compress, as in Kafka's `compression.<codec>.level`; nil for the codec's default.
  public var compressionLevel: Int?
  /// How many bytes of records, not yet compressed, a batch takes (`batch.size`). A larger record gets one of its own.
  public var batchBytes = 256 << 10
  /// How long a batch waits for more records before it is sent (`linger.ms`).
  ///
  /// Nil is 5 ms, Kafka's default, without making a caller of ``Producer/send(_:)`` wait for nobody: a batch with a record
  /// of such a caller goes at once when nothing else of its partition is unanswered, and what comes meanwhile goes
  /// together after it.
  public var linger: Duration?
  /// How many bytes of records may wait to be sent or acknowledged (`buffer.memory`). Beyond, sending waits.
  public var bufferBytes = 64 << 20
  /// The largest record, and how much a request holds unless one batch is larger (`max.request.size`).
  public var maxRequestBytes = 1 << 20
  /// How many requests to a broker may be unanswered (`max.in.flight.requests.per.connection`). Order is kept with up to
  /// 5 when idempotent; otherwise a retry may reorder records unless this is 1.
  public var maxInFlight = 5
  /// How long a record may take from `send` to its acknowledgement with all retries (`delivery.timeout.ms`).
  public var deliveryTimeout: Duration = .seconds(120)
  /// How long sending may wait for room in the buffer and for metadata (`max.block.ms`).
  public var maxBlock: Duration = .seconds(60)
  /// Chooses the partition of a record that names none (`partitioner.class`). Nil for Kafka's default: the murmur2 hash
  /// of the key decides, and records without a key go to one partition until that has had about a batch.
  public var partitioner: Partitioner?
  /// Whether headers that carry the context of a trace stay as they are: of records that are passed on, such as dead
  /// letters, so that whoever processes them later goes on in the trace that they come from.
  package var keepsTraceContext = false

  /// The defaults, for a cluster.
  public init(_ client: ClientConfiguration) {
    self.client = client
  }

  static let defaultLinger = Duration.milliseconds(5)

  /// The most requests in flight with which brokers can tell duplicates of an idempotent producer.
  static let idempotentInFlightLimit = 5

  var usesIdempotence: Bool { isIdempotent && acks == .all }

  func check() throws(KafkaError) {
    guard batchBytes > 0, maxRequestBytes > 0, maxInFlight > 0 else {
      throw KafkaError(.configuration, "batchBytes, maxRequestBytes and maxInFlight must be greater than zero")
    }
    guard batchBytes < 1 << 30, maxRequestBytes < 1 << 30 else {
      throw KafkaError(.configuration, "batchBytes and maxRequestBytes must be less than 1 GiB")
    }
    guard bufferBytes >= maxRequestBytes else {
      throw KafkaError(.configuration, "bufferBytes must be at least maxRequestBytes, or the largest record never fits")
    }
    guard !usesIdempotence || maxInFlight <= Self.idempotentInFlightLimit else {
      throw KafkaError(
        .configuration, "an idempotent producer has at most \(Self.idempotentInFlightLimit) requests in flight")
    }
    guard linger ?? .zero >= .zero, deliveryTimeout > .zero, maxBlock >= .zero else {
      throw KafkaError(.configuration, "linger, deliveryTimeout and maxBlock must not be negative")
    }
    if let compressionLevel, let range = CompressionLevel.range(for: compression.codec) {
      guard Int32(exactly: compressionLevel).map(range.contains) ?? false else {
        throw KafkaError(
          .configuration,
          "\(compression.rawValue) has levels \(range.lowerBound) to \(range.upperBound), not \(compressionLevel)")
      }
    }
  }
}
