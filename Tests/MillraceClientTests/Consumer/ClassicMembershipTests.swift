// A member's life as a transcript of what it does and what it is told.

import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceClient

@Suite struct ClassicMembershipTests {
  private let start = NIODeadline.uptimeNanoseconds(0) + .hours(1)
  private let partitions = [TopicPartition("t", 0), TopicPartition("t", 1)]

  private func membership(
    instance: String? = nil, assignors: [GroupAssignor] = [.range]
  ) -> ClassicMembership {
    ClassicMembership(
      ClassicMembership.Settings(
        assignors: assignors, groupInstanceId: instance, heartbeatInterval: .seconds(3), maxPollInterval: .seconds(300),
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

  private func syncResponse(_ code: ErrorCode = .none, _ assigned: [TopicPartition]? = nil) throws -> SyncGroupResponse
  {
    SyncGroupResponse(
      errorCode: code.rawValue,
      assignment: code == .none ? try GroupAssignment(partitions: assigned ?? partitions).encoded() : ByteBuffer())
  }

  private func join(
    _ memberId: String, owned: [TopicPartition] = [], last: [TopicPartition] = [], generation: Int32 = -1
  ) -> ClassicMembership.Action {
    .join(
      ClassicMembership.Joining(
        memberId: memberId, topics: ["t"], owned: owned, last: last, lastGeneration: generation))
  }

  /// A follower that owns both partitions.
  private func stable(_ assignors: [GroupAssignor] = [.range]) throws -> ClassicMembership {
    var membership = membership(assignors: assignors)
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(leader: "other"), now: start)
    membership.synced(try syncResponse(), now: start)
    membership.adopted(partitions, now: start)
    return membership
  }

  @Test func `a member joins, is told its id, joins again, syncs and reads`() throws {
    var membership = membership()
    #expect(membership.next(now: start, busySince: nil) == .sleep(until: nil))
    membership.subscribe(to: ["t"], now: start)
    #expect(membership.next(now: start, busySince: nil) == join(""))
    membership.joined(try joinResponse(.memberIdRequired, member: "m1"), now: start)
    #expect(membership.next(now: start, busySince: nil) == join("m1"))
    membership.joined(try joinResponse(leader: "other"), now: start)
    #expect(membership.next(now: start, busySince: nil) == .sync(assignments: [:]))
    membership.synced(try syncResponse(), now: start)
    #expect(membership.next(now: start, busySince: nil) == .adopt(partitions))
    membership.adopted(partitions, now: start)
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
    membership.adopted(partitions, now: start)
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
    membership.adopted([], now: start)
    membership.heartbeat(.none, now: start + .seconds(5))
    #expect(membership.next(now: start + .seconds(5), busySince: nil) == .count(["t"]))
    membership.counted(["t": 1], now: start + .seconds(5))
    #expect(membership.next(now: start + .seconds(5), busySince: nil) == join("m1", generation: 1))
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
    #expect(membership.next(now: now + .seconds(5), busySince: nil) == join("m1", last: partitions, generation: 1))
  }

  @Test func `a member that the group does not know loses its partitions and joins as a new one`() throws {
    var membership = try stable()
    membership.heartbeat(.unknownMemberId, now: start)
    #expect(membership.next(now: start, busySince: start) == .release(partitions, isLost: true))
    membership.released(now: start)
    #expect(membership.next(now: start, busySince: start) == join(""))
  }

  @Test func `a member of an old generation loses its partitions and keeps its id`() throws {
    var membership = try stable()
    membership.heartbeat(.illegalGeneration, now: start)
    #expect(membership.next(now: start, busySince: nil) == .release(partitions, isLost: true))
    membership.released(now: start)
    #expect(membership.generation == -1)
    #expect(membership.next(now: start, busySince: nil) == join("m1"))
  }

  @Test func `a sync into the next rebalance joins again`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    membership.joined(try joinResponse(leader: "other"), now: start)
    membership.synced(try syncResponse(.rebalanceInProgress), now: start)
    #expect(membership.next(now: start, busySince: nil) == join("m1"))
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
    #expect(membership.next(now: until, busySince: nil) == join(""))
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
    #expect(membership.next(now: late + .seconds(1), busySince: nil) == join(""))
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

  @Test func `a cooperative member joins with what it reads, and goes on reading`() throws {
    var membership = try stable([.cooperativeSticky])
    membership.heartbeat(.rebalanceInProgress, now: start)
    #expect(
      membership.next(now: start, busySince: start) == join("m1", owned: partitions, last: partitions, generation: 1))
    membership.joined(try joinResponse(generation: 2, leader: "other"), now: start)
    membership.synced(try syncResponse(), now: start)
    #expect(membership.next(now: start, busySince: start) == .adopt(partitions))
    membership.adopted(partitions, now: start)
    #expect(membership.phase == .stable)
  }

  @Test func `a cooperative member gives up what is left out, and joins again for others to get it`() throws {
    var membership = try stable([.cooperativeSticky])
    membership.heartbeat(.rebalanceInProgress, now: start)
    membership.joined(try joinResponse(generation: 2, leader: "other"), now: start)
    let kept = [partitions[1], TopicPartition("t", 7)]
    membership.synced(try syncResponse(.none, kept), now: start)
    #expect(membership.next(now: start, busySince: start) == .hold(until: start + .seconds(3)))
    // The others rebalance already: this member does, too, when it has given up.
    membership.heartbeat(.rebalanceInProgress, now: start)
    membership.held(now: start)
    #expect(membership.next(now: start, busySince: nil) == .release([partitions[0]], isLost: false))
    membership.released(now: start)
    #expect(membership.owned == [partitions[1]])
    #expect(membership.next(now: start, busySince: nil) == .adopt(kept))
    membership.adopted(kept, now: start)
    #expect(membership.next(now: start, busySince: nil) == join("m1", owned: kept, last: kept, generation: 2))
  }

  @Test func `a cooperative member that its group forgot loses everything`() throws {
    var membership = try stable([.cooperativeSticky])
    membership.heartbeat(.rebalanceInProgress, now: start)
    membership.joined(try joinResponse(generation: 2, leader: "other"), now: start)
    membership.synced(try syncResponse(.none, [partitions[1]]), now: start)
    membership.heartbeat(.unknownMemberId, now: start)
    #expect(membership.next(now: start, busySince: start) == .release(partitions, isLost: true))
    membership.released(now: start)
    #expect(membership.next(now: start, busySince: nil) == join(""))
  }

  @Test func `a member that also offers an eager assignor gives up everything first`() throws {
    var membership = try stable([.cooperativeSticky, .range])
    membership.heartbeat(.rebalanceInProgress, now: start)
    #expect(membership.phase == .releasing(isLost: false, isHeld: false))
  }

  @Test func `topics that change while the group agrees are told to it afterwards`() throws {
    var membership = membership()
    membership.subscribe(to: ["t"], now: start)
    _ = membership.next(now: start, busySince: nil)
    membership.joined(try joinResponse(leader: "other"), now: start)
    membership.subscribe(to: ["t", "u"], now: start)
    membership.synced(try syncResponse(), now: start)
    membership.adopted(partitions, now: start)
    #expect(membership.phase == .releasing(isLost: false, isHeld: false))
  }
}
