// Drives a `ClassicMembership` in one task: talks to the coordinator, gives partitions to the fetcher and takes them away,
// commits in between and tells the application.

import Logging
import MillraceProtocol
import NIOCore
import Synchronization

final class ClassicMember: GroupMember {
  private struct State {
    var membership: ClassicMembership
    var task: Task<Void, Never>?
    var isLeaving = false
  }

  /// How much longer than the rebalance itself an answer to JoinGroup may take.
  private static let joinSlack = Duration.seconds(5)
  /// How long `leave` waits for the application, the last commit and the coordinator.
  private static let leaveTimeout = Duration.seconds(10)

  private let group: String
  private let configuration: ConsumerConfiguration
  private let cluster: Cluster
  private let fetcher: Fetcher
  private let committer: OffsetCommitter
  private let state: Mutex<State>

  init(
    group: String, _ configuration: ConsumerConfiguration, _ cluster: Cluster, _ fetcher: Fetcher,
    _ committer: OffsetCommitter
  ) {
    self.group = group
    self.configuration = configuration
    self.cluster = cluster
    self.fetcher = fetcher
    self.committer = committer
    state = Mutex(
      State(
        membership: ClassicMembership(
          ClassicMembership.Settings(
            assignors: configuration.assignors, groupInstanceId: configuration.groupInstanceId,
            heartbeatInterval: TimeAmount(configuration.heartbeatInterval),
            maxPollInterval: TimeAmount(configuration.maxPollInterval),
            metadataMaxAge: TimeAmount(configuration.client.metadataMaxAge), backoff: Backoff(configuration.client)))))
  }

  private var logger: Logger { configuration.client.logger }

  func subscribe(to subscription: Subscription) throws(KafkaError) {
    guard case .topics(let topics) = subscription else {
      throw KafkaError(
        .invalidArgument, "a pattern needs the consumer protocol (KIP-848): set groupProtocol to .consumer")
    }
    state.withLock { state in
      state.membership.subscribe(to: topics, now: .now())
      if state.task == nil, !state.isLeaving { state.task = Task { await self.run() } }
    }
    fetcher.idle.set()
  }

  func abandon() {
    state.withLock { $0.task?.cancel() }
  }

  /// Commits, if that happens periodically, and leaves the group. A static member stays in it: it is expected back.
  func leave() async {
    let task = state.withLock { state in
      state.isLeaving = true
      return state.task
    }
    task?.cancel()
    await task?.value
    let (identity, owned) = state.withLock { (identify($0.membership), $0.membership.owned) }
    if !owned.isEmpty {
      await committer.finish()
      await configuration.onRebalance?(.revoked(owned))
      fetcher.assign([:])
    }
    guard !identity.memberId.isEmpty, configuration.groupInstanceId == nil else { return }
    do throws(KafkaError) {
      try await sendLeave(identity)
    } catch {
      logger.debug("could not leave the group", metadata: ["group": "\(group)", "error": "\(error)"])
    }
  }

  // MARK: The task

  private func run() async {
    while !Task.isCancelled {
      let busySince = fetcher.busySince
      let action = state.withLock { $0.membership.next(now: .now(), busySince: busySince) }
      do throws(KafkaError) {
        if case .stop(let error) = action {
          logger.error("the consumer is out of its group", metadata: ["group": "\(group)", "error": "\(error)"])
          fetcher.assign([:])
          return fetcher.fail(error)
        }
        try await perform(action)
      } catch {
        guard error.code != .cancelled else { return }
        logger.debug("the group's coordinator", metadata: ["group": "\(group)", "error": "\(error)"])
        if error.isRetriable { cluster.forget(.coordinator(.group(group))) }
        state.withLock { $0.membership.failed(error, now: .now()) }
      }
    }
  }

