// A batch on its way: open while records are added, then sent once or more, in the end delivered or failed.

import MillraceProtocol
import MillraceRecords
import NIOCore

/// Who wants to know what becomes of the records.
struct BatchCallers: Sendable {
  /// One for each record, when somebody listens to delivery reports.
  var tokens: [UInt64] = []
  /// Tasks that wait for single records, by position in the batch.
  var waiting: [(position: Int, result: Deferred<BatchPosition>)] = []
}

/// Where a record of a delivered batch ended up.
struct BatchPosition: Sendable, Equatable {
  var offset: Int64
  /// The broker's time, when the topic's timestamps are the broker's.
  var appendTime: Int64?
}

/// Records that were not sent yet.
struct OpenBatch: Sendable {
  let id: UInt64
  let openedAt: NIODeadline
  var builder: BatchBuilder
  var callers = BatchCallers()

  var sizeInBytes: Int { builder.sizeInBytes }
}

/// What makes a broker recognise a batch that it has already.
struct ProducerStamp: Sendable, Equatable {
  var producerId = BatchHeader.noProducerId
  var producerEpoch = BatchHeader.noProducerEpoch
  var baseSequence = BatchHeader.noSequence
}

/// A batch as bytes.
struct SealedBatch: Sendable, Equatable {
  var bytes: ByteBuffer
  var stamp: ProducerStamp
}

/// A batch that was sent at least once.
struct SentBatch: Sendable {
  enum State: Sendable {
    /// A request with it is unanswered.
    case unanswered
    /// To be sent again, not before that time.
    case retrying(SealedBatch, after: NIODeadline)
    /// To be sent again under a new producer id: the broker says that what came before it is missing.
    case awaitingIdentity(SealedBatch)
  }

  let id: UInt64
  let openedAt: NIODeadline
  let recordCount: Int32
  /// What it takes from the buffer's memory.
  let chargedBytes: Int
  var baseSequence: Int32
  /// The sequence that it was sent with last. Another than `baseSequence` when one before it failed meanwhile.
  var sentSequence: Int32
  var callers: BatchCallers
  var state = State.unanswered
  /// Sent more than once.
  var isRetry = false
  /// An attempt ended without saying whether the broker took it.
  var mayBeWritten = false
  var backoff: Backoff
  var lastError: KafkaError?

  var isUnanswered: Bool {
    if case .unanswered = state { true } else { false }
  }

  var isSequenced: Bool { sentSequence != BatchHeader.noSequence }
  var hasMoved: Bool { sentSequence != baseSequence }
}

/// A batch as a request takes it.
struct OutgoingBatch: Sendable {
  /// Where an outcome goes: the accumulator's queue and the batch in it.
  var queue: Int
  var id: UInt64
  var topic: String
  var topicId: Uuid
  var partition: Int32
  var recordCount: Int32
  /// The records, the first time.
  var builder: BatchBuilder?
  /// The bytes of the attempt before.
  var sealed: SealedBatch?
  var stamp: ProducerStamp
}

/// What a request did to one of its batches.
struct BatchOutcome: Sendable {
  var queue: Int
  var id: UInt64
  /// For another attempt.
  var sealed: SealedBatch?
  var result: Result<BatchPosition, KafkaError>
}

/// The end of a batch's way.
struct Delivery: Sendable {
  var topic: String
  var partition: Int32
  var recordCount: Int
  var callers: BatchCallers
  var result: Result<BatchPosition, KafkaError>
}
