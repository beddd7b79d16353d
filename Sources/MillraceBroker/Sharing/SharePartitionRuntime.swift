// A share-partition while the broker runs: the pure `SharePartition` under a lock, its state in the share coordinator,
// its timers, and the fetches that wait for it.
//
//   event ──▶ lock: the value decides ──▶ state written, in order ──▶ durable ──▶ answers, dead letters, waiting fetches
//
//            first use                  read                       a write failed, or somebody changed the state
//   cold ─────────────▶ loading ─────────────▶ serving ─────────────────────────────────────────────▶ cold
//                          └─────▶ failed ──next fetch──▶ loading           topic gone, broker stops ──▶ gone
//
// Invariants:
// - Nothing is called with the lock held that may call back: not the share coordinator, not an answer, not a waiter.
// - Writes reach the share coordinator in the order of the decisions: one thread at a time hands them over (`isSending`),
//   and what is decided meanwhile becomes one write (`outbox`). None is waited for before the next is handed over, so
//   they share the journal's flushes.
// - A value that was dropped is recognised by its `incarnation`: a fetch that read the log for an earlier one acquires
//   nothing.

import Logging
import MillraceCoordination
import MillraceLog
import MillraceProtocol
import Synchronization

package final class SharePartitionRuntime: Sendable {
  typealias Answer = @Sendable (ErrorCode) -> Void

  enum Phase {
    case cold
    case loading
    case serving
    case failed(ErrorCode)
    /// With what is answered from now on.
    case gone(ErrorCode)

    var goneCode: ErrorCode? {
      if case .gone(let code) = self { code } else { nil }
    }
  }

  struct State {
    var phase = Phase.cold
    /// There while serving.
    var value: SharePartition?
    var incarnation: UInt64 = 0
    var alarm: (atMs: Int64, timer: Timers.Timer)?
    var turns = WaitingTurns()
    /// Letters may wait in the state, so it is to be read although nobody fetches.
    var owesLetters = false

    // Writing
    var outbox: Outgoing?
    var isSending = false
    /// Writes of this incarnation that were handed over and not answered.
    var unconfirmed = 0
    /// The state is to be read once the write that is being handed over has been.
    var owesRead = false
  }

  /// What is shared by all share-partitions of the broker.
  struct Surroundings: Sendable {
    let coordinator: ShareStateRuntime
    let config: @Sendable (_ groupId: String) -> ShareGroupConfig
    let deadLetters: DeadLetterWriter
    let timers: Timers
    let time: GroupTime
    /// Looks for offsets by time.
    let worker: OnDemandWorker
    let logger: Logger

    func policy(ofGroup groupId: String) -> SharePolicy { config(groupId).policy }
  }

  package let key: ShareStateKey
  package let partition: Partition
  let surroundings: Surroundings
  let state = Mutex(State())
  /// Held by the one fetch that reads the log for this share-partition, so that no two read the same records.
  let reading = Mutex<Void>(())

  init(_ key: ShareStateKey, of partition: Partition, _ surroundings: Surroundings) {
    self.key = key
    self.partition = partition
    self.surroundings = surroundings
  }

  /// Nil while the state is not known.
  package var summary: SharePartitionSummary? { state.withLock { $0.value?.summary } }

  // MARK: Events

  /// `then` is called once, on any thread: when what was acknowledged is durable, or with why it is not.
  func acknowledge(
    _ batches: [ShareAcknowledgement], by memberId: String, allowsRenew: Bool, then: @escaping Answer
  ) {
    let policy = surroundings.policy(ofGroup: key.groupId)
    let effects = state.withLock { state -> Effects in
      guard state.value != nil else {
        // Nobody holds records of a share-partition that is being read.
        return Effects(answering: then, state.phase.goneCode ?? .invalidRecordState)
      }
      let now = surroundings.time.now()
      state.value!.policy = policy
      let (error, decision) = state.value!.acknowledge(batches, by: memberId, allowsRenew: allowsRenew, now: now)
      guard error == .none else { return Effects(answering: then, error) }
      return perform(decision, answering: then, now, &state)
    }
    complete(effects)
  }

  /// What the member holds comes back. See `SharePartition.release` for the deliveries.
  func release(memberId: String, countsDelivery: Bool) {
    decide { value, now in value.release(memberId: memberId, countsDelivery: countsDelivery, now: now) }
  }

  private func alarmFired(_ incarnation: UInt64) {
    state.withLock { if $0.incarnation == incarnation { $0.alarm = nil } }
    decide(incarnation) { value, now in value.wake(now: now) }
  }

  /// An event that nobody waits for. Nothing happens while the state is not known, or is another one by now.
  func decide(_ incarnation: UInt64? = nil, _ event: (inout SharePartition, Moment) -> SharePartitionDecision) {
    let policy = surroundings.policy(ofGroup: key.groupId)
    let effects = state.withLock { state -> Effects? in
      guard state.value != nil, incarnation ?? state.incarnation == state.incarnation else { return nil }
      let now = surroundings.time.now()
      state.value!.policy = policy
      let decision = event(&state.value!, now)
      return perform(decision, answering: nil, now, &state)
    }
    if let effects { complete(effects) }
  }

  // MARK: Performing

  /// What is to be done once the lock is released.
  struct Effects {
    enum Wakes {
      case nobody
      /// Who can take something, if there is something to take.
      case next
      /// Everybody, to see that all is different now.
      case all([any FetchWaiter])
    }

    var answers: [(send: Answer, code: ErrorCode)] = []
    var beginsLetters = false
    var lostLetters: [DeadLetter] = []
    var wakes = Wakes.nobody
    /// The outbox has something, and nobody who hands it over.
    var sends = false

    init() {}

    init(answering answer: @escaping Answer, _ code: ErrorCode) { answers = [(answer, code)] }
  }

  /// Under the lock: what follows from the decision.
  func perform(
    _ decision: SharePartitionDecision, answering answer: Answer?, _ now: Moment, _ state: inout State
  ) -> Effects {
    arm(now, &state)
    var effects = Effects()
    var write = decision.write
    if write == nil, answer != nil, state.unconfirmed > 0 || state.outbox != nil {
      // This changes nothing, but may confirm what an earlier event changed, so it is not durable before that is.
      write = state.value?.startWrite
    }
    guard let write else {
      if let answer { effects.answers = [(answer, .none)] }
      effects.beginsLetters = !decision.deadLetters.isEmpty
      if decision.wakesFetches { effects.wakes = .next }
      return effects
    }
    let outgoing = Outgoing(
      write: write, incarnation: state.incarnation, answers: answer.map { [$0] } ?? [],
      beginsLetters: !decision.deadLetters.isEmpty, wakesFetches: decision.wakesFetches)
    post(outgoing, &state, &effects)
    return effects
  }

  func complete(_ effects: Effects) {
    if effects.sends { send() }
    for answer in effects.answers { answer.send(answer.code) }
    if effects.beginsLetters { surroundings.deadLetters.submit(self) }
    if !effects.lostLetters.isEmpty { lose(effects.lostLetters) }
    switch effects.wakes {
    case .nobody: break
    case .next: wakeNext()
    case .all(let waiters): for waiter in waiters { waiter.wake() }
    }
  }

  private func lose(_ letters: [DeadLetter]) {
    surroundings.logger.warning(
      "records were deleted from the log before their dead letters were written",
      metadata: ["share-partition": "\(key.coordinatorKey)", "first": "\(letters[0].firstOffset)"])
    surroundings.deadLetters.lost(letters)
  }

  // MARK: Time

  /// Under the lock: sees to it that the value is woken when its next lock or delay ends.
  func arm(_ now: Moment, _ state: inout State) {
    guard let deadlineMs = state.value?.nextDeadlineMs else { return }
    if let alarm = state.alarm {
      if alarm.atMs <= deadlineMs { return }
      alarm.timer.cancel()
    }
    // One more, since the clock is read in whole milliseconds.
    let (wait, overflow) = deadlineMs.subtractingReportingOverflow(now.uptimeMs)
    let delay = overflow ? Self.longestAlarmMs : min(max(0, wait), Self.longestAlarmMs) + 1
    let incarnation = state.incarnation
    let timer = surroundings.timers.schedule(after: .milliseconds(delay)) { [weak self] in
      self?.alarmFired(incarnation)
    }
    state.alarm = (deadlineMs, timer)
  }

  /// An alarm that goes off too early is set again.
  private static let longestAlarmMs: Int64 = 3_600_000
}
