// What happens to batches after they were sent: delivered, sent again, failed; and what a failure does to the sequences
// of those behind it.
//
//    outcome                                       the batch            the partition
//    written, or known from an earlier attempt     delivered            goes on
//    may pass (leader moved, connection lost)      sent again           waits for it
//    refused for what it is (too large, invalid)   fails                sequences of those behind move up
//    a batch before it is missing                  waits for the id     new producer id, sequences from 0
//    time is up, the broker may have it            fails                new producer id before anything else

import MillraceProtocol
import MillraceRecords
import NIOCore

extension Accumulator {
  /// Takes what a request did to its batches.
  mutating func resolve(_ outcomes: [BatchOutcome], from broker: Int32, now: NIODeadline) -> [Delivery] {
    inFlight[broker, default: 1] -= 1
    var deliveries: [Delivery] = []
    for outcome in outcomes {
      guard let index = queues[outcome.queue].sent.firstIndex(where: { $0.id == outcome.id }) else { continue }
      switch outcome.result {
      case .success(let position):
        taken(outcome.queue, index)
        deliveries.append(finish(outcome.queue, index, .success(position)))
      case .failure(let error) where error.brokerCode == .duplicateSequenceNumber:
        // An earlier attempt was written after all; which offset it got is not said.
        taken(outcome.queue, index)
        deliveries.append(finish(outcome.queue, index, .success(BatchPosition(offset: -1))))
      case .failure(let error):
        if let delivery = failed(outcome, index, error, now: now) { deliveries.append(delivery) }
      }
    }
    removeEmptyQueues()
    return deliveries
  }

  /// The broker has the batch under the sequence that it was sent with. Is that not its own any more, because one before
  /// it failed, then the broker had forgotten the producer, which may begin anywhere: those behind follow from there.
  private mutating func taken(_ queue: Int, _ index: Int) {
    queues[queue].isEstablished = true
    let batch = queues[queue].sent[index]
    if batch.hasMoved { moveSequences(queue, behind: index, by: batch.sentSequence &- batch.baseSequence) }
  }

  private mutating func moveSequences(_ queue: Int, behind index: Int, by count: Int32) {
    for later in (index + 1)..<queues[queue].sent.count {
      queues[queue].sent[later].baseSequence = BatchHeader.sequence(
        queues[queue].sent[later].baseSequence, advancedBy: count)
    }
    queues[queue].nextSequence = BatchHeader.sequence(queues[queue].nextSequence, advancedBy: count)
  }

  private mutating func failed(
    _ outcome: BatchOutcome, _ index: Int, _ error: KafkaError, now: NIODeadline
  ) -> Delivery? {
    let queue = outcome.queue
    queues[queue].sent[index].lastError = error
    if error.leavesOutcomeOpen { queues[queue].sent[index].mayBeWritten = true }
    if error.meansLeaderIsElsewhere { queues[queue].leader = nil }
    guard let sealed = outcome.sealed else {
      return fail(queue, index, error)
    }
    if limits.isIdempotent, let code = error.brokerCode {
      switch code {
      case .outOfOrderSequenceNumber
      where index > 0 || sealed.stamp.baseSequence != queues[queue].sent[index].baseSequence:
        // What is before it is not settled yet, or failed after this was sent: it says nothing new.
        return retry(queue, index, sealed, now: now)
      case _ where limits.isTransactional: break
      case .outOfOrderSequenceNumber where queues[queue].hasGap,
        .unknownProducerId, .invalidProducerEpoch, .invalidProducerIdMapping:
        queues[queue].sent[index].state = .awaitingIdentity(sealed)
        renewIdentity()
        return nil
      case .outOfOrderSequenceNumber:
        // Everything before it was acknowledged, and yet the broker does not have it.
        queues[queue].hasGap = true
        renewIdentity()
        return finish(queue, index, .failure(error))
      default: break
      }
    }
    let age = queues[queue].sent[index].openedAt + limits.deliveryTimeout
    guard error.isRetriable, now < age else {
      return fail(queue, index, error.isRetriable ? timedOut(queue, error) : error)
    }
    return retry(queue, index, sealed, now: now)
  }

  private static let concurrentTransactionsPause = Duration.milliseconds(20)

  private mutating func retry(_ queue: Int, _ index: Int, _ sealed: SealedBatch, now: NIODeadline) -> Delivery? {
    // The partition's part of the transaction before is being ended, a matter of milliseconds.
    let isSoonOver = queues[queue].sent[index].lastError?.brokerCode == .concurrentTransactions
    let pause = isSoonOver ? Self.concurrentTransactionsPause : queues[queue].sent[index].backoff.next()
    queues[queue].sent[index].state = .retrying(sealed, after: now + TimeAmount(pause))
    return nil
  }

  /// Fails a batch that was sent, and repairs the sequences of those behind it.
  private mutating func fail(_ queue: Int, _ index: Int, _ error: KafkaError) -> Delivery {
    if limits.isIdempotent {
      if error.leavesOutcomeOpen || queues[queue].sent[index].mayBeWritten {
        queues[queue].hasGap = true
        renewIdentity()
      } else {
        // The broker does not have it and never will: the next one takes its place.
        moveSequences(queue, behind: index, by: -queues[queue].sent[index].recordCount)
      }
    }
    return finish(queue, index, .failure(error))
  }

  private mutating func finish(_ queue: Int, _ index: Int, _ result: Result<BatchPosition, KafkaError>) -> Delivery {
    if case .failure = result { hasBrokenSequences = true }
    let batch = queues[queue].sent.remove(at: index)
    return deliver(
      queue, batch.id, count: batch.recordCount, bytes: batch.chargedBytes, batch.callers, result)
  }

