// All share-partitions and share sessions of the broker: what the handlers look up, and what ends them.
//
//   ShareFetch epoch 0 ──▶ session, bound to its connection ──▶ epoch -1, or the connection or the member is lost
//                                                                └▶ what the member holds comes back
//
// A member that closes its session did not process what it gives back, so that does not count as a delivery, as in
// Kafka. One that is lost may have been brought down by a record: there it counts, unlike in Kafka, for otherwise such a
// record would be delivered for ever.

import Logging
import MillraceCoordination
import MillraceProtocol
import Synchronization

package final class SharePartitions: Sendable {
  /// So long after its last session a group's share-partitions are let go.
  static let idleDelay = Duration.seconds(60)

  private struct State {
    var groups: [String: [ShareTopicPartition: SharePartitionRuntime]] = [:]
    var sessions: ShareSessions
    /// Connections whose end is awaited.
    var connections: Set<UInt64> = []
    var isStopped = false
  }

  private let surroundings: SharePartitionRuntime.Surroundings
  private let state: Mutex<State>

  /// - Parameters:
  ///   - config: the configs of a group, as they are now.
  ///   - deadLetters: writes the dead letters.
  package init(
    state coordinator: ShareStateRuntime, config: @escaping @Sendable (_ groupId: String) -> ShareGroupConfig,
    sessionLimit: Int, deadLetters: DeadLetterWriter, timers: Timers, clock: any BrokerClock,
    logger: Logger
  ) {
    surroundings = SharePartitionRuntime.Surroundings(
      coordinator: coordinator, config: config, deadLetters: deadLetters, timers: timers, time: GroupTime(clock),
      worker: OnDemandWorker(name: "share"), logger: logger)
    state = Mutex(State(sessions: ShareSessions(limit: sessionLimit)))
  }

  /// Deleted topics are let go, states that somebody else has replaced are read again, and what members held that were
  /// put out of their groups comes back.
  func follow(_ catalog: CatalogRuntime, _ groups: GroupRuntime) {
    groups.onFenced { [weak self] member in self?.release(group: member.groupId, member: member.memberId) }
    catalog.onTopicRemoved { [weak self] topic in self?.topicRemoved(id: topic.id) }
    surroundings.coordinator.onReplaced { [weak self] key in
      self?.forget(group: key.groupId, topicId: key.topicId, partition: key.partition)
    }
  }

  /// Dead letters that wait since before the broker started are written without anybody coming to fetch. Everything
  /// that it takes to write them has to be there.
  func beginLetters() {
    let coordinator = surroundings.coordinator
    coordinator.onLettersFound { [weak self, weak coordinator] key in
      guard let partition = coordinator?.topics.topic(id: key.topicId)?.partition(key.partition) else { return }
      let place = ShareTopicPartition(topicId: key.topicId, partition: key.partition)
      self?.runtime(key.groupId, place, of: partition)?.beginLetters()
    }
  }

  package func stop() {
    let all = state.withLock { state in
      state.isStopped = true
      defer { state.groups = [:] }
      return state.groups.values.flatMap(\.values)
    }
    for runtime in all { runtime.end(answering: .notLeaderOrFollower) }
  }

  func config(ofGroup groupId: String) -> ShareGroupConfig { surroundings.config(groupId) }

  // MARK: Share-partitions

  /// The share-partition, made at first use. Nil once the broker stops.
  func runtime(_ groupId: String, _ key: ShareTopicPartition, of partition: Partition) -> SharePartitionRuntime? {
    state.withLock { state in
      if let runtime = state.groups[groupId]?[key] { return runtime }
      guard !state.isStopped else { return nil }
      let runtime = SharePartitionRuntime(
        ShareStateKey(groupId: groupId, topicId: key.topicId, partition: key.partition), of: partition, surroundings)
      state.groups[groupId, default: [:]][key] = runtime
      return runtime
    }
  }

  /// The share-partition, if it is in use.
  package func runtime(_ groupId: String, _ key: ShareTopicPartition) -> SharePartitionRuntime? {
    state.withLock { $0.groups[groupId]?[key] }
  }

  private func runtimes(ofGroup groupId: String) -> [SharePartitionRuntime] {
    state.withLock { $0.groups[groupId].map { Array($0.values) } ?? [] }
  }

  /// The persisted state was deleted or altered: what memory knows of it is dropped, and read again if it is needed.
  package func forget(group groupId: String, topicId: Uuid, partition: Int32) {
    runtime(groupId, ShareTopicPartition(topicId: topicId, partition: partition))?.forget()
  }

  private func topicRemoved(id: Uuid) {
    let removed = state.withLock { state in
      var removed: [SharePartitionRuntime] = []
      for (groupId, partitions) in state.groups {
        for (key, runtime) in partitions where key.topicId == id {
          removed.append(runtime)
          state.groups[groupId]?[key] = nil
        }
        if state.groups[groupId]?.isEmpty == true { state.groups[groupId] = nil }
      }
      return removed
    }
    for runtime in removed { runtime.end(answering: .unknownTopicOrPartition) }
  }

  // MARK: Sessions

  func fetch(
    _ key: ShareSessionKey, epoch: Int32, adding partitions: [ShareTopicPartition],
    forgetting forgotten: [ShareTopicPartition], hasAcknowledgements: Bool, on connection: ConnectionInfo
  ) -> Result<ShareFetchContext, ShareSessionRefusal> {
    let (result, isNewConnection) = state.withLock { state in
      let result = state.sessions.fetch(
        key, epoch: epoch, adding: partitions, forgetting: forgotten, hasAcknowledgements: hasAcknowledgements,
        connection: connection.id)
      guard epoch == ShareSessionEpoch.initial, case .success = result else { return (result, false) }
      return (result, state.connections.insert(connection.id).inserted)
    }
    if isNewConnection {
      connection.onClose { [weak self, id = connection.id] in self?.disconnected(id) }
    }
    return result
  }

  func acknowledge(_ key: ShareSessionKey, epoch: Int32) -> Result<ShareAcknowledgeContext, ShareSessionRefusal> {
    state.withLock { $0.sessions.acknowledge(key, epoch: epoch) }
  }

  /// The results that an answer which continues a session carries.
  func select(_ results: [ShareFetchResult], for key: ShareSessionKey) -> [ShareFetchResult] {
    state.withLock { state in
      results.filter { result in
        state.sessions.includes(
          result.key, of: key, hasRecords: !result.acquired.isEmpty, hasError: result.error != .none)
      }
    }
  }

  /// The member has closed its session.
  func close(_ key: ShareSessionKey) {
    _ = state.withLock { $0.sessions.end(key) }
    released([key], countsDelivery: false)
  }

  /// The group has lost the member: its session ends, and what it holds comes back.
  package func release(group groupId: String, member memberId: String) {
    let key = ShareSessionKey(groupId: groupId, memberId: memberId)
    _ = state.withLock { $0.sessions.end(key) }
    released([key], countsDelivery: true)
  }

  private func disconnected(_ connection: UInt64) {
    let ended = state.withLock { state in
      state.connections.remove(connection)
      return state.sessions.disconnected(connection).map(\.key)
    }
    released(ended, countsDelivery: true)
  }

  /// What a fetch took for a member that is not there any more to get it.
  func takeBack(_ key: ShareSessionKey) { released([key], countsDelivery: false) }

  /// Everywhere in the group: a member may hold records of partitions that its session does not have any more.
  private func released(_ keys: [ShareSessionKey], countsDelivery: Bool) {
    for key in keys {
      for runtime in runtimes(ofGroup: key.groupId) {
        runtime.release(memberId: key.memberId, countsDelivery: countsDelivery)
      }
      let isUnused = state.withLock { $0.sessions.memberCount(ofGroup: key.groupId) == 0 }
      guard isUnused else { continue }
      surroundings.timers.schedule(after: Self.idleDelay) { [weak self] in self?.letGo(key.groupId) }
    }
  }

  /// Share-partitions of a group without sessions need not be in memory.
  private func letGo(_ groupId: String) {
    state.withLock { state in
      guard state.sessions.memberCount(ofGroup: groupId) == 0, let partitions = state.groups[groupId] else { return }
      let left = partitions.filter { !$0.value.endIfIdle() }
      state.groups[groupId] = left.isEmpty ? nil : left
    }
  }
}
