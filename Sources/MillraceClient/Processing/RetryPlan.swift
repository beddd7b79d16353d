// Decides what comes after a failed attempt. Pure: the worker does what it says.
//
//    orders ──failed──▶ attempts with pauses ──▶ orders-retry-1 ──▶ attempts ──▶ … ──▶ orders-dlt
//                       (maxAttempts in all)     (due after          in the same way
//                                                 retryDelays[0])

enum NextStep: Sendable, Equatable {
  /// Try again here after a pause.
  case again(after: Duration)
  /// Write it to this retry topic, due after the delay.
  case postpone(stage: Int, by: Duration)
  /// Write it to the dead-letter topic, with the reason that Kafka gives there (KIP-1191).
  case deadLetter(reason: String)
  /// Give it back and stop.
  case stop(HandlerFailure)
}

extension RetryPolicy {
  static let rejected = "Offset rejected by client."
  static let exhausted = "Offset delivery count exceeded the threshold."

  /// - Parameters:
  ///   - failures: attempts that failed in this topic, this one included.
  ///   - stage: the number of the retry topic that the record came from, 0 for none.
  func step(
    after failure: HandlerFailure, failures: Int, stage: Int, using generator: inout some RandomNumberGenerator
  ) -> NextStep {
    switch failure.verdict {
    case .stop: return .stop(failure)
    case .reject: return .deadLetter(reason: Self.rejected)
    case .retry:
      if let pause = delay(afterFailures: failures, using: &generator) { return .again(after: pause) }
      guard retryTopicDelays.indices.contains(stage) else { return .deadLetter(reason: Self.exhausted) }
      return .postpone(stage: stage + 1, by: retryTopicDelays[stage])
    }
  }
}

/// The topics of a worker: those that it was given and their retry topics.
struct WorkerTopics: Sendable {
  private let sources: [String: (source: String, stage: Int)]
  let given: [String]

  init(_ topics: [String], _ policy: RetryPolicy) {
    var sources: [String: (source: String, stage: Int)] = [:]
    for topic in topics {
      for stage in policy.retryTopicDelays.indices {
        sources[RetryPolicy.retryTopic(for: topic, stage + 1)] = (topic, stage + 1)
      }
    }
    // One that was asked for by its name is read as it is.
    for topic in topics { sources[topic] = (topic, 0) }
    self.sources = sources
    given = topics
  }

  var all: [String] { sources.keys.sorted() }
  /// The retry topics with the topic that each belongs to.
  var retryTopics: [(topic: String, source: String)] {
    sources.filter { $0.value.stage > 0 }.map { ($0.key, $0.value.source) }.sorted { $0.topic < $1.topic }
  }

  /// Where a record was first.
  func origin(of record: ConsumerRecord) -> RecordOrigin {
    var origin = RecordOrigin(record)
    guard let (source, stage) = sources[record.topic], stage > 0 else { return origin }
    // A record that somebody else put into a retry topic lacks most of it.
    let headers = record.headers
    origin.topic = source
    origin.stage = stage
    if let letter = DeadLetter(headers), letter.dialect == .kafka {
      origin.topic = letter.topic ?? source
      origin.partition = letter.partition ?? origin.partition
      origin.offset = letter.offset ?? origin.offset
      origin.failures = letter.attempts ?? 0
      origin.firstFailureTimestamp = letter.firstFailureTimestamp
    }
    origin.timestamp = RetryHeaders.timestamp(in: headers) ?? origin.timestamp
    origin.due = RetryHeaders.due(in: headers)
    return origin
  }
}

/// What a record carries through a retry topic, beside the headers of a dead letter: when it may be tried again, and the
/// timestamp that it had. Its own timestamp is when it was put there, so that the topic's retention counts from then.
enum RetryHeaders {
  static let prefix = "__dlq.retry."
  private static let dueHeader = prefix + "due.timestamp"
  private static let timestampHeader = prefix + "timestamp"

  static func headers(due: Int64, timestamp: Int64) -> [RecordHeader] {
    [RecordHeader(key: dueHeader, value: "\(due)"), RecordHeader(key: timestampHeader, value: "\(timestamp)")]
  }

  static func due(in headers: [RecordHeader]) -> Int64? { DeadLetter.number(dueHeader, in: headers) }
  static func timestamp(in headers: [RecordHeader]) -> Int64? { DeadLetter.number(timestampHeader, in: headers) }
}
