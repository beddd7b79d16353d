// Reading the state of a share-partition: at first use, and whenever what is in memory was thrown away.

import MillraceCoordination
import MillraceLog
import MillraceProtocol

extension SharePartitionRuntime {
  /// After so long the share coordinator is asked again when it could not answer yet.
  static let readRetryDelay = Duration.milliseconds(100)

  /// A fetch is about to look: sees to it that the state is read. False: this has ended, and the registry has to be asked
  /// for another.
  ///
  /// - Parameter again: also when reading it has failed before.
  @discardableResult
  func prepare(again: Bool) -> Bool {
    let (isThere, reads) = state.withLock { state -> (Bool, UInt64?) in
      switch state.phase {
      case .gone: return (false, nil)
      case .loading, .serving: return (true, nil)
      case .failed where !again: return (true, nil)
      case .cold, .failed:
        state.phase = .loading
        guard !state.isSending else {
          state.owesRead = true
          return (true, nil)
        }
        return (true, state.incarnation)
      }
    }
    if let reads { read(reads) }
    return isThere
  }

  func read(_ incarnation: UInt64) {
    let leaderEpoch = partition.leaderEpoch
    surroundings.coordinator.read(key, leaderEpoch: leaderEpoch) { [self] result in
      switch result {
      case .success(let persisted) where persisted.needsStartOffset:
        surroundings.worker.submit { [self] in
          do throws(LogError) {
            restore(persisted, leaderEpoch: leaderEpoch, resetOffset: try resetOffset(), incarnation)
          } catch {
            fail(ErrorCode(error), incarnation)
          }
        }
      case .success(let persisted): restore(persisted, leaderEpoch: leaderEpoch, resetOffset: 0, incarnation)
      case .failure(let code) where code.isCoordinatorAbsent: readLater(incarnation)
      case .failure(let code): fail(ErrorCode(ofShareState: code), incarnation)
      }
    }
  }

  /// `share.auto.offset.reset`
  private func resetOffset() throws(LogError) -> Int64 {
    let log = partition.log
    switch surroundings.config(key.groupId).autoOffsetReset {
    case .earliest: return log.offsets.logStartOffset
    case .latest: return log.offsets.highWatermark
    case .byDuration(let durationMs):
      let (time, overflow) = surroundings.time.now().wallMs.subtractingReportingOverflow(durationMs)
      return try log.offset(forTimestamp: overflow ? 0 : max(0, time))?.offset ?? log.offsets.highWatermark
    }
  }

  private func readLater(_ incarnation: UInt64) {
    let isWanted = state.withLock { state -> Bool in
      guard case .loading = state.phase, state.incarnation == incarnation else { return false }
      let isWanted = !state.turns.isEmpty || state.owesLetters
      if !isWanted { state.phase = .cold }
      return isWanted
    }
    guard isWanted else { return }
    surroundings.timers.schedule(after: Self.readRetryDelay) { [weak self] in
      guard let self else { return }
      let isStillWanted = state.withLock { state in
        if case .loading = state.phase { state.incarnation == incarnation } else { false }
      }
      if isStillWanted { read(incarnation) }
    }
  }

  private func restore(
    _ persisted: PersistedShareState, leaderEpoch: Int32, resetOffset: Int64, _ incarnation: UInt64
  ) {
    let now = surroundings.time.now()
    let value: SharePartition
    do throws(SharePartitionError) {
      value = try SharePartition(
        restoring: persisted, leaderEpoch: leaderEpoch, resetOffset: resetOffset,
        policy: surroundings.policy(ofGroup: key.groupId), seed: .random(in: .min ... .max), now: now)
    } catch {
      surroundings.logger.error(
        "what is persisted of a share-partition is no state of one",
        metadata: ["share-partition": "\(key.coordinatorKey)"])
      return fail(.unknownServerError, incarnation)
    }
    let effects = state.withLock { state -> Effects? in
      guard case .loading = state.phase, state.incarnation == incarnation else { return nil }
      state.phase = .serving
      state.value = value
      state.owesLetters = false
      var decision = SharePartitionDecision()
      // Where the group begins is decided once: were it decided again after a restart, `latest` would pass over what
      // was delivered meanwhile.
      if persisted.needsStartOffset { decision.write = value.startWrite }
      var effects = perform(decision, answering: nil, now, &state)
      effects.beginsLetters = value.summary.archiving > 0
      effects.wakes = .next
      return effects
    }
    if let effects { complete(effects) }
  }

  private func fail(_ code: ErrorCode, _ incarnation: UInt64) {
    let effects = state.withLock { state -> Effects? in
      guard case .loading = state.phase, state.incarnation == incarnation else { return nil }
      state.owesLetters = false
      return drop(&state, as: .failed(code), answering: code)
    }
    if let effects { complete(effects) }
  }
}
