// A member's life as a transcript of what it does and what it is told.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct ClassicMembershipTests {
  private let start = NIODeadline.uptimeNanoseconds(0) + .hours(1)
  private let partitions = [TopicPartition("t", 0), TopicPartition("t", 1)]

  private func membership(instance: String? = nil) -> ClassicMembership {
    ClassicMembership(
      ClassicMembership.Settings(
        assignors: [.range], groupInstanceId: instance, heartbeatInterval: .seconds(3), maxPollInterval: .seconds(300),
        metadataMaxAge: .minutes(5), backoff: Backoff(first: .milliseconds(100), limit: .seconds(1))))
  }

  private func joinResponse(
    _ code: ErrorCode = .none, generation: Int32 = 1, leader: String = "m1", member: String = "m1",
    members: [String] = ["m1"]
  ) throws -> JoinGroupResponse {
    let metadata = try GroupSubscription(topics: ["t"]).encoded()
    return JoinGroupResponse(
      errorCode: code.rawValue, generationId: generation, protocolType: "consumer", protocolName: "range",
      leader: leader, memberId: member, members: members.map { .init(memberId: $0, metadata: metadata) })
  }

  private func syncResponse(_ code: ErrorCode = .none) throws -> SyncGroupResponse {
    SyncGroupResponse(
      errorCode: code.rawValue,
      assignment: code == .none ? try GroupAssignment(partitions: partitions).encoded() : ByteBuffer())
  }

  /// A follower that owns both partitions.
  private func stable() throws -> ClassicMembership {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(leader: "other"), now: start)
    membership.synced(try syncResponse(), now: start)
    membership.adopted(partitions)
    return membership
  }

  @Test func `a member joins, is told its id, joins again, syncs and reads`() throws {
    var membership = membership()
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: nil))
    membership.subscribe(to: ["t"], now: start)
    #expect(membership.next(now: start, busySince: nil) == .join(memberId: "", topics: ["t"]))
    membership.joined(try joinResponse(.memberIdRequired, member: "m1"), now: start)
    #expect(membership.next(now: start, busySince: nil) == .join(memberId: "m1", topics: ["t"]))
    membership.joined(try joinResponse(leader: "other"), now: start)
    #expect(membership.next(now: start, busySince: nil) == .sync(assignments: [:]))
    membership.synced(try syncResponse(), now: start)
    #expect(membership.next(now: start, busySince: nil) == .adopt(partitions))
    membership.adopted(partitions)
    #expect(membership.owned == partitions)
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: start + .seconds(3)))
  }

  @Test func `the leader counts partitions and assigns them`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(members: ["m1", "m2"]), now: start)
    #expect(membership.next(now: start, busySince: nil) == .count(["t"]))
    membership.counted(["t": 2], now: start)
    #expect(
      membership.next(now: start, busySince: nil)
        == .sync(assignments: ["m1": [TopicPartition("t", 0)], "m2": [TopicPartition("t", 1)]]))
  }

  @Test func `the leader looks again, and a topic that has grown makes it rebalance`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(), now: start)
    membership.counted(["t": 2], now: start)
    membership.synced(try syncResponse(), now: start)
    membership.adopted(partitions)
    membership.heartbeat(.none, now: start + .minutes(5))
    #expect(membership.next(now: start + .minutes(5), busySince: nil) == .count(["t"]))
    membership.counted(["t": 2], now: start + .minutes(5))
    #expect(membership.phase == .stable)
    membership.counted(["t": 3], now: start + .minutes(5))
    #expect(membership.phase == .releasing(isLost: false, isHeld: false))
  }

  @Test func `a topic that does not exist yet is looked for soon`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(), now: start)
    membership.counted([:], now: start)
    membership.synced(SyncGroupResponse(assignment: try GroupAssignment(partitions: []).encoded()), now: start)
    membership.adopted([])
    membership.heartbeat(.none, now: start + .seconds(5))
    #expect(membership.next(now: start + .seconds(5), busySince: nil) == .count(["t"]))
    membership.counted(["t": 1], now: start + .seconds(5))
    #expect(membership.next(now: start + .seconds(5), busySince: nil) == .join(memberId: "m1", topics: ["t"]))
  }

  @Test func `heartbeats come at their interval`() throws {
    var membership = try stable()
    #expect(membership.next(now: start + .seconds(3), busySince: nil) == .heartbeat)
    membership.heartbeat(.none, now: start + .seconds(3))
    #expect(membership.next(now: start + .seconds(3), busySince: nil) == .sleep(until: start + .seconds(6)))
  }

  @Test func `a rebalance waits for the application, with heartbeats meanwhile`() throws {
    var membership = try stable()
    let now = start + .seconds(3)
    membership.heartbeat(.rebalanceInProgress, now: now)
    #expect(membership.next(now: now, busySince: now) == .hold(until: now + .seconds(3)))
    #expect(membership.next(now: now + .seconds(3), busySince: now) == .heartbeat)
    membership.heartbeat(.rebalanceInProgress, now: now + .seconds(3))
    #expect(membership.next(now: now + .seconds(4), busySince: now) == .hold(until: now + .seconds(6)))
    membership.held(now: now + .seconds(5))
    #expect(membership.next(now: now + .seconds(5), busySince: nil) == .release(partitions, isLost: false))
    membership.released(now: now + .seconds(5))
    #expect(membership.owned.isEmpty)
    #expect(membership.generation == 1)
    #expect(membership.next(now: now + .seconds(5), busySince: nil) == .join(memberId: "m1", topics: ["t"]))
  }

  @Test func `a member that the group does not know loses its partitions and joins as a new one`() throws {
    var membership = try stable()
    membership.heartbeat(.unknownMemberId, now: start)
    #expect(membership.next(now: start, busySince: start) == .release(partitions, isLost: true))
    membership.released(now: start)
    #expect(membership.next(now: start, busySince: start) == .join(memberId: "", topics: ["t"]))
  }

  @Test func `a member of an old generation loses its partitions and keeps its id`() throws {
    var membership = try stable()
    membership.heartbeat(.illegalGeneration, now: start)
    #expect(membership.next(now: start, busySince: nil) == .release(partitions, isLost: true))
    membership.released(now: start)
    #expect(membership.generation == -1)
    #expect(membership.next(now: start, busySince: nil) == .join(memberId: "m1", topics: ["t"]))
  }

  @Test func `a sync into the next rebalance joins again`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(leader: "other"), now: start)
    membership.synced(try syncResponse(.rebalanceInProgress), now: start)
    #expect(membership.next(now: start, busySince: nil) == .join(memberId: "m1", topics: ["t"]))
  }

  @Test func `a coordinator that moves is followed after a pause, partitions kept`() throws {
    var membership = try stable()
    let now = start + .seconds(3)
    membership.heartbeat(.notCoordinator, now: now)
    guard case .sleep(let until?) = membership.next(now: now, busySince: nil) else {
      Issue.record("it does not wait")
      return
    }
    #expect(until > now && until < now + .seconds(1))
    #expect(membership.next(now: until, busySince: nil) == .heartbeat)
    #expect(membership.owned == partitions)
  }

  @Test func `a lost connection while joining is tried again after a pause`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.failed(KafkaError(.connectionFailed, "lost"), now: start)
    guard case .sleep(let until?) = membership.next(now: start, busySince: nil) else {
      Issue.record("it does not wait")
      return
    }
    #expect(membership.next(now: until, busySince: nil) == .join(memberId: "", topics: ["t"]))
  }

  @Test(arguments: [
    ErrorCode.fencedInstanceId, .inconsistentGroupProtocol, .groupAuthorizationFailed, .groupMaxSizeReached,
  ])
  func `what cannot pass stops the member`(_ code: ErrorCode) throws {
    var membership = membership(instance: "one")
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(code), now: start)
    guard case .stop(let error) = membership.next(now: start, busySince: nil) else {
      Issue.record("it goes on")
      return
    }
    #expect(error.brokerCode == code)
  }

  @Test func `an application that takes too long loses its partitions and has to come back`() throws {
    var membership = try stable()
    let late = start + .seconds(301)
    #expect(membership.next(now: late, busySince: start) == .leave)
    membership.left()
    #expect(membership.next(now: late, busySince: start) == .release(partitions, isLost: true))
    membership.released(now: late)
    #expect(membership.next(now: late, busySince: start) == .hold(until: nil))
    membership.held(now: late + .seconds(1))
    #expect(membership.next(now: late + .seconds(1), busySince: nil) == .join(memberId: "", topics: ["t"]))
  }

  @Test func `other topics make it join again`() throws {
    var membership = try stable()
    membership.subscribe(to: ["t"], now: start)
    #expect(membership.phase == .stable)
    membership.subscribe(to: ["t", "u"], now: start)
    #expect(membership.phase == .releasing(isLost: false, isHeld: false))
  }

  @Test func `an assignment that cannot be read stops the member`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(leader: "other"), now: start)
    membership.synced(SyncGroupResponse(assignment: ByteBuffer(bytes: [0])), now: start)
    guard case .stop = membership.next(now: start, busySince: nil) else {
      Issue.record("it goes on")
      return
    }
  }
}
