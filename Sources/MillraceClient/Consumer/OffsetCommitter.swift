// Commits offsets for a consumer: on request, periodically, and at the end. Knows under which identity: the member's as
// long as it is one, nobody's when partitions are assigned by hand.

import Logging
import NIOCore
import Synchronization

final class OffsetCommitter: Sendable {
  private struct State {
    /// What is committed as far as we know, so that nothing is committed twice.
    var committed: [TopicPartition: Int64] = [:]
    var task: Task<Void, Never>?
  }

  let group: String
  private let configuration: ConsumerConfiguration
  private let cluster: Cluster
  private let fetcher: Fetcher
  private let identity: CurrentIdentity
  /// One commit at a time, so that one that has to be tried again does not undo a later one.
  private let turn = Slots(1)
  private let state = Mutex(State())

  init(_ configuration: ConsumerConfiguration, _ cluster: Cluster, _ fetcher: Fetcher, _ identity: CurrentIdentity) {
    group = identity.value.group
    self.configuration = configuration
    self.cluster = cluster
    self.fetcher = fetcher
    self.identity = identity
  }

  /// Begins to commit periodically, if that is wanted.
  func start() {
    guard let interval = configuration.autoCommitInterval else { return }
    state.withLock { state in
      guard state.task == nil else { return }
      state.task = Task { [weak self] in
        while !Task.isCancelled {
          try? await pause(interval)
          await self?.commitCompleted()
        }
      }
    }
  }

  func stop() {
    state.withLock { $0.task?.cancel() }
  }

  /// The identity that later commits are made under.
  func use(_ new: GroupIdentity) {
    guard identity.value != new else { return }
    identity.value = new
    state.withLock { $0.committed = [:] }
  }

  var currentIdentity: GroupIdentity { identity.value }

  func commit(
    _ offsets: [TopicPartition: OffsetAndMetadata], until deadline: ContinuousClock.Instant? = nil
  ) async throws(KafkaError) {
    guard !offsets.isEmpty else { return }
    try await turn.acquire()
    defer { turn.release() }
    try await send(offsets, until: deadline)
  }

  private func send(
    _ offsets: [TopicPartition: OffsetAndMetadata], until deadline: ContinuousClock.Instant?
  ) async throws(KafkaError) {
    let before = identity.value
    let start = NIODeadline.now()
    defer { fetcher.metrics?.commitLatency.record(since: start) }
    let results = try await cluster.commit(
      offsets, in: group,
      as: { [identity, fetcher] in
        // A later attempt, after a rebalance: what is another member's now the coordinator has to refuse.
        let isOurs = fetcher.read { assignment in offsets.keys.allSatisfy { assignment.partitions[$0] != nil } }
        return isOurs ? identity.value : before
      }, until: deadline)
    state.withLock { state in
      guard identity.value == before else { return }
      for (partition, result) in results {
        if case .success = result { state.committed[partition] = offsets[partition]?.offset }
      }
    }
    for result in results.values { try result.get() }
  }

  /// What the application is done with, and in the end also what it has.
  func commitCompleted(
    includingHandedOut: Bool = false, until deadline: ContinuousClock.Instant? = nil
  ) async {
    do throws(KafkaError) {
      try await turn.acquire()
      defer { turn.release() }
      let positions = fetcher.read { $0.positions(includingHandedOut: includingHandedOut) }
      let committed = state.withLock { $0.committed }
      let new = positions.filter { committed[$0.key] != $0.value.offset }
      if !new.isEmpty { try await send(new, until: deadline) }
    } catch {
      guard error.code != .cancelled else { return }
      configuration.client.logger.warning(
        "offsets were not committed", metadata: ["group": "\(group)", "error": "\(error)"])
    }
  }

  /// The last commit, if commits are periodic.
  func finish() async {
    guard configuration.autoCommitInterval != nil else { return }
    // Rather than to wait for a periodic commit that does not get through.
    stop()
    await commitCompleted(includingHandedOut: true, until: .now + configuration.client.requestTimeout)
  }
}
