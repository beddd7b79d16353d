// The runtime of one partition of __transaction_state: it holds the pure shard under a lock, appends what the shard
// decided, and lets answers out once the log has them for good, as GroupRuntimeShard does.
//
//   EndTxn ──▶ lock: decided, PrepareCommit appended ──▶ durable ──▶ answered
//                                                               └──▶ markers in all partitions ──▶ durable
//                                                                              CompleteCommit appended ◀──┘
//
// An outcome is written only when the decision is durable, and counts as written only when it is durable everywhere. A
// crash in between repeats it: markers of the same producer and epoch change nothing the second time.
//
// If the journal refuses a fact, memory is ahead of it and cannot be trusted: the shard is dropped and the log is read
// anew, unless it has gone offline for good. Markers under way for the dropped one are no longer written.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

final class TransactionRuntimeShard: Sendable {
  typealias Outcome<Response> = @Sendable (Result<Response, ErrorCode>) -> Void

  struct State {
    var phase = CoordinatorPhase.loading
    var shard: TransactionShard
    /// Everything before this offset has to be durable before anybody is told.
    var journalEnd: Int64 = 0
    /// Counts the times that the shard was dropped, so that markers of an earlier one are recognised.
    var incarnation: UInt64 = 0
    /// The newest time of day in the journal when it was read.
    var newestLoadedMs: Int64?
    /// Who waits for a transaction to be complete, by transactional id.
    var waiters: [String: [UInt64: @Sendable () -> Void]] = [:]
    var lastWaiter: UInt64 = 0
  }

  let journal: Journal
  let markers: TransactionMarkers
  /// The level of the feature transaction.version.
  let level: @Sendable () -> Int16
  let timers: Timers
  let time: GroupTime
  let logger: Logger
  let state: Mutex<State>

  init(
    journal: Journal, config: TransactionConfig, markers: TransactionMarkers,
    level: @escaping @Sendable () -> Int16, timers: Timers, time: GroupTime, logger: Logger
  ) {
    self.journal = journal
    self.markers = markers
    self.level = level
    self.timers = timers
    self.time = time
    self.logger = logger
    state = Mutex(State(shard: TransactionShard(config: config)))
  }

  // MARK: Events

