// A record on its way through a handler.

import NIOCore

/// A record that a handler is given, and the how-manieth time that is.
public struct RecordDelivery: Sendable {
  /// The record as it was read: in a retry topic, with the headers of that.
  public let record: ConsumerRecord
  /// Counted from 1, attempts in retry topics included.
  public let attempt: Int
  /// Where the record was first. Another place than the record's own when that came through a retry topic.
  public let origin: RecordOrigin

  package init(_ record: ConsumerRecord, attempt: Int, origin: RecordOrigin? = nil) {
    self.record = record
    self.attempt = attempt
    self.origin = origin ?? RecordOrigin(record)
  }

  /// The record's key.
  public var key: ByteBuffer? { record.key }
  /// The record's value.
  public var value: ByteBuffer? { record.value }
  /// The record's headers as they were at its origin.
  public var headers: [RecordHeader] {
    origin.stage == 0 ? record.headers : DeadLetter.withoutErrors(record.headers)
  }
}

/// Where a record was before it went to retry topics, and what became of it on the way.
public struct RecordOrigin: Sendable, Hashable {
  /// The topic that the record was first in.
  public var topic: String
  /// The partition there, counted from 0.
  public var partition: Int32
  /// The record's offset there.
  public var offset: Int64
  /// Milliseconds since 1970.
  public var timestamp: Int64
  /// The number of the retry topic that it came from, 0 for none.
  package var stage = 0
  /// Attempts that failed before it came into that retry topic.
  package var failures = 0
  package var firstFailureTimestamp: Int64?
  /// Not to be tried before that time.
  package var due: Int64?

  /// The partition that the record was first in.
  public var topicPartition: TopicPartition { TopicPartition(topic, partition) }

  package init(_ record: ConsumerRecord) {
    topic = record.topic
    partition = record.partition
    offset = record.offset
    timestamp = record.timestamp
  }
}

/// Processes a record, or throws why it cannot: see ``HandlerFailure``.
public typealias RecordHandler = @Sendable (RecordDelivery) async throws -> Void

/// What came of one call of a handler.
package enum HandlerOutcome: Sendable {
  case done
  case failed(HandlerFailure)
  /// The handler was interrupted: somebody else gets the record, or this one gets it again.
  case givenBack

  /// Calls `handler`. When its task was cancelled, an error says nothing about the record.
  package static func of(_ handler: RecordHandler, _ delivery: RecordDelivery) async -> HandlerOutcome {
    do {
      try await handler(delivery)
      return .done
    } catch {
      return Task.isCancelled ? .givenBack : .failed(HandlerFailure(error))
    }
  }
}
