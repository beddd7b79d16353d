// Takes one record to its end: attempts, pauses, the retry topic, the dead-letter topic. Knows nothing of commits: what it
// says it is done with may be committed.

struct RecordAttempts: Sendable {
  enum Ending: Sendable {
    /// Processed, or written to where failed records go, with an acknowledgement.
    case settled
    /// It has to be read again.
    case givenBack
    /// Likewise, and nothing else is to be begun.
    case stop(HandlerFailure)
  }

  let configuration: WorkerConfiguration
  let topics: WorkerTopics
  let slots: Slots
  let writer: LetterWriter
  let handler: RecordHandler
  let tell: @Sendable (WorkerEvent) -> Void

  private var policy: RetryPolicy { configuration.policy }

  func settle(_ record: ConsumerRecord, in lane: PartitionLane) async -> Ending {
    let origin = topics.origin(of: record)
    if let wait = wait(of: origin, nowMs: Producer.nowMs()), await !lane.sleep(wait) { return .givenBack }
    var failures = 0
    var firstFailure = origin.firstFailureTimestamp
    while true {
      let delivery = RecordDelivery(record, attempt: origin.failures &+ failures &+ 1, origin: origin)
      guard let outcome = await attempt(delivery, in: lane) else { return .givenBack }
      let failure: HandlerFailure
      switch outcome {
      case .done:
        tell(.done(delivery))
        return .settled
      case .givenBack: return .givenBack
      case .failed(let thrown): failure = thrown
      }
      failures += 1
      let nowMs = Producer.nowMs()
      let first = firstFailure ?? nowMs
      firstFailure = first
      var generator = SystemRandomNumberGenerator()
      let step = policy.step(after: failure, failures: failures, stage: origin.stage, using: &generator)
      func letter(_ reason: String?) -> DeadLetter {
        DeadLetter(
          delivery, group: configuration.consumer.groupId, failure: failure, failures: delivery.attempt,
          firstFailureTimestamp: first, reason: reason)
      }
      switch step {
      case .again(let pause):
        tell(.failed(delivery, failure, retriedAfter: pause))
        guard await lane.sleep(pause) else { return .givenBack }
      case .stop(let failure): return .stop(failure)
      case .postpone(let stage, let delay):
        tell(.failed(delivery, failure, retriedAfter: nil))
        return await postpone(delivery, letter(nil), stage, until: nowMs &+ Int64(delay.clampedMilliseconds), in: lane)
      case .deadLetter(let reason):
        tell(.failed(delivery, failure, retriedAfter: nil))
        return await deadLetter(delivery, letter(reason), failure, in: lane)
      }
    }
  }

  /// How long a record of a retry topic is not due yet. No longer than the topic's delay, whatever the clock of the one
  /// that wrote it said.
  private func wait(of origin: RecordOrigin, nowMs: Int64) -> Duration? {
    guard let due = origin.due, due > nowMs, policy.retryTopicDelays.indices.contains(origin.stage - 1) else {
      return nil
    }
    return min(
      .milliseconds(due.subtractingReportingOverflow(nowMs).partialValue), policy.retryTopicDelays[origin.stage - 1])
  }

  private func attempt(_ delivery: RecordDelivery, in lane: PartitionLane) async -> HandlerOutcome? {
    do throws(KafkaError) {
      try await slots.acquire()
    } catch {
      return nil
    }
    defer { slots.release() }
    guard !lane.isStopped else { return nil }
    return await HandlerOutcome.of(handler, delivery)
  }

  // MARK: Records that failed

  private func postpone(
    _ delivery: RecordDelivery, _ letter: DeadLetter, _ stage: Int, until due: Int64, in lane: PartitionLane
  ) async -> Ending {
    let topic = RetryPolicy.retryTopic(for: delivery.origin.topic, stage)
    let ending = await write(delivery, to: topic, keepsForEver: false, in: lane) { count in
      var record = letter.producerRecord(for: delivery.record, to: topic, partitionCount: count)
      record.headers += RetryHeaders.headers(due: due, timestamp: delivery.origin.timestamp)
      record.timestamp = nil
      return record
    }
    if case .settled = ending { tell(.postponed(delivery, to: topic)) }
    return ending
  }

  private func deadLetter(
    _ delivery: RecordDelivery, _ letter: DeadLetter, _ failure: HandlerFailure, in lane: PartitionLane
  ) async -> Ending {
    guard configuration.writesDeadLetters else { return .stop(failure) }
    let topic = policy.deadLetterTopic(for: delivery.origin.topic)
    let ending = await write(delivery, to: topic, keepsForEver: true, in: lane) { count in
      letter.producerRecord(for: delivery.record, to: topic, partitionCount: count)
    }
    if case .settled = ending { tell(.deadLettered(delivery, failure, to: topic)) }
    return ending
  }

  /// Tries until it is written: a record that is neither processed nor anywhere else must not be passed.
  private func write(
    _ delivery: RecordDelivery, to topic: String, keepsForEver: Bool, in lane: PartitionLane,
    _ record: (Int32) -> ProducerRecord
  ) async -> Ending {
    var backoff = Backoff(first: .milliseconds(500), limit: .seconds(10))
    while true {
      do throws(KafkaError) {
        try await writer.write(to: topic, from: delivery.origin.topic, keepsForEver: keepsForEver, record)
        return .settled
      } catch {
        guard error.code != .cancelled else { return .givenBack }
        tell(.notWritten(delivery, to: topic, error))
        guard await lane.sleep(backoff.next()) else { return .givenBack }
      }
    }
  }
}
