// Writes a chunk of letters, and that they are done with: both or neither in a transaction, one after the other without.
// What may pass is tried again.

import MillraceProtocol
import Synchronization

struct RedriveWriter {
  private enum Kind {
    case transactional(TransactionalProducer)
    case plain(Producer, Failures)
  }

  /// What could not be delivered since the last look.
  private final class Failures: Sendable {
    private let error = Mutex<KafkaError?>(nil)

    func note(_ report: DeliveryReport) {
      if let failure = report.error { error.withLock { $0 = $0 ?? failure } }
    }

    func take() -> KafkaError? {
      error.withLock { error in
        defer { error = nil }
        return error
      }
    }
  }

  /// How long a chunk is tried again while brokers cannot be reached, coordinators move or the group rebalances.
  private static let patience = Duration.seconds(120)

  private let kind: Kind
  private let lock: RedriveLock
  private let backoff: Duration

  init(_ configuration: RedriveConfiguration, _ lock: RedriveLock) async throws(KafkaError) {
    self.lock = lock
    backoff = configuration.client.retryBackoffMax
    var producer = configuration.producer
    producer.client = configuration.client
    producer.acks = .all
    producer.isIdempotent = true
    producer.keepsTraceContext = true
    // What is a letter in one topic can be written to another, if that takes it.
    producer.maxRequestBytes = max(producer.maxRequestBytes, LetterWriter.maxRequestBytes)
    producer.bufferBytes = max(producer.bufferBytes, 2 * producer.maxRequestBytes)
    if configuration.isTransactional {
      kind = .transactional(
        try await TransactionalProducer(
          producer, transactionalId: RedriveConfiguration.group(of: configuration.topic)))
    } else {
      let failures = Failures()
      kind = .plain(try await Producer(producer) { failures.note($0) }, failures)
    }
  }

  func close() async {
    switch kind {
    case .transactional(let producer): await producer.close()
    case .plain(let producer, _): await producer.close()
    }
  }

  /// - Throws: `RedriveFailure.refused` when a letter cannot be written; those before it are.
  func write(_ chunk: RedriveChunk) async throws {
    let deadline = ContinuousClock.now + Self.patience
    while true {
      // Not without the lock; and that it is lost says more than what follows from that.
      try await lock.whenHeld()
      do {
        return try await attempt(chunk)
      } catch let error as KafkaError {
        guard !Task.isCancelled else { throw KafkaError.cancelled }
        switch Self.meaning(of: error) {
        case .passing:
          guard ContinuousClock.now < deadline else { throw error }
          try await pause(backoff)
          if try await wasCommitted(chunk) { return }
        case .letter:
          guard chunk.letterCount > 1 else {
            guard let place = chunk.place else { throw error }
            throw RedriveFailure.refused(place.partition, offset: place.offset, error)
          }
          // To find the one that it is about.
          for part in chunk.parts { try await write(part) }
          return
        case .end: throw error
        }
      }
    }
  }

  private func attempt(_ chunk: RedriveChunk) async throws {
    switch kind {
    case .transactional(let producer):
      try await producer.withTransaction { transaction in
        for record in chunk.records { try await transaction.enqueue(record) }
        try await transaction.commit(chunk.offsets, of: lock.consumer)
      }
    case .plain(let producer, let failures):
      _ = failures.take()
      for record in chunk.records { try await producer.enqueue(record) }
      try await producer.flush()
      if let error = failures.take() { throw error }
      try await lock.consumer.commit(chunk.offsets)
    }
  }

  /// Whether a chunk whose end was not heard of is done all the same.
  private func wasCommitted(_ chunk: RedriveChunk) async throws(KafkaError) -> Bool {
    guard case .transactional(let producer) = kind else { return false }
    do {
      // Brings the transaction before to its end.
      try await producer.withTransaction { _ in }
      let committed = try await lock.consumer.committed(Array(chunk.offsets.keys))
      return chunk.offsets.allSatisfy { committed[$0.key]?.offset == $0.value.offset }
    } catch let error as KafkaError where Self.meaning(of: error) == .passing && !Task.isCancelled {
      return false
    } catch {
      throw error as? KafkaError ?? .cancelled
    }
  }

  enum Meaning {
    /// It may work the next time.
    case passing
    /// It is about something that was to be written.
    case letter
    case end
  }

  static func meaning(of error: KafkaError) -> Meaning {
    switch error.code {
    case .aborted: return .passing
    case .recordTooLarge: return .letter
    case .fenced, .unsupportedVersion, .configuration, .closed, .cancelled: return .end
    default: break
    }
    switch error.brokerCode {
    case .messageTooLarge, .recordListTooLarge, .invalidRecord, .invalidTimestamp, .topicAuthorizationFailed,
      .policyViolation:
      return .letter
    // The member learns what that means for it.
    case .unknownMemberId, .illegalGeneration, .rebalanceInProgress: return .passing
    default: return error.isRetriable ? .passing : .end
    }
  }
}
