// The way of a share-partition's decisions to the share coordinator, and back.

import MillraceCoordination
import MillraceProtocol

extension SharePartitionRuntime {
  /// Decisions that become durable with one write.
  struct Outgoing {
    var write: ShareStateWrite
    let incarnation: UInt64
    var answers: [Answer]
    var beginsLetters: Bool
    var wakesFetches: Bool

    mutating func append(_ later: Outgoing) {
      write.append(later.write)
      answers += later.answers
      beginsLetters = beginsLetters || later.beginsLetters
      wakesFetches = wakesFetches || later.wakesFetches
    }
  }

  /// Under the lock. If nobody is sending, the caller has to.
  func post(_ outgoing: Outgoing, _ state: inout State, _ effects: inout Effects) {
    if state.outbox == nil { state.outbox = outgoing } else { state.outbox!.append(outgoing) }
    effects.sends = !state.isSending
    state.isSending = true
  }

  /// Hands over what is in the outbox until it is empty.
  func send() {
    while true {
      let (next, reads) = state.withLock { state -> (Outgoing?, UInt64?) in
        if let outgoing = state.outbox {
          state.outbox = nil
          state.unconfirmed += 1
          return (outgoing, nil)
        }
        state.isSending = false
        defer { state.owesRead = false }
        return (nil, state.owesRead ? state.incarnation : nil)
      }
      if let reads { read(reads) }
      guard let next else { return }
      surroundings.coordinator.write(key, next.write) { [self] code in written(next, code) }
    }
  }

  private func written(_ outgoing: Outgoing, _ code: ErrorCode) {
    let answer = ErrorCode(ofShareState: code)
    let effects = state.withLock { state -> Effects in
      let isCurrent = outgoing.incarnation == state.incarnation
      if isCurrent { state.unconfirmed -= 1 }
      var effects = Effects()
      if code != .none, isCurrent { effects = drop(&state, as: .cold, answering: answer) }
      effects.answers += outgoing.answers.map { ($0, answer) }
      if code == .none {
        // Of an earlier incarnation: whoever restores the state finds these letters waiting.
        if isCurrent { effects.beginsLetters = outgoing.beginsLetters }
        if outgoing.wakesFetches { effects.wakes = .next }
      }
      return effects
    }
    if code != .none {
      surroundings.logger.warning(
        "the state of a share-partition could not be written, it is read again",
        metadata: ["share-partition": "\(key.coordinatorKey)", "error": "\(code)"])
    }
    complete(effects)
  }

  /// Under the lock: the value is thrown away. What it decided and nobody was told of did not happen.
  func drop(_ state: inout State, as phase: Phase, answering code: ErrorCode) -> Effects {
    var effects = Effects()
    state.value = nil
    state.phase = phase
    state.incarnation += 1
    state.unconfirmed = 0
    state.owesRead = false
    state.alarm?.timer.cancel()
    state.alarm = nil
    if let outbox = state.outbox { effects.answers = outbox.answers.map { ($0, code) } }
    state.outbox = nil
    effects.wakes = .all(state.turns.all)
    return effects
  }

  /// Somebody else has changed the persisted state, or knows that it is no more.
  func forget() {
    complete(state.withLock { drop(&$0, as: .cold, answering: .notLeaderOrFollower) })
  }

  /// The topic is deleted, or the broker stops. The end.
  func end(answering code: ErrorCode) {
    complete(state.withLock { drop(&$0, as: .gone(code), answering: code) })
  }

  /// Ends it if nothing is lost by that: nobody waits, nothing is being written, no record is locked or waits for its
  /// letter.
  func endIfIdle() -> Bool {
    state.withLock { state in
      if let summary = state.value?.summary, summary.acquired > 0 || summary.archiving > 0 { return false }
      if case .loading = state.phase { return false }
      guard state.turns.isEmpty, state.outbox == nil, !state.isSending, state.unconfirmed == 0 else { return false }
      _ = drop(&state, as: .gone(.notLeaderOrFollower), answering: .notLeaderOrFollower)
      return true
    }
  }
}
