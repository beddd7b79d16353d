// What share-partitions, groups and handlers ask of the share coordinator. Each answer comes once, on any thread, when
// what it says is durable. Who asks first has the topic made.

import MillraceCoordination
import MillraceProtocol

extension ShareStateRuntime {
  /// The state begins anew, at an offset or (-1) wherever the group's reset will say.
  package func initialize(
    _ key: ShareStateKey, stateEpoch: Int32, startOffset: Int64, then: @escaping @Sendable (ErrorCode) -> Void
  ) {
    guard topics.topic(id: key.topicId) != nil else { return then(.unknownTopicOrPartition) }
    decide(key) { shard, now in
      shard.initialize(key, stateEpoch: stateEpoch, startOffset: startOffset, now: now)
    } then: { [self] in
      replaced(key)
      then($0.recover { $0 })
    }
  }

  /// By the leader of the share-partition, who is the only one to write from now on.
  package func read(
    _ key: ShareStateKey, leaderEpoch: Int32,
    then: @escaping @Sendable (Result<PersistedShareState, ErrorCode>) -> Void
  ) {
    decide(key) { shard, _ in
      shard.read(key, leaderEpoch: leaderEpoch)
    } then: { outcome in
      then(outcome.flatMap { $0.mapError(\.errorCode) })
    }
  }

  package func write(
    _ key: ShareStateKey, _ write: ShareStateWrite, then: @escaping @Sendable (ErrorCode) -> Void
  ) {
    decide(key) { shard, now in
      shard.write(key, write, now: now)
    } then: {
      then($0.recover { $0 })
    }
  }

  package func delete(_ key: ShareStateKey, then: @escaping @Sendable (ErrorCode) -> Void) {
    decide(key) { shard, _ in
      shard.delete(key)
    } then: { [self] in
      replaced(key)
      then($0.recover { $0 })
    }
  }

  package func summary(
    _ key: ShareStateKey, then: @escaping @Sendable (Result<ShareStateSummary, ErrorCode>) -> Void
  ) {
    decide(key) { shard, _ in
      (shard.summary(key), [])
    } then: {
      then($0)
    }
  }

  private func decide<Response: Sendable>(
    _ key: ShareStateKey,
    _ event: @escaping @Sendable (inout ShareStateShard, Moment) -> (Response, [ShareStateRecord]),
    then outcome: @escaping @Sendable (Result<Response, ErrorCode>) -> Void
  ) {
    if let shard = shard(for: key) { return shard.decide(event, then: outcome) }
    ensureTopic { [self] error in
      guard let shard = shard(for: key) else { return outcome(.failure(error ?? .notCoordinator)) }
      shard.decide(event, then: outcome)
    }
  }

  /// Calls `done` when there is a topic, or with why there is none.
  package func ensureTopic(done: @escaping @Sendable (ErrorCode?) -> Void) {
    catalog.ensureTopic(named: Self.topicName) { [weak self] result in
      switch result {
      // It exists since the start, and was adopted then, or it has just been made.
      case .success(let topic):
        self?.adopt(topic, isNew: true)
        done(nil)
      case .failure: done(.coordinatorNotAvailable)
      }
    }
  }
}
