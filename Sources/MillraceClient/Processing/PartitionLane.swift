// What a worker does with one partition: one batch at a time, one record of it after the other. A lane can be stopped:
// softly, so that the record in hand is brought to its end and none after it is begun, and hard, so that it is given back.

import Synchronization

final class PartitionLane: Sendable {
  private struct State {
    var isStopped = false
    var work: Task<Void, Never>?
    var sleeper: Task<Void, Never>?
    var completed: OffsetAndMetadata?
  }

  let partition: TopicPartition
  private let state = Mutex(State())

  init(_ partition: TopicPartition) {
    self.partition = partition
  }

  /// The offset after the last record that is done; nil when none is.
  var completed: OffsetAndMetadata? { state.withLock { $0.completed } }
  var isStopped: Bool { state.withLock { $0.isStopped } }
  var isIdle: Bool { work == nil }

  func complete(through offset: Int64, leaderEpoch: Int32?) {
    state.withLock { $0.completed = OffsetAndMetadata(offset: offset &+ 1, leaderEpoch: leaderEpoch) }
  }

  /// Starts work that ends with a call of `rest`.
  func start(_ body: @escaping @Sendable () async -> Void) {
    state.withLock { state in
      guard !state.isStopped else { return }
      state.work = Task { await body() }
    }
  }

  /// The work has come to its end.
  func rest() {
    state.withLock { $0.work = nil }
  }

  /// Sleeps, but not when stopped. Returns whether to go on.
  func sleep(_ duration: Duration) async -> Bool {
    let sleeper = Task { _ = try? await Task.sleep(for: duration) }
    let isStopped = state.withLock { state in
      state.sleeper = sleeper
      return state.isStopped
    }
    if isStopped { sleeper.cancel() }
    await sleeper.cancellableValue()
    return !self.isStopped && !Task.isCancelled
  }

  /// Begins nothing new from now on.
  func stop() {
    let sleeper = state.withLock { state in
      state.isStopped = true
      return state.sleeper
    }
    sleeper?.cancel()
  }

  /// What is under way.
  var work: Task<Void, Never>? { state.withLock { $0.work } }
}