  private func perform(_ action: ClassicMembership.Action) async throws(KafkaError) {
    switch action {
    case .sleep(let deadline):
      try await fetcher.idle.wait(until: deadline)
    case .hold(let deadline):
      if fetcher.tryHold() {
        state.withLock { $0.membership.held(now: .now()) }
      } else {
        try await fetcher.idle.wait(until: deadline)
      }
    case .release(let partitions, let isLost):
      await release(partitions, isLost: isLost)
    case .join(let joining):
      let response = try await answer(to: joining)
      take(response.errorCode) { $0.joined(response, now: .now()) }
    case .count(let topics):
      let counts = try await count(topics)
      state.withLock { $0.membership.counted(counts, now: .now()) }
    case .sync(let assignments):
      let response = try await sync(assignments)
      take(response.errorCode) { $0.synced(response, now: .now()) }
    case .adopt(let partitions):
      await adopt(partitions)
    case .heartbeat:
      let code = try await sendHeartbeat()
      take(code) { $0.heartbeat(ErrorCode(rawValue: code), now: .now()) }
    case .leave:
      logger.warning(
        "processing a batch took longer than maxPollInterval, so this member gives up its partitions",
        metadata: ["group": "\(group)"])
      let identity = state.withLock { identify($0.membership) }
      if configuration.groupInstanceId == nil { try? await sendLeave(identity) }
      state.withLock { $0.membership.left() }
    case .stop: break
    }
  }

  /// Gives an answer to the membership, and forgets a coordinator that says that it is none.
  private func take(_ code: Int16, _ body: (inout ClassicMembership) -> Void) {
    if code == ErrorCode.notCoordinator.rawValue || code == ErrorCode.coordinatorNotAvailable.rawValue {
      cluster.forget(.coordinator(.group(group)))
    }
    let identity = state.withLock { state in
      body(&state.membership)
      return identify(state.membership)
    }
    // One that is not known any more keeps its last generation, so that it does not pass for somebody from outside.
    if identity.generation >= 0 { committer.use(identity) }
  }

  private func identify(_ membership: ClassicMembership) -> GroupIdentity {
    GroupIdentity(
      group: group, generation: membership.generation, memberId: membership.memberId,
      groupInstanceId: configuration.groupInstanceId)
  }

  // MARK: Partitions

  private func release(_ partitions: [TopicPartition], isLost: Bool) async {
    if !partitions.isEmpty {
      if !isLost, configuration.autoCommitInterval != nil {
        await committer.commitCompleted(until: .now + configuration.client.requestTimeout)
      }
      logger.debug("giving up partitions", metadata: ["group": "\(group)", "partitions": "\(partitions)"])
      await configuration.onRebalance?(isLost ? .lost(partitions) : .revoked(partitions))
    }
    let gone = Set(partitions)
    read(state.withLock { $0.membership.owned }.filter { !gone.contains($0) })
    state.withLock { $0.membership.released(now: .now()) }
  }

  private func adopt(_ partitions: [TopicPartition]) async {
    let owned = Set(state.withLock { $0.membership.owned })
    let new = partitions.filter { !owned.contains($0) }
    logger.debug("taking partitions", metadata: ["group": "\(group)", "partitions": "\(new)"])
    await configuration.onRebalance?(.assigned(new))
    read(partitions)
    state.withLock { $0.membership.adopted(partitions, now: .now()) }
    fetcher.letGo()
  }

  /// What is read already goes on where it is.
  private func read(_ partitions: [TopicPartition]) {
    fetcher.assign(Dictionary(partitions.map { ($0, .committed) }, uniquingKeysWith: { first, _ in first }))
  }

  // MARK: Requests

  private var coordinator: Cluster.Destination { .coordinator(.group(group)) }

  /// What a first JoinGroup is answered is waited for whatever happens: it names a member for which the group waits from
  /// then on, and who leaves has to say which.
  private func answer(to joining: ClassicMembership.Joining) async throws(KafkaError) -> JoinGroupResponse {
    guard joining.memberId.isEmpty else { return try await join(joining) }
    let answer = Task { () async -> Result<JoinGroupResponse, KafkaError> in
      do throws(KafkaError) { return .success(try await self.join(joining)) } catch { return .failure(error) }
    }
    return try await answer.value.get()
  }

