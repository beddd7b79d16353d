// Drives a `HeartbeatMembership` in one task: sends its heartbeats to the group's coordinator, and has its reader take
// partitions and give them up. What the application is called for in between goes on in a task of its own, so that a
// slow callback does not keep the member from its heartbeats.

import Logging
import MillraceProtocol
import NIOCore
import Synchronization

/// What a member of a group reads with.
protocol GroupReader: Sendable {
  /// Since when the application has had records; nil while it waits for some.
  var busySince: NIODeadline? { get }
  /// Set when the application comes for more while a hold is wanted, and by the member to wake itself.
  var idle: Signal { get }
  /// Stops handing out, if the application has nothing in its hands. If it has, `idle` is set when it comes back.
  func tryHold() -> Bool
  /// Hands out again.
  func letGo()

  /// Sends a heartbeat in the request that the group's kind has.
  func send(_ heartbeat: HeartbeatMembership.Heartbeat) async throws(KafkaError) -> HeartbeatMembership.Answer
  /// From now on requests about the group are made as this member.
  func become(memberId: String, epoch: Int32)
  /// Stops reading `partitions`, so that `remaining` are left.
  func release(_ partitions: [TopicPartition], remaining: [TopicPartition], isLost: Bool) async
  /// Reads `partitions` beside those that it has, which are all of `all` then.
  func adopt(_ partitions: [TopicPartition], all: [TopicPartition]) async
  /// Stops reading for good, with what there is to do before.
  func finish(_ partitions: [TopicPartition]) async
  /// The member is out of its group.
  func fail(_ error: KafkaError)
}

final class HeartbeatMember: GroupMember {
  private struct State {
    var membership: HeartbeatMembership
    var task: Task<Void, Never>?
    var handover: Task<Void, Never>?
    var isLeaving = false
  }

  private let group: String
  private let cluster: Cluster
  private let reader: any GroupReader
  private let state: Mutex<State>
  private let logger: Logger

  init(group: String, _ settings: HeartbeatMembership.Settings, _ cluster: Cluster, _ reader: any GroupReader) {
    self.group = group
    self.cluster = cluster
    self.reader = reader
    logger = cluster.logger
    state = Mutex(State(membership: HeartbeatMembership(settings)))
  }

  func subscribe(to subscription: Subscription) {
    state.withLock { state in
      state.membership.subscribe(to: subscription)
      if state.task == nil, !state.isLeaving { state.task = Task { await self.run() } }
    }
    reader.idle.set()
  }

  func abandon() {
    state.withLock { $0.task?.cancel() }
  }

  /// Gives its partitions back and leaves. A static member says that it will be back (epoch -2).
  func leave() async {
    let task = state.withLock { state in
      state.isLeaving = true
      state.membership.prepareToLeave()
      return state.task
    }
    // The task goes on with heartbeats: they bring the epoch that the last commit is made with.
    while let handover = state.withLock({ $0.membership.isHandingOver ? .some($0.handover) : nil }) {
      await handover?.value
      await Task.yield()
    }
    await reader.finish(state.withLock { $0.membership.ownedPartitions })
    task?.cancel()
    await task?.value
    guard let farewell = state.withLock({ $0.membership.hasJoined ? $0.membership.farewell : nil }) else { return }
    do throws(KafkaError) {
      _ = try await reader.send(farewell)
    } catch {
      logger.debug("could not leave the group", metadata: ["group": "\(group)", "error": "\(error)"])
    }
  }

  // MARK: The task

  private func run() async {
    while !Task.isCancelled {
      let busySince = reader.busySince
      let action = state.withLock { $0.membership.next(now: .now(), busySince: busySince) }
      do throws(KafkaError) {
        if case .stop(let error) = action {
          logger.error("the consumer is out of its group", metadata: ["group": "\(group)", "error": "\(error)"])
          return reader.fail(error)
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

  private func perform(_ action: HeartbeatMembership.Action) async throws(KafkaError) {
    switch action {
    case .sleep(let deadline):
      try await reader.idle.wait(until: deadline)
    case .hold(let deadline):
      if reader.tryHold() {
        state.withLock { $0.membership.held() }
      } else {
        try await reader.idle.wait(until: deadline)
      }
    case .letGo:
      state.withLock { $0.membership.letGo() }
      reader.letGo()
    case .release(let partitions, let isLost):
      handOver { [self] owned in
        logger.debug(
          "giving up partitions", metadata: ["group": "\(group)", "partitions": "\(partitions)", "lost": "\(isLost)"])
        let gone = Set(partitions)
        await reader.release(partitions, remaining: owned.filter { !gone.contains($0) }, isLost: isLost)
      } then: {
        $0.released()
      }
    case .adopt(let partitions):
      handOver { [self] owned in
        logger.debug("taking partitions", metadata: ["group": "\(group)", "partitions": "\(partitions)"])
        await reader.adopt(partitions, all: owned + partitions)
      } then: {
        $0.adopted()
      }
    case .resolve(let ids):
      let names = await names(of: ids)
      state.withLock { $0.membership.resolved(names, now: .now()) }
    case .heartbeat(let heartbeat):
      take(try await reader.send(heartbeat))
    case .leave:
      logger.warning(
        "processing took longer than maxPollInterval, so this member gives up its partitions",
        metadata: ["group": "\(group)"])
      let farewell = state.withLock { $0.membership.farewell }
      _ = try? await reader.send(farewell)
      state.withLock { $0.membership.left() }
    case .stop: break
    }
  }

  private func take(_ answer: HeartbeatMembership.Answer) {
    if answer.error == .notCoordinator || answer.error == .coordinatorNotAvailable {
      cluster.forget(.coordinator(.group(group)))
    }
    let (memberId, epoch) = state.withLock { state in
      state.membership.answered(answer, now: .now())
      return (state.membership.memberId, state.membership.epoch)
    }
    // One that is not known any more keeps its last epoch, so that it does not pass for somebody from outside.
    if epoch > 0 { reader.become(memberId: memberId, epoch: epoch) }
  }

  private func handOver(
    _ body: @escaping @Sendable (_ owned: [TopicPartition]) async -> Void,
    then finish: @escaping @Sendable (inout HeartbeatMembership) -> Void
  ) {
    let owned = state.withLock { $0.membership.ownedPartitions }
    let task = Task {
      await body(owned)
      // Before the membership can ask for the next hold, which this must not undo.
      reader.letGo()
      state.withLock { finish(&$0.membership) }
      reader.idle.set()
    }
    state.withLock { $0.handover = task }
  }

  private func names(of ids: Set<Uuid>) async -> [Uuid: String] {
    let known = cluster.topicNames(of: ids)
    guard known.count < ids.count else { return known }
    do throws(KafkaError) {
      try await cluster.refreshMetadata(.topicIds(ids.subtracting(known.keys)))
    } catch {
      logger.debug("no names of topics", metadata: ["group": "\(group)", "error": "\(error)"])
    }
    return cluster.topicNames(of: ids)
  }
}
