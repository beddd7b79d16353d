// The runtime of one partition of __share_group_state: it holds the pure shard under a lock, appends what the shard
// decided, and lets answers out once the log has them for good, as GroupRuntimeShard does.
//
// If the journal refuses a fact, memory is ahead of it and cannot be trusted: the shard is dropped and the log is read
// anew, unless it has gone offline for good.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

final class ShareStateRuntimeShard: Sendable {
  typealias Outcome<Response> = @Sendable (Result<Response, ErrorCode>) -> Void

  struct State {
    var phase = CoordinatorPhase.loading
    var shard: ShareStateShard
    /// Everything before this offset has to be durable before anybody is told.
    var journalEnd: Int64 = 0
    /// Counts the times that the shard was dropped, so that flushes for an earlier one are recognised.
    var incarnation: UInt64 = 0
    /// Who wants to hear how a transaction ended, by producer id.
    var endings: [Int64: [@Sendable (TransactionalWriteOutcome) -> Void]] = [:]
  }

  let journal: Journal
  private let timers: Timers
  let time: GroupTime
  let logger: Logger
  weak let owner: ShareStateRuntime?
  let state: Mutex<State>

  init(journal: Journal, config: ShareStateConfig, owner: ShareStateRuntime) {
    self.journal = journal
    timers = owner.timers
    time = owner.time
    logger = owner.logger
    self.owner = owner
    state = Mutex(State(shard: ShareStateShard(config: config)))
  }

  // MARK: Events

  /// Lets the shard decide and performs it. `outcome` is called once, on any thread.
  func decide<Response: Sendable>(
    _ event: (inout ShareStateShard, Moment) -> (Response, [ShareStateRecord]),
    then outcome: @escaping Outcome<Response>
  ) {
    complete(
      state.withLock { state in
        if let refusal = state.phase.refusal { return .refused { outcome(.failure(refusal)) } }
        let now = time.now()
        let (response, records) = event(&state.shard, now)
        do {
          try append(records, now, &state)
        } catch {
          return failed(error, &state) { outcome(.failure($0)) }
        }
        return journaled(state) {
          outcome(.success(response))
        } fail: {
          outcome(.failure($0))
        }
      })
  }

  /// The topics are gone, and their states with them.
  func delete(topics: Set<Uuid>) {
    decide({ shard, _ in ((), shard.delete(topics: topics)) }, then: { _ in })
  }

  func snapshotCold() {
    decide({ shard, now in ((), shard.snapshotCold(now: now)) }, then: { _ in })
  }

  /// Takes from the journal's beginning what is not needed any more, when what has replaced it is durable.
  func prune() {
    let (offset, end) = state.withLock { state -> (Int64?, Int64) in
      (state.phase.refusal == nil ? state.shard.prunableBelow : nil, state.journalEnd)
    }
    guard let offset, offset > journal.log.offsets.logStartOffset else { return }
    do throws(LogError) {
      try journal.waitUntilDurable(through: end)
      _ = try journal.log.deleteRecords(before: offset, nowMs: time.now().wallMs)
    } catch {
      logger.warning(
        "old share group state cannot be removed",
        metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    }
  }

  // MARK: Performing

  /// What is to be done once the lock is released.
  enum Effects {
    case refused(@Sendable () -> Void)
    case journaled(
      through: Int64, incarnation: UInt64, send: @Sendable () -> Void, fail: @Sendable (ErrorCode) -> Void)
    case failed(abandoned: @Sendable () -> Void)
  }

  /// Under the lock: appends what the shard has decided.
  private func append(_ records: [ShareStateRecord], _ now: Moment, _ state: inout State) throws {
    guard !records.isEmpty else { return }
    let facts = try records.map { try Journal.Fact($0.encode()) }
    state.journalEnd = try journal.append(inBatches: facts, nowMs: now.wallMs)
    // Nobody else appends.
    for (index, record) in records.enumerated() {
      state.shard.journaled(record, at: state.journalEnd - Int64(records.count - index))
    }
  }

  /// Under the lock.
  func journaled(
    _ state: State, send: @escaping @Sendable () -> Void, fail: @escaping @Sendable (ErrorCode) -> Void
  ) -> Effects {
    .journaled(through: state.journalEnd, incarnation: state.incarnation, send: send, fail: fail)
  }

  /// Under the lock: the journal has refused what memory says already.
  func failed(_ error: any Error, _ state: inout State, _ fail: @escaping @Sendable (ErrorCode) -> Void) -> Effects {
    logger.error(
      "the share coordinator cannot write its journal",
      metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    let code = ErrorCode(ofJournal: error)
    let abandon = drop(&state)
    return .failed {
      fail(code)
      abandon()
    }
  }

  func complete(_ effects: Effects) {
    switch effects {
    case .refused(let tell): tell()
    case .failed(let abandoned):
      abandoned()
      reloadSoon()
    // Nothing was ever journaled, and the log's files need not even exist yet.
    case .journaled(through: 0, _, let send, _): send()
    case .journaled(let through, let incarnation, let send, let fail):
      journal.log.whenDurable(through: through) { [self] result in
        switch result {
        case .success: send()
        case .failure(let error):
          fail(ErrorCode(ofJournal: error))
          journalFailed(error, incarnation)
        }
      }
    }
  }

  /// A flush failed: what memory says may never become true.
  private func journalFailed(_ error: LogError, _ incarnation: UInt64) {
    let abandon = state.withLock { state -> (@Sendable () -> Void)? in
      guard state.incarnation == incarnation, state.phase.refusal == nil else { return nil }
      return drop(&state)
    }
    guard let abandon else { return }
    logger.error(
      "the share coordinator has lost its journal",
      metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    abandon()
    reloadSoon()
  }

  /// Under the lock: forgets everything. What it returns tells who waited for it.
  private func drop(_ state: inout State) -> @Sendable () -> Void {
    let endings = state.endings.values.flatMap { $0 }
    state.endings = [:]
    state.shard = ShareStateShard(config: state.shard.config)
    state.incarnation += 1
    state.phase = .offline
    return { for tell in endings { tell(.unknown) } }
  }

  /// Nobody is left waiting and nothing is decided any more.
  func stop() {
    let abandon = state.withLock { state in
      defer { state.phase = .stopped }
      return drop(&state)
    }
    abandon()
  }

  /// Tries again, unless the log has gone offline for writing: that ends with the broker.
  func reloadSoon() {
    guard journal.log.offlineError == nil else { return }
    timers.schedule(after: .seconds(1)) { [weak self] in
      self?.owner?.inBackground { [weak self] in self?.load() }
    }
  }
}
