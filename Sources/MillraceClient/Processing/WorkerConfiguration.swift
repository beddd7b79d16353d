// What a record worker can be told, and what it tells.

/// How a ``RecordWorker`` reads, tries and gives up.
///
/// With a metrics system of swift-metrics bootstrapped before it runs, a worker counts and measures what it does, beside
/// what ``ConsumerConfiguration`` lists. Each metric has the dimensions `client_id` and `topic`, which is where the record
/// was first, if it came through a retry topic.
///
/// | metric | kind | |
/// |---|---|---|
/// | `kafka_worker_records_processed_total` | counter | records whose handler returned |
/// | `kafka_worker_attempts_failed_total` | counter | handlers that threw |
/// | `kafka_worker_retries_total` | counter | failed attempts after which the record is tried again after a pause |
/// | `kafka_worker_records_postponed_total` | counter | records that were written to a retry topic |
/// | `kafka_worker_dead_letters_total` | counter | records that were written to a dead-letter topic |
/// | `kafka_worker_write_errors_total` | counter | attempts to write there that failed; the partition waits |
/// | `kafka_worker_handler_time` | timer | how long a handler ran, whatever came of it |
public struct WorkerConfiguration: Sendable {
  /// Needs a group. What is done is committed every ``ConsumerConfiguration/autoCommitInterval``, by the worker itself.
  public var consumer: ConsumerConfiguration
  /// For dead letters and retry topics.
  public var producer: ProducerConfiguration
  /// How often a record is tried, after which pauses, and where it goes then.
  public var policy = RetryPolicy()
  /// How many handlers run at a time, each for another partition.
  public var concurrency = 1
  /// Whether records that failed every time are written to a dead-letter topic. If not, the first one ends the work.
  public var writesDeadLetters = true
  /// Whether topics for dead letters and retries are created when they are missing.
  public var createsTopics = true
  /// How long handlers may go on when partitions are taken away or the work ends; then they are cancelled.
  public var grace: Duration = .seconds(10)
  /// Told what becomes of records. Called from several tasks at once, and not waited for long: be quick.
  public var onEvent: (@Sendable (WorkerEvent) -> Void)?

  /// The defaults, for a group; letters are written to the same cluster unless `producer` says otherwise.
  public init(_ consumer: ConsumerConfiguration, producer: ProducerConfiguration? = nil) {
    self.consumer = consumer
    self.producer = producer ?? ProducerConfiguration(consumer.client)
  }

  func check() throws(KafkaError) {
    guard consumer.groupId != nil else { throw KafkaError(.configuration, "a worker needs a group id") }
    guard concurrency > 0 else { throw KafkaError(.configuration, "concurrency must be greater than zero") }
    guard policy.maxAttempts > 0 else { throw KafkaError(.configuration, "maxAttempts must be greater than zero") }
    guard grace >= .zero, policy.retryTopicDelays.allSatisfy({ $0 >= .zero }) else {
      throw KafkaError(.configuration, "grace and the delays of retry topics must not be negative")
    }
  }
}

/// What becomes of a record.
public enum WorkerEvent: Sendable {
  /// Its handler has returned.
  case done(RecordDelivery)
  /// An attempt failed. With a pause, it is tried again after that.
  case failed(RecordDelivery, HandlerFailure, retriedAfter: Duration?)
  /// It was written to a retry topic.
  case postponed(RecordDelivery, to: String)
  /// It was given up, and its letter is acknowledged.
  case deadLettered(RecordDelivery, HandlerFailure, to: String)
  /// It could not be written there; that is tried again, and until then its partition waits.
  case notWritten(RecordDelivery, to: String, KafkaError)
  /// What is done could not be committed; that is tried again.
  case notCommitted(KafkaError)
  /// It was rejected; whether that makes it a dead letter is for the share group to say.
  case rejected(RecordDelivery)
  /// What became of records of a share group did not get through: they are delivered again.
  case notAcknowledged(KafkaError)
}

/// What a worker did in all.
public struct WorkerSummary: Sendable, Hashable {
  /// Records whose handlers have returned.
  public var done: Int
  /// Handlers that have thrown.
  public var failedAttempts: Int
  /// Records that were written to a retry topic.
  public var postponed: Int
  /// Records that were written to a dead-letter topic.
  public var deadLettered: Int
  /// Records of a share group that were rejected.
  public var rejected: Int

  /// A summary of these counts.
  public init(
    done: Int = 0, failedAttempts: Int = 0, postponed: Int = 0, deadLettered: Int = 0, rejected: Int = 0
  ) {
    self.done = done
    self.failedAttempts = failedAttempts
    self.postponed = postponed
    self.deadLettered = deadLettered
    self.rejected = rejected
  }

  package mutating func count(_ event: WorkerEvent) {
    switch event {
    case .done: done += 1
    case .failed: failedAttempts += 1
    case .postponed: postponed += 1
    case .deadLettered: deadLettered += 1
    case .rejected: rejected += 1
    case .notWritten, .notCommitted, .notAcknowledged: break
    }
  }
}