  private func join(_ joining: ClassicMembership.Joining) async throws(KafkaError) -> JoinGroupResponse {
    var protocols: [JoinGroupRequest.JoinGroupRequestProtocol] = []
    do throws(ProtocolError) {
      for assignor in configuration.assignors {
        let subscription = GroupSubscription(joining, for: assignor)
        protocols.append(.init(name: assignor.rawValue, metadata: try subscription.encoded()))
      }
    } catch {
      throw KafkaError(.invalidArgument, "the subscription cannot be sent: \(error)")
    }
    let configuration = configuration
    let group = group
    return try await cluster.attempt(
      to: coordinator, on: .group, timeout: configuration.maxPollInterval + Self.joinSlack
    ) { [protocols] version throws(KafkaError) in
      if configuration.groupInstanceId != nil, version < 5 {
        throw KafkaError(
          .unsupportedVersion, "the broker does not know static members (KIP-345); leave out the group instance id")
      }
      return JoinGroupRequest(
        groupId: group, sessionTimeoutMs: configuration.sessionTimeout.clampedMilliseconds,
        rebalanceTimeoutMs: configuration.maxPollInterval.clampedMilliseconds, memberId: joining.memberId,
        groupInstanceId: configuration.groupInstanceId, protocolType: "consumer", protocols: protocols)
    }
  }

  private func sync(_ assignments: [String: [TopicPartition]]) async throws(KafkaError) -> SyncGroupResponse {
    var encoded: [SyncGroupRequest.SyncGroupRequestAssignment] = []
    do throws(ProtocolError) {
      for (member, partitions) in assignments {
        encoded.append(.init(memberId: member, assignment: try GroupAssignment(partitions: partitions).encoded()))
      }
    } catch {
      throw KafkaError(.invalidArgument, "the assignment cannot be sent: \(error)")
    }
    let (identity, name) = state.withLock { (identify($0.membership), $0.membership.protocolName) }
    return try await cluster.attempt(
      to: coordinator, on: .group, timeout: configuration.maxPollInterval + Self.joinSlack
    ) { [encoded] version in
      SyncGroupRequest(
        groupId: identity.group, generationId: identity.generation, memberId: identity.memberId,
        groupInstanceId: identity.groupInstanceId, protocolType: version >= 5 ? "consumer" : nil,
        protocolName: version >= 5 ? name : nil, assignments: encoded)
    }
  }

  private func sendHeartbeat() async throws(KafkaError) -> Int16 {
    let identity = state.withLock { identify($0.membership) }
    return try await cluster.attempt(to: coordinator, on: .group) { _ in
      HeartbeatRequest(
        groupId: identity.group, generationId: identity.generation, memberId: identity.memberId,
        groupInstanceId: identity.groupInstanceId)
    }
    .errorCode
  }

  /// On the general connection: on the group's, an unanswered JoinGroup may be in front.
  private func sendLeave(_ identity: GroupIdentity) async throws(KafkaError) {
    _ = try await cluster.send(to: coordinator, until: .now + Self.leaveTimeout) { version in
      version >= 3
        ? LeaveGroupRequest(
          groupId: identity.group,
          members: [.init(memberId: identity.memberId, groupInstanceId: identity.groupInstanceId)])
        : LeaveGroupRequest(groupId: identity.group, memberId: identity.memberId)
    }
  }

  private func count(_ topics: Set<String>) async throws(KafkaError) -> [String: Int] {
    guard !topics.isEmpty else { return [:] }
    try await cluster.refreshMetadata(.topics(topics, create: true))
    let metadata = cluster.metadata
    return Dictionary(
      topics.compactMap { name in
        metadata.topics[name].flatMap { $0.error == .none ? (name, $0.partitions.count) : nil }
      }, uniquingKeysWith: { first, _ in first })
  }
}
