// The runtime of one partition of __consumer_offsets: it holds the pure shard under a lock, appends what the shard
// decided, and lets answers out once the log has them for good.
//
//   request ──▶ lock: shard decides, records appended ──▶ alarms set ──▶ durable through the append ──▶ answers sent
//
// Nothing waits for a flush under the lock, so a group is never serialised on the disk. Whatever is answered, reads
// included, waits until all that was journaled before is durable; a heartbeat discloses nothing and does not wait.
//
// If the journal refuses a fact, memory is ahead of it and cannot be trusted: the shard is dropped, all who wait are
// sent to look for a coordinator again, and the log is read anew, unless it has gone offline for good.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

final class GroupRuntimeShard: Sendable {
  typealias Answer<Response> = @Sendable (Response) -> Void
  typealias Outcome<Response> = @Sendable (Result<Response, ErrorCode>) -> Void

  struct State {
    var phase = CoordinatorPhase.loading
    var shard: GroupShard
    /// Everything before this offset has to be durable before anybody is told.
    var journalEnd: Int64 = 0
    /// Counts the times that the shard was dropped, so that alarms and commits of an earlier one are recognised.
    var incarnation: UInt64 = 0
    /// The newest time of day in the journal when it was read.
    var newestLoadedMs: Int64?
    var lastTicket: UInt64 = 0
    var joins: [JoinTicket: Answer<JoinGroupResponse>] = [:]
    var syncs: [SyncTicket: Answer<SyncGroupResponse>] = [:]
  }

  let journal: Journal
  let topics: TopicTable
  let patternWorker: OnDemandWorker
  let timers: Timers
  let time: GroupTime
  let logger: Logger
  weak let owner: GroupRuntime?
  let state: Mutex<State>

  init(
    journal: Journal, config: GroupConfig, topics: TopicTable, patternWorker: OnDemandWorker, timers: Timers,
    time: GroupTime, logger: Logger, owner: GroupRuntime
  ) {
    self.journal = journal
    self.topics = topics
    self.patternWorker = patternWorker
    self.timers = timers
    self.time = time
    self.logger = logger
    self.owner = owner
    state = Mutex(State(shard: GroupShard(config: config)))
  }

  // MARK: Events

