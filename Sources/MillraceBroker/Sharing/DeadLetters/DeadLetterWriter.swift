// Writes the dead letters of share groups (KIP-1191). The letters and the archiving of their records are one
// transaction, so that after any crash a `read_committed` reader finds a message with the group or in the dead-letter
// topic, never in both and never in neither:
//
//   share-partition           dead-letter topic       __share_group_state
//   archiving ──▶ begin ──▶ letters, one batch ──▶ offsets: archived ──▶ commit ──▶ archiving ends
//
// What cannot be written now (no topic, no room, a record too large for the topic) stays in `archiving` and is tried
// again with back-off, without end: nothing is dropped. One record that is refused does not hold up the others.
//
// One thread does it all, one transaction after the other.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

/// How it went so far, for metrics.
package struct DeadLetterCounts: Sendable, Equatable {
  package var written: Int64 = 0
  package var failedAttempts: Int64 = 0
  /// Records that were deleted from their topic before.
  package var lost: Int64 = 0
  /// Share-partitions with letters that could not be written when last tried.
  package var stuckPartitions = 0
}

package final class DeadLetterWriter: Sendable {
  private static let transactionalId = "millrace.dead-letters"
  private static let maxBatchBytes = 1 << 20
  private static let maxBatchLetters = 1_000
  /// What is looked at for one batch.
  private static let maxLetterRuns = 2_000
  /// Of a topic that is made for dead letters: whatever had room in its own topic has room here, with its headers.
  private static let topicConfigs = [
    "errors.deadletterqueue.group.enable": "true", "max.message.bytes": "\(Int32.max)",
  ]
  private static let firstDelayMs: Int64 = 500
  private static let maxDelayMs: Int64 = 10_000

  /// What is known of a share-partition with letters.
  private struct Work {
    let source: SharePartitionRuntime
    var isQueued = false
    /// Letters that were refused for what they are; the others need not wait for them.
    var refused: Set<Int64> = []
    /// Retries so far, since all was well.
    var retries = 0
    var hasRetry = false
    /// Nothing is tried before the retry.
    var isWaiting = false
    var complaint: String?
  }

  private struct State {
    var work: [ShareStateKey: Work] = [:]
    var counts = DeadLetterCounts()
    var isStopping = false
  }

  private let state = Mutex(State())
  private let worker = OnDemandWorker(name: "dead-letters")
  private let producer: InternalProducer
  private let catalog: CatalogRuntime
  private let topics: TopicTable
  private let groups: GroupRuntime
  private let shareState: ShareStateRuntime
  private let transactions: TransactionRuntime
  private let timers: Timers
  private let clock: any BrokerClock
  private let logger: Logger

  init(
    catalog: CatalogRuntime, topics: TopicTable, groups: GroupRuntime, shareState: ShareStateRuntime,
    transactions: TransactionRuntime, timers: Timers, clock: any BrokerClock, logger: Logger
  ) {
    self.catalog = catalog
    self.topics = topics
    self.groups = groups
    self.shareState = shareState
    self.transactions = transactions
    self.timers = timers
    self.clock = clock
    self.logger = logger
    producer = InternalProducer(
      transactionalId: Self.transactionalId, catalog: catalog, transactions: transactions, clock: clock)
  }

  package var counts: DeadLetterCounts {
    state.withLock { state in
      var counts = state.counts
      counts.stuckPartitions = state.work.values.count { $0.complaint != nil }
      return counts
    }
  }

  /// A transaction that a crash left open is aborted at once: its share-partitions are not served before.
  func abortUnfinished() {
    guard topics.topic(named: TransactionRuntime.topicName) != nil else { return }
    transactions.describe([Self.transactionalId]) { [weak self] described in
      guard let self, let described = described.first else { return }
      switch ErrorCode(rawValue: described.errorCode) {
      case .coordinatorLoadInProgress:
        timers.schedule(after: .milliseconds(20)) { [weak self] in self?.abortUnfinished() }
      case .none where described.transactionState == TransactionState.ongoing.name:
        worker.submit { [weak self] in self?.abortLeftover() }
      default: break
      }
    }
  }

  private func abortLeftover() {
    do throws(ProduceFailure) {
      try producer.initialize()
    } catch {
      // Then its time-out does it.
      logger.warning("an unfinished transaction of dead letters stays open", metadata: ["error": "\(error.reason)"])
    }
  }

  /// The log lost its beginning, and these records with it.
  func lost(_ letters: [DeadLetter]) {
    state.withLock { $0.counts.lost += letters.reduce(0) { $0 + ($1.lastOffset - $1.firstOffset + 1) } }
  }

  /// Letters wait at this share-partition. Any thread, without a lock held.
  func submit(_ source: SharePartitionRuntime) {
    let key = source.key
    let isNew = state.withLock { state -> Bool in
      guard !state.isStopping else { return false }
      if state.work[key]?.source !== source { state.work[key] = Work(source: source) }
      guard state.work[key]?.isQueued == false, state.work[key]?.isWaiting == false else { return false }
      state.work[key]?.isQueued = true
      return true
    }
    if isNew { worker.submit { [self] in attempt(key) } }
  }

  /// Ends with the attempt under way.
  func stop() {
    state.withLock { state in
      state.isStopping = true
      state.work = [:]
    }
    waitUntilDone { worker.submit($0) }
  }

  // MARK: An attempt

  private enum Step {
    /// All that could be done is done.
    case finished
    /// What waits is not known: until the state has been read, or never if the topic is gone.
    case unknown
    case more
    /// Nothing can be done now.
    case failed(ProduceFailure)
    /// This letter cannot be written as things are.
    case refused(Int64, ProduceFailure)
  }

  private func attempt(_ key: ShareStateKey) {
    let work = state.withLock { state -> Work? in
      state.work[key]?.isQueued = false
      return state.work[key]
    }
    guard let work else { return }
    let step: Step
    do throws(ProduceFailure) {
      step = try write(work.source, skipping: work.refused)
    } catch {
      step = .failed(error)
    }
    switch step {
    case .more: submit(work.source)
    case .finished: finish(work)
    case .unknown: setAside(work)
    case .failed(let failure): postpone(work, because: failure)
    case .refused(let offset, let failure):
      note(failure, of: work, about: "offset \(offset)")
      state.withLock { state in
        guard state.work[key]?.source === work.source else { return }
        state.work[key]?.refused.insert(offset)
        state.counts.failedAttempts += 1
      }
      submit(work.source)
    }
  }

  /// One batch of letters, in one transaction.
  private func write(_ source: SharePartitionRuntime, skipping refused: Set<Int64>) throws(ProduceFailure) -> Step {
    let key = source.key
    guard let waiting = source.waitingDeadLetters(limit: Self.maxLetterRuns + refused.count) else { return .unknown }
    let letters = waiting.without(refused)
    guard !letters.isEmpty else { return .finished }
    guard let origin = topics.topic(id: key.topicId), let partition = origin.partition(key.partition) else {
      return .unknown
    }
    let config = groups.shareConfig(ofGroup: key.groupId)
    guard let name = config.deadLetterTopic else { return try archive(letters, of: source) }
    let target = try deadLetterTopic(named: name)
    let from = LetterSource(
      groupId: key.groupId, topic: origin.name, partition: key.partition, log: partition.log,
      copiesRecords: config.copiesRecordIntoDeadLetter)
    let maxBytes = min(Self.maxBatchBytes, target.settings.produceRules.maxMessageBytes)
    var maxLetters = Self.maxBatchLetters
    while true {
      let batch = try LetterBatch(letters, of: from, maxBytes: maxBytes, maxLetters: maxLetters, nowMs: clock.nowMs())
      guard let failure = try commit(batch, to: target, source) else { return .more }
      guard failure.isAboutRecord, let first = batch.firstRecord else { throw failure }
      if batch.records.recordCount == 1 { return .refused(first, failure) }
      // Which of them it is shows in smaller batches.
      maxLetters = Int(batch.records.recordCount) / 2
    }
  }

  /// Returns why the letters were not written, if they were not.
  private func commit(
    _ batch: LetterBatch, to target: Topic, _ source: SharePartitionRuntime
  ) throws(ProduceFailure) -> ProduceFailure? {
    let key = source.key
    // They may have been given to another owner meanwhile.
    guard let write = source.archivingWrite(batch.offsets) else { return nil }
    var records = batch.records
    let count = Int64(records.recordCount)
    let partition = key.partition % Int32(clamping: max(1, target.partitions.count))
    let outcome = producer.transact { (producer) throws(ProduceFailure) in
      if count > 0 { try producer.append(&records, batch.compression, to: partition, of: target) }
      try append(write, of: key, producer)
    }
    switch outcome {
    case .committed:
      state.withLock { $0.counts.written += count }
      source.archived(batch.offsets)
      return nil
    case .aborted(let failure): return failure
    case .unknown(let failure):
      source.forget()
      throw failure
    }
  }

  private func append(
    _ write: ShareStateWrite, of key: ShareStateKey, _ producer: InternalProducer
  ) throws(ProduceFailure) {
    guard let place = shareState.journalPartition(of: key), let journal = shareState.journal(of: key) else {
      throw ProduceFailure(.notCoordinator, "The share coordinator is not there.")
    }
    let transaction = try producer.join(place, journal.log)
    let writer = Journal.Producer(
      id: producer.current.id, epoch: producer.current.epoch, transaction: transaction)
    let code: ErrorCode = waiting { shareState.write(key, write, in: writer, then: $0, ended: { _ in }) }
    guard code == .none else { throw ProduceFailure(code, "The share coordinator does not take the state.") }
  }

  /// The group has no dead-letter topic any more: its records are given up without letters.
  private func archive(_ letters: [DeadLetter], of source: SharePartitionRuntime) throws(ProduceFailure) -> Step {
    let offsets = letters.map { $0.firstOffset...$0.lastOffset }
    guard let write = source.archivingWrite(offsets) else { return .finished }
    let code: ErrorCode = waiting { shareState.write(source.key, write, then: $0) }
    guard code == .none else { throw ProduceFailure(code, "The share coordinator does not take the state.") }
    source.archived(offsets)
    return .finished
  }

  // MARK: The dead-letter topic

  private func deadLetterTopic(named name: String) throws(ProduceFailure) -> Topic {
    let rules = catalog.deadLetterRules
    guard name.hasPrefix(rules.prefix) else {
      throw ProduceFailure(
        .invalidTopicException,
        "The name of dead-letter topic '\(name)' does not begin with '\(rules.prefix)' "
          + "(errors.deadletterqueue.topic.name.prefix).")
    }
    if let topic = topics.topic(named: name) {
      guard topic.settings.takesDeadLetters else {
        throw ProduceFailure(
          .topicAuthorizationFailed,
          "Topic '\(name)' does not take dead letters: set errors.deadletterqueue.group.enable=true on it.")
      }
      return topic
    }
    guard rules.createsTopics else {
      throw ProduceFailure(
        .unknownTopicOrPartition,
        "Dead-letter topic '\(name)' does not exist and is not made automatically: create it with "
          + "errors.deadletterqueue.group.enable=true, or set errors.deadletterqueue.auto.create.topics.enable=true.")
    }
    let made: Result<Topic, CatalogError> = waiting {
      catalog.ensureTopic(named: name, overrides: Self.topicConfigs, done: $0)
    }
    switch made {
    case .success(let topic): return topic
    case .failure(let error): throw ProduceFailure(error.code, error.message)
    }
  }

  // MARK: What is left

  /// Whoever restores the share-partition submits it again.
  private func setAside(_ work: Work) {
    let key = work.source.key
    state.withLock { state in
      if state.work[key]?.source === work.source, state.work[key]?.isQueued == false { state.work[key] = nil }
    }
    work.source.beginLetters()
  }

  private func finish(_ work: Work) {
    let key = work.source.key
    let isLeft = state.withLock { state -> Bool in
      guard let current = state.work[key], current.source === work.source else { return false }
      guard current.refused.isEmpty else { return true }
      if !current.isQueued { state.work[key] = nil }
      return false
    }
    if isLeft { return retryLater(work, isBlocked: false) }
    guard work.complaint != nil else { return }
    logger.notice("dead letters are written again", metadata: metadata(key))
  }

  private func postpone(_ work: Work, because failure: ProduceFailure) {
    note(failure, of: work, about: nil)
    state.withLock { $0.counts.failedAttempts += 1 }
    retryLater(work, isBlocked: true)
  }

  private func retryLater(_ work: Work, isBlocked: Bool) {
    let key = work.source.key
    let delayMs = state.withLock { state -> Int64? in
      guard !state.isStopping, let current = state.work[key], current.source === work.source else { return nil }
      if isBlocked { state.work[key]?.isWaiting = true }
      guard !current.hasRetry else { return nil }
      state.work[key]?.hasRetry = true
      state.work[key]?.retries += 1
      return min(Self.maxDelayMs, Self.firstDelayMs << Int64(min(current.retries, 10)))
    }
    guard let delayMs else { return }
    timers.schedule(after: .milliseconds(delayMs)) { [weak self, weak source = work.source] in
      guard let self, let source else { return }
      state.withLock { state in
        guard state.work[key]?.source === source else { return }
        state.work[key]?.hasRetry = false
        state.work[key]?.isWaiting = false
        state.work[key]?.refused = []
      }
      submit(source)
    }
  }

  /// Says what is in the way, once for each reason; of letters that are refused for the same one, the first is named.
  private func note(_ failure: ProduceFailure, of work: Work, about subject: String?) {
    let key = work.source.key
    let complaint = subject == nil ? failure.reason : failure.code.name
    let isNews = state.withLock { state -> Bool in
      guard state.work[key]?.source === work.source, state.work[key]?.complaint != complaint else { return false }
      state.work[key]?.complaint = complaint
      return true
    }
    guard isNews else { return }
    var metadata = metadata(key)
    metadata["reason"] = "\(failure.reason)"
    if let subject { metadata["record"] = "\(subject)" }
    logger.error("dead letters cannot be written and are kept until they can", metadata: metadata)
  }

  private func metadata(_ key: ShareStateKey) -> Logger.Metadata {
    let topic = topics.topic(id: key.topicId)?.name ?? "\(key.topicId)"
    return ["group": "\(key.groupId)", "topic": "\(topic)", "partition": "\(key.partition)"]
  }
}

extension ProduceFailure {
  /// This record is not taken, whatever comes of others.
  fileprivate var isAboutRecord: Bool {
    switch code {
    case .messageTooLarge, .recordListTooLarge, .invalidRecord, .invalidTimestamp, .corruptMessage: true
    default: false
    }
  }

  fileprivate var reason: String { message ?? code.name }
}
