// Members of classic groups whose coordinator refuses, moves and goes away. A session is as short as three seconds, so
// on a slow machine the group may lose members at any time; what must hold is that no record is left out.

import MillraceProtocol
import NIOCore
import Synchronization
import Testing

@testable import MillraceClient

@Suite struct GroupFaultTests {
  private func configuration(_ cluster: MockCluster, _ assignor: GroupAssignor = .range) -> ConsumerConfiguration {
    var configuration = ConsumerConfiguration(cluster.client, groupId: "g")
    configuration.sessionTimeout = .seconds(3)
    configuration.heartbeatInterval = .milliseconds(200)
    configuration.fetchMaxWait = .milliseconds(20)
    configuration.autoOffsetReset = .earliest
    configuration.autoCommitInterval = nil
    configuration.assignors = [assignor]
    return configuration
  }

  /// Reads and commits until all `count` values were read.
  private func readAll(_ count: Int, _ consumer: Consumer) async throws {
    var values: Set<String> = []
    for try await batch in consumer.batches {
      for record in batch { values.insert(record.text) }
      if values.count == count { break }
    }
    #expect(values == Set((0..<count).map { "\($0)" }))
  }

  /// Commits as often as the group is about something else.
  private func commit(_ consumer: Consumer, _ offset: Int64) async throws {
    let offsets = [TopicPartition("t", 0): OffsetAndMetadata(offset: offset)]
    try await wait("offset \(offset) committed") {
      do {
        try await consumer.commit(offsets)
        return true
      } catch let error as KafkaError {
        let passes: [ErrorCode?] = [.rebalanceInProgress, .illegalGeneration, .unknownMemberId]
        guard passes.contains(error.brokerCode) else { throw error }
        return false
      }
    }
  }

  private func committed(_ consumer: Consumer) async throws -> Int64? {
    try await consumer.committed([TopicPartition("t", 0)])[TopicPartition("t", 0)]?.offset
  }

  /// Asks for batches all the time, as applications do.
  private func keepReading(_ consumer: Consumer) -> Task<Void, Never> {
    Task {
      do { for try await _ in consumer.batches {} } catch {}
    }
  }

  @Test func `a member stays in its group whatever its coordinator answers`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2])
      try await cluster.fill("t", 200, partitions: 2)
      try await cluster.coordinate(.group("g"), by: 3)
      // Which broker is asked for the coordinator is up to the client.
      for broker in MockCluster.brokerIds {
        try await cluster.inject(.coordinatorNotAvailable, into: .findCoordinator, at: broker)
      }
      try await cluster.inject(
        [.error(.coordinatorLoadInProgress), .disconnect, .error(.notCoordinator)], into: .joinGroup, at: 3)
      try await cluster.inject([.disconnect, .error(.rebalanceInProgress)], into: .syncGroup, at: 3)
      try await cluster.inject(
        [.error(.coordinatorLoadInProgress), .disconnect, .error(.notCoordinator)], into: .offsetFetch, at: 3)
      let consumer = try await Consumer(configuration(cluster))
      try await consumer.subscribe(to: ["t"])
      try await readAll(200, consumer)
      for api in [ApiKey.joinGroup, .syncGroup, .offsetFetch] {
        #expect(try await cluster.faultsLeft(in: api, at: 3) == 0, "\(api)")
      }

      let reading = keepReading(consumer)
      try await cluster.inject(
        [
          .error(.coordinatorLoadInProgress), .disconnect, .error(.notCoordinator), .error(.coordinatorNotAvailable),
          .error(.rebalanceInProgress), .error(.illegalGeneration), .error(.unknownMemberId),
        ], into: .heartbeat, at: 3)
      try await wait("the heartbeats") { try await cluster.faultsLeft(in: .heartbeat, at: 3) == 0 }
      try await cluster.inject(
        [.error(.coordinatorLoadInProgress), .error(.requestTimedOut), .disconnect, .error(.notCoordinator)],
        into: .offsetCommit, at: 3)
      try await commit(consumer, 50)
      #expect(try await cluster.faultsLeft(in: .offsetCommit, at: 3) == 0)
      #expect(try await committed(consumer) == 50)
      await consumer.close()
      await reading.value
    }
  }

  @Test func `a group goes on at its next coordinator`() async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [3])
      try await cluster.coordinate(.group("g"), by: 1)
      let consumer = try await Consumer(configuration(cluster))
      try await consumer.subscribe(to: ["t"])
      let reading = keepReading(consumer)
      try await wait("the assignment") { consumer.assignment.count == 1 }
      try await commit(consumer, 1)
      // It moves, it moves and the old one is gone, it comes back.
      try await cluster.coordinate(.group("g"), by: 2)
      try await commit(consumer, 2)
      try await cluster.coordinate(.group("g"), by: 1)
      try await cluster.takeDown(2)
      try await commit(consumer, 3)
      try await cluster.takeDown(1)
      try await cluster.bringUp(2)
      try await cluster.coordinate(.group("g"), by: 2)
      try await commit(consumer, 4)
      try await cluster.bringUp(1)
      #expect(try await committed(consumer) == 4)
      try await wait("the assignment") { consumer.assignment.count == 1 }
      await consumer.close()
      await reading.value
    }
  }

  @Test(arguments: [GroupAssignor.range, .cooperativeSticky])
  func `members share the partitions as they come and go`(_ assignor: GroupAssignor) async throws {
    try await MockCluster.run { cluster in
      try await cluster.create("t", leaders: [1, 2, 3, 1])
      let first = try await Consumer(configuration(cluster, assignor))
      try await first.subscribe(to: ["t"])
      let second = try await Consumer(configuration(cluster, assignor))
      let reading = [keepReading(first), keepReading(second)]
      try await wait("all partitions with one member") { first.assignment.count == 4 }
      try await second.subscribe(to: ["t"])
      try await wait("two partitions with each") {
        let (one, other) = (Set(first.assignment), Set(second.assignment))
        return one.count == 2 && other.count == 2 && one.isDisjoint(with: other)
      }
      await first.close()
      try await wait("all partitions with the other") { second.assignment.count == 4 }
      await second.close()
      for task in reading { await task.value }
    }
  }
}