  /// Lets the shard decide and performs it. `outcome` is called once, on any thread.
  func decide<Response: Sendable>(
    _ event: (inout TransactionShard, _ level: Int16, Moment) -> (Response, TransactionDecision),
    then outcome: @escaping Outcome<Response>
  ) {
    let level = level()
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal { return Effects(refusal: { outcome(.failure(refusal)) }) }
      let (response, decision) = event(&state.shard, level, time.now())
      var effects = perform(decision, level, &state)
      effects.answers.append(({ outcome(.success(response)) }, { outcome(.failure($0)) }))
      return effects
    }
    complete(effects)
  }

  /// A question that changes nothing. Its answer waits like all others.
  func read<Response: Sendable>(
    _ question: (TransactionShard, Moment) -> Response, then outcome: @escaping Outcome<Response>
  ) {
    decide({ shard, _, now in (question(shard, now), TransactionDecision()) }, then: outcome)
  }

  /// Calls `body` once: when the id's transaction is complete, at once if none is on its way there, or when `patience`
  /// is over.
  func whenComplete(_ transactionalId: String, within patience: Duration, _ body: @escaping @Sendable () -> Void) {
    let waiter = state.withLock { state -> UInt64? in
      guard state.phase.refusal == nil, state.shard.isEnding(transactionalId) else { return nil }
      state.lastWaiter += 1
      state.waiters[transactionalId, default: [:]][state.lastWaiter] = body
      return state.lastWaiter
    }
    guard let waiter else { return body() }
    timers.schedule(after: patience) { [weak self] in
      let body = self?.state.withLock { state in
        let body = state.waiters[transactionalId]?.removeValue(forKey: waiter)
        if state.waiters[transactionalId]?.isEmpty == true { state.waiters[transactionalId] = nil }
        return body
      }
      body?()
    }
  }

  /// The outcome stands everywhere.
  private func written(_ ending: TransactionEnding, _ incarnation: UInt64) {
    let level = level()
    let effects = state.withLock { state -> Effects? in
      guard state.incarnation == incarnation, state.phase.refusal == nil else { return nil }
      return perform(state.shard.complete(ending, now: time.now()), level, &state)
    }
    if let effects { complete(effects) }
  }

  // MARK: Performing

  /// What is to be done once the lock is released.
  struct Effects {
    var through: Int64 = 0
    var incarnation: UInt64 = 0
    var endings: [TransactionEnding] = []
    var notices: [TransactionNotice] = []
    /// Whose turn it is now.
    var released: [@Sendable () -> Void] = []
    /// To call when the journal is durable through `through`, or has failed.
    var answers: [(send: @Sendable () -> Void, fail: @Sendable (ErrorCode) -> Void)] = []
    /// The journal refused.
    var failure: ErrorCode?
    var refusal: (@Sendable () -> Void)?
  }

  /// Under the lock: journals the decision and collects what follows from it.
  func perform(_ decision: TransactionDecision, _ level: Int16, _ state: inout State) -> Effects {
    var effects = Effects(
      through: state.journalEnd, incarnation: state.incarnation, endings: decision.endings, notices: decision.notices)
    for id in decision.completed { effects.released += state.waiters.removeValue(forKey: id)?.map(\.value) ?? [] }
    guard !decision.records.isEmpty else { return effects }
    do {
      state.journalEnd = try append(decision.records, level)
      effects.through = state.journalEnd
    } catch {
      effects.failure = ErrorCode(ofJournal: error)
      effects.released += drop(&state)
      logger.error(
        "the transaction coordinator cannot write its journal",
        metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    }
    return effects
  }

  private func append(_ records: [TransactionRecord], _ level: Int16) throws -> Int64 {
    var end: Int64 = 0
    // One decision is about one id, but for time, whose facts stand each for itself: batches stay small.
    for record in records {
      let (key, value) = try record.encode(level: level)
      end = try journal.append([Journal.Fact(key: key, value: value)], nowMs: time.now().wallMs)
    }
    return end
  }

  func complete(_ effects: Effects) {
    if let refusal = effects.refusal { return refusal() }
    if let error = effects.failure {
      for answer in effects.answers { answer.fail(error) }
      for body in effects.released { body() }
      return reloadSoon()
    }
    for notice in effects.notices { log(notice) }
    for body in effects.released { body() }
    guard !effects.answers.isEmpty || !effects.endings.isEmpty else { return }
    guard effects.through > 0 else {
      // Nothing was ever journaled, and the log's files need not even exist yet.
      for answer in effects.answers { answer.send() }
      return
    }
    journal.log.whenDurable(through: effects.through) { [self] result in
      switch result {
      case .success:
        for answer in effects.answers { answer.send() }
        for ending in effects.endings { write(ending, effects.incarnation) }
      case .failure(let error):
        for answer in effects.answers { answer.fail(ErrorCode(ofJournal: error)) }
        journalFailed(error, effects.incarnation)
      }
    }
  }

  private func write(_ ending: TransactionEnding, _ incarnation: UInt64) {
    markers.write(ending, coordinatorEpoch: journal.leaderEpoch) { [weak self] in
      self?.state.withLock { $0.incarnation == incarnation && $0.phase.refusal == nil } ?? false
    } done: { [weak self] in
      self?.written(ending, incarnation)
    }
  }

  /// A flush failed: what memory says may never become true.
  private func journalFailed(_ error: LogError, _ incarnation: UInt64) {
    let released = state.withLock { state -> [@Sendable () -> Void]? in
      guard state.incarnation == incarnation, state.phase.refusal == nil else { return nil }
      return drop(&state)
    }
    guard let released else { return }
    logger.error(
      "the transaction coordinator has lost its journal",
      metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    for body in released { body() }
    reloadSoon()
  }

  /// Under the lock: forgets everything. Returns who waited for it.
  func drop(_ state: inout State) -> [@Sendable () -> Void] {
    let released = state.waiters.values.flatMap(\.values)
    state.waiters = [:]
    state.shard = TransactionShard(config: state.shard.config)
    state.incarnation += 1
    state.phase = .offline
    return released
  }

  /// Nobody is left waiting and nothing is decided any more.
  func stop() {
    let released = state.withLock { state in
      defer { state.phase = .stopped }
      return drop(&state)
    }
    for body in released { body() }
  }

  private func log(_ notice: TransactionNotice) {
    switch notice {
    case .initialized(let id, let producerId, let epoch):
      logger.debug(
        "transactional id has a producer",
        metadata: ["transactional.id": "\(id)", "producer": "\(producerId)", "epoch": "\(epoch)"])
    case .timedOut(let id, let producerId, let timeoutMs):
      logger.info(
        "a transaction is aborted after its time-out",
        metadata: ["transactional.id": "\(id)", "producer": "\(producerId)", "ms": "\(timeoutMs)"])
    case .fenced(let id, let producerId):
      logger.info(
        "an open transaction is aborted for a new producer",
        metadata: ["transactional.id": "\(id)", "producer": "\(producerId)"])
    case .expired(let id):
      logger.info("an idle transactional id is forgotten", metadata: ["transactional.id": "\(id)"])
    }
  }
}