  /// Lets the shard decide and performs it. `outcome` is called once, on any thread.
  func decide<Response: Sendable>(
    _ event: (inout GroupShard, Moment) -> (Response, GroupDecision), then outcome: @escaping Outcome<Response>
  ) {
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal { return Effects(refusal: { outcome(.failure(refusal)) }) }
      let now = time.now()
      let (response, decision) = event(&state.shard, now)
      var effects = perform(decision, now, &state)
      effects.add({ outcome(.success(response)) }, onFailure: { outcome(.failure($0)) })
      return effects
    }
    complete(effects)
  }

  /// A question that changes nothing. Its answer waits like all others.
  func read<Response: Sendable>(_ question: (GroupShard) -> Response, then outcome: @escaping Outcome<Response>) {
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal { return Effects(refusal: { outcome(.failure(refusal)) }) }
      let response = question(state.shard)
      var effects = Effects(through: state.journalEnd, incarnation: state.incarnation)
      effects.add({ outcome(.success(response)) }, onFailure: { outcome(.failure($0)) })
      return effects
    }
    complete(effects)
  }

  func join(_ request: JoinGroupRequest, from caller: JoinCaller, _ answer: @escaping Answer<JoinGroupResponse>) {
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal {
        return Effects(refusal: { answer(JoinGroupResponse(refusing: refusal, memberId: request.memberId)) })
      }
      state.lastTicket += 1
      let ticket = JoinTicket(id: state.lastTicket)
      state.joins[ticket] = answer
      let now = time.now()
      let decision = state.shard.join(request, from: caller, ticket: ticket, topics: topics.image, now: now)
      return perform(decision, now, &state)
    }
    complete(effects)
  }

  func sync(_ request: SyncGroupRequest, _ answer: @escaping Answer<SyncGroupResponse>) {
    let effects = state.withLock { state -> Effects in
      if let refusal = state.phase.refusal {
        return Effects(refusal: { answer(SyncGroupResponse(refusing: refusal)) })
      }
      state.lastTicket += 1
      let ticket = SyncTicket(id: state.lastTicket)
      state.syncs[ticket] = answer
      let now = time.now()
      let decision = state.shard.sync(request, ticket: ticket, topics: topics.image, now: now)
      return perform(decision, now, &state)
    }
    complete(effects)
  }

  func heartbeat(_ request: HeartbeatRequest) -> HeartbeatResponse {
    let (response, effects) = state.withLock { state -> (HeartbeatResponse, Effects?) in
      switch state.phase {
      // While the group is being loaded nobody's session runs.
      case .loading: return (HeartbeatResponse(errorCode: ErrorCode.none.rawValue), nil)
      case .offline, .stopped: return (HeartbeatResponse(refusing: .notCoordinator), nil)
      case .serving: break
      }
      let now = time.now()
      let (response, alarms) = state.shard.heartbeat(request, now: now)
      guard !alarms.isEmpty else { return (response, nil) }
      return (response, Effects(through: 0, incarnation: state.incarnation, alarms: alarms, now: now))
    }
    if let effects { complete(effects) }
    return response
  }

  private func timerFired(_ timer: GroupTimer, _ incarnation: UInt64) {
    let effects = state.withLock { state -> Effects? in
      guard state.incarnation == incarnation, state.phase.refusal == nil else { return nil }
      let now = time.now()
      return perform(state.shard.timerFired(timer, topics: topics.image, now: now), now, &state)
    }
    if let effects { complete(effects) }
  }

  // MARK: Performing

  /// What is to be done once the lock is released.
  struct Effects {
    var through: Int64 = 0
    var incarnation: UInt64 = 0
    var alarms: [GroupTimer] = []
    var notices: [GroupNotice] = []
    var patternQueries: [PatternQuery] = []
    var initializations: [ShareInitialization] = []
    var fenced: [ShareSessionKey] = []
    var now = Moment(wallMs: 0, uptimeMs: 0)
    /// To call when the journal is durable through `through`, or has failed.
    var answers: [(send: @Sendable () -> Void, fail: @Sendable (ErrorCode) -> Void)] = []
    /// The journal refused: everybody who waited, to be told so.
    var failure: (error: ErrorCode, abandoned: [@Sendable (ErrorCode) -> Void])?
    var refusal: (@Sendable () -> Void)?

    mutating func add(_ send: @escaping @Sendable () -> Void, onFailure fail: @escaping @Sendable (ErrorCode) -> Void) {
      answers.append((send, fail))
    }
  }

  /// Under the lock: journals the decision and collects what follows from it.
  func perform(
    _ decision: GroupDecision, _ now: Moment, _ state: inout State, producer: Journal.Producer? = nil
  ) -> Effects {
    var effects = Effects(
      through: state.journalEnd, incarnation: state.incarnation, alarms: decision.timers, notices: decision.notices,
      now: now)
    for answer in decision.answers {
      switch answer {
      case .join(let ticket, let response):
        guard let send = state.joins.removeValue(forKey: ticket) else { continue }
        effects.add({ send(response) }, onFailure: { send(JoinGroupResponse(refusing: $0)) })
      case .sync(let ticket, let response):
        guard let send = state.syncs.removeValue(forKey: ticket) else { continue }
        effects.add({ send(response) }, onFailure: { send(SyncGroupResponse(refusing: $0)) })
      }
    }
    effects.patternQueries = decision.patternQueries
    effects.initializations = decision.initializations
    effects.fenced = decision.fenced
    guard !decision.records.isEmpty else { return effects }
    do {
      state.journalEnd = try journal.append(
        inBatches: decision.records.map { try Journal.Fact($0.encode()) }, nowMs: now.wallMs, producer: producer)
      effects.through = state.journalEnd
    } catch {
      effects.failure = (ErrorCode(ofJournal: error), drop(&state))
      logger.error(
        "the group coordinator cannot write its journal",
        metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    }
    return effects
  }

  func complete(_ effects: Effects) {
    if let refusal = effects.refusal { return refusal() }
    if let (error, abandoned) = effects.failure {
      for answer in effects.answers { answer.fail(error) }
      for fail in abandoned { fail(.notCoordinator) }
      return reloadSoon()
    }
    for notice in effects.notices { log(notice) }
    for query in effects.patternQueries { match(query, effects.incarnation) }
    for alarm in effects.alarms {
      timers.schedule(after: .milliseconds(max(0, alarm.deadlineMs - effects.now.uptimeMs))) {
        [weak self, incarnation = effects.incarnation] in self?.timerFired(alarm, incarnation)
      }
    }
    guard !effects.answers.isEmpty || !effects.initializations.isEmpty || !effects.fenced.isEmpty else { return }
    guard effects.through > 0 else {
      // Nothing was ever journaled, and the log's files need not even exist yet.
      for answer in effects.answers { answer.send() }
      return
    }
    journal.log.whenDurable(through: effects.through) { [self] result in
      switch result {
      case .success:
        for answer in effects.answers { answer.send() }
        for member in effects.fenced { owner?.fenced(member) }
        owner?.initialize(effects.initializations, in: self)
      case .failure(let error):
        for answer in effects.answers { answer.fail(ErrorCode(ofJournal: error)) }
        journalFailed(error, effects.incarnation)
      }
    }
  }

  /// A flush failed: what memory says may never become true.
  private func journalFailed(_ error: LogError, _ incarnation: UInt64) {
    let abandoned = state.withLock { state -> [@Sendable (ErrorCode) -> Void]? in
      guard state.incarnation == incarnation, state.phase.refusal == nil else { return nil }
      return drop(&state)
    }
    guard let abandoned else { return }
    logger.error(
      "the group coordinator has lost its journal", metadata: ["partition": "\(journal.log.id)", "error": "\(error)"])
    for fail in abandoned { fail(.notCoordinator) }
    reloadSoon()
  }

  /// Under the lock: forgets everything. Returns who waited for it.
  func drop(_ state: inout State) -> [@Sendable (ErrorCode) -> Void] {
    var abandoned: [@Sendable (ErrorCode) -> Void] = []
    for send in state.joins.values { abandoned.append { send(JoinGroupResponse(refusing: $0)) } }
    for send in state.syncs.values { abandoned.append { send(SyncGroupResponse(refusing: $0)) } }
    state.joins = [:]
    state.syncs = [:]
    state.shard = GroupShard(config: state.shard.config)
    state.incarnation += 1
    state.phase = .offline
    return abandoned
  }

  /// Nobody is left waiting and nothing is decided any more.
  func stop() {
    let abandoned = state.withLock { state in
      defer { state.phase = .stopped }
      return drop(&state)
    }
    for fail in abandoned { fail(.notCoordinator) }
  }
}
