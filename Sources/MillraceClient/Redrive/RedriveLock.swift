// One redrive of a topic at a time: who has all its partitions in the redrive's group has the lock. Whoever finds a member
// in the group waits as long as a dead one could still be counted as alive, and gives up if it is alive. Two that began in
// the same moment share the partitions: the one with the first of them stays, the other leaves.
//
// The member reads nothing. Offsets are committed as it, so that one that was thrown out commits nothing any more.

import Logging
import MillraceProtocol
import Synchronization

final class RedriveLock: Sendable {
  private static let heartbeatInterval = Duration.milliseconds(1000)
  private static let pollInterval = Duration.milliseconds(250)
  /// How long it may take from joining to having all partitions.
  private static let joinTimeout = Duration.seconds(60)

  private enum State {
    case waiting
    case held
    case lost(any Error)
  }

  let consumer: Consumer
  private let holder: Holder
  private let watching: Task<Void, Never>

  /// Takes the lock.
  ///
  /// - Parameter onWait: called with the name of who has it.
  init(
    _ configuration: RedriveConfiguration, partitionCount: Int, _ admin: Admin, onWait: (String?) -> Void
  ) async throws {
    let group = RedriveConfiguration.group(of: configuration.topic)
    try await Self.waitUntilFree(group, configuration, admin, onWait: onWait)
    let holder = Holder(topic: configuration.topic, partitionCount: partitionCount)
    var settings = ConsumerConfiguration(configuration.client, groupId: group)
    settings.autoCommitInterval = nil
    settings.autoOffsetReset = .earliest
    settings.assignors = [.range]
    settings.sessionTimeout = configuration.lockSessionTimeout
    settings.heartbeatInterval = Self.heartbeatInterval
    settings.prefetchBytes = 1
    settings.maxPartitionFetchBytes = 1
    settings.onRebalance = { holder.rebalanced($0) }
    let consumer = try await Consumer(settings)
    self.holder = holder
    self.consumer = consumer
    // Takes the little that is fetched out of the way, and hears of it when the membership ends.
    watching = Task {
      do {
        for try await _ in consumer.batches { try? consumer.pause(consumer.assignment) }
      } catch {
        if (error as? KafkaError)?.code != .cancelled { holder.lose(error) }
      }
    }
    do {
      try await consumer.subscribe(to: [configuration.topic])
      try await whenHeld()
    } catch {
      await release()
      throw error
    }
  }

  func release() async {
    watching.cancel()
    await consumer.close()
  }

  /// Throws when the lock is lost; waits while it is not sure.
  func whenHeld() async throws {
    let deadline = ContinuousClock.now + Self.joinTimeout
    while try !holder.isHeld() {
      guard ContinuousClock.now < deadline else {
        throw KafkaError(.timedOut, "the group of the redrive of '\(holder.topic)' does not come to rest")
      }
      try await pause(.milliseconds(20))
    }
  }

  private static func waitUntilFree(
    _ group: String, _ configuration: RedriveConfiguration, _ admin: Admin, onWait: (String?) -> Void
  ) async throws {
    let deadline = ContinuousClock.now + configuration.lockSessionTimeout + .seconds(4)
    while let owner = try await owner(of: group, admin) {
      guard ContinuousClock.now < deadline else { throw RedriveFailure.busy(topic: configuration.topic, owner: owner) }
      onWait(owner)
      try await pause(pollInterval)
    }
    onWait(nil)
  }

  /// Who is in the group; nil for nobody.
  static func owner(of group: String, _ admin: Admin) async throws(KafkaError) -> String? {
    switch try await admin.describeGroups([group])[group] {
    case .success(let description)?:
      return description.members.first.map { "\($0.clientId) at \($0.clientHost)" }
    case .failure(let error)? where error.brokerCode != .groupIdNotFound: throw error
    case .failure?, nil: return nil
    }
  }
}

extension RedriveLock {
  /// What the group says, as it comes.
  private final class Holder: Sendable {
    let topic: String
    private let partitionCount: Int
    private let state = Mutex(State.waiting)

    init(topic: String, partitionCount: Int) {
      self.topic = topic
      self.partitionCount = partitionCount
    }

    func isHeld() throws -> Bool {
      switch state.withLock({ $0 }) {
      case .waiting: return false
      case .held: return true
      case .lost(let error): throw error
      }
    }

    func lose(_ error: any Error) {
      state.withLock { state in
        if case .lost = state { return }
        state = .lost(error)
      }
    }

    func rebalanced(_ event: RebalanceEvent) {
      switch event {
      case .lost: lose(RedriveFailure.cancelled(topic: topic))
      case .revoked:
        state.withLock { if case .held = $0 { $0 = .waiting } }
      case .assigned(let partitions):
        if partitions.count >= partitionCount {
          state.withLock { if case .waiting = $0 { $0 = .held } }
        } else if !partitions.contains(where: { $0.partition == 0 }) {
          lose(RedriveFailure.busy(topic: topic, owner: "one that began in the same moment"))
        }
      }
    }
  }
}