  private mutating func deliver(
    _ queue: Int, _ id: UInt64, count: Int32, bytes: Int, _ callers: BatchCallers,
    _ result: Result<BatchPosition, KafkaError>
  ) -> Delivery {
    bufferedBytes -= bytes
    liveBatches.remove(id)
    return Delivery(
      topic: topicList[queues[queue].topic].name, partition: queues[queue].partition, recordCount: Int(count),
      callers: callers, result: result)
  }

  private mutating func removeEmptyQueues() {
    active.removeAll { queues[$0].isEmpty }
  }

  // MARK: Time

  /// Fails what has waited longer than the delivery time-out. What a request carries is left to its answer.
  mutating func expire(now: NIODeadline) -> [Delivery] {
    var deliveries: [Delivery] = []
    for queue in active {
      while let index = queues[queue].sent.firstIndex(where: {
        !$0.isUnanswered && $0.openedAt + limits.deliveryTimeout <= now
      }) {
        let error = timedOut(queue, queues[queue].sent[index].lastError)
        if case .awaitingIdentity = queues[queue].sent[index].state {
          deliveries.append(finish(queue, index, .failure(error)))
        } else {
          deliveries.append(fail(queue, index, error))
        }
      }
      while let batch = queues[queue].ready.first ?? queues[queue].open, batch.openedAt + limits.deliveryTimeout <= now
      {
        _ = queues[queue].takeFresh()
        deliveries.append(drop(batch, queue, timedOut(queue, nil)))
      }
    }
    removeEmptyQueues()
    return deliveries
  }

  private mutating func drop(_ batch: OpenBatch, _ queue: Int, _ error: KafkaError) -> Delivery {
    deliver(
      queue, batch.id, count: batch.builder.recordCount, bytes: batch.sizeInBytes, batch.callers, .failure(error))
  }

  private func timedOut(_ queue: Int, _ last: KafkaError?) -> KafkaError {
    let subject = "partition \(topicList[queues[queue].topic].name)-\(queues[queue].partition)"
    let why = last?.message ?? (queues[queue].leader == nil ? "the partition has no leader" : "the broker was too slow")
    return KafkaError(
      .timedOut,
      "records for \(subject) were not delivered in \(limits.deliveryTimeout.nanoseconds / 1_000_000_000) s: \(why)",
      brokerCode: last?.brokerCode)
  }

  /// Fails everything that no request carries, as when the producer cannot go on.
  mutating func failAll(_ error: KafkaError) -> [Delivery] {
    var deliveries: [Delivery] = []
    for queue in active {
      while let index = queues[queue].sent.firstIndex(where: { !$0.isUnanswered }) {
        deliveries.append(finish(queue, index, .failure(error)))
      }
      while let batch = queues[queue].takeFresh() { deliveries.append(drop(batch, queue, error)) }
    }
    removeEmptyQueues()
    return deliveries
  }

  // MARK: The producer id

  private mutating func renewIdentity() {
    // A transaction in which something is missing is aborted; what comes after that is the coordinator's to say.
    guard !limits.isTransactional else { return }
    if case .ready(let id, let epoch) = identity { identity = .renewing(id: id, epoch: epoch) }
  }

  /// Whether a producer id is to be asked for now. A new one follows one under which a sequence is missing: brokers give
  /// out epochs to transactional producers only.
  var needsIdentity: Bool {
    guard !limits.isTransactional else { return false }
    switch identity {
    case .notNeeded, .ready: return false
    case .wanted: return !active.isEmpty
    case .renewing:
      // Under a new id a broker cannot tell duplicates of the old one, so nothing may be open.
      return active.allSatisfy { queue in
        guard let oldest = queues[queue].sent.first else { return true }
        // If the oldest is not at the broker, those behind it are not either.
        guard case .awaitingIdentity = oldest.state else { return false }
        return !queues[queue].sent.contains(where: \.isUnanswered)
      }
    }
  }

  /// Takes a new producer id or epoch. All sequences begin at 0 again.
  mutating func adopt(producerId: Int64, epoch: Int16, now: NIODeadline) {
    identity = .ready(id: producerId, epoch: epoch)
    hasBrokenSequences = false
    for queue in queues.indices {
      queues[queue].hasGap = false
      queues[queue].isEstablished = false
      queues[queue].nextSequence = 0
      for index in queues[queue].sent.indices {
        switch queues[queue].sent[index].state {
        case .unanswered: continue
        case .awaitingIdentity(let sealed), .retrying(let sealed, _):
          queues[queue].sent[index].state = .retrying(sealed, after: now)
        }
        queues[queue].sent[index].baseSequence = queues[queue].nextSequence
        queues[queue].nextSequence = BatchHeader.sequence(
          queues[queue].nextSequence, advancedBy: queues[queue].sent[index].recordCount)
      }
    }
  }
}

extension KafkaError {
  /// Whether to look for another broker.
  var meansLeaderIsElsewhere: Bool {
    if code == .connectionFailed { return true }
    switch brokerCode {
    case .notLeaderOrFollower, .leaderNotAvailable, .unknownTopicOrPartition, .unknownTopicId, .inconsistentTopicId,
      .fencedLeaderEpoch, .unknownLeaderEpoch, .kafkaStorageError, .replicaNotAvailable:
      return true
    default: return false
    }
  }

  /// Whether the broker may have what the request carried although it failed.
  fileprivate var leavesOutcomeOpen: Bool {
    switch code {
    case .broker: brokerCode == .requestTimedOut || brokerCode == .notEnoughReplicasAfterAppend
    case .connectionFailed, .timedOut, .invalidResponse, .closed: true
    default: false
    }
  }
}
