import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupSessionTests {
  @Test func `a member that falls silent is dropped, and the rest rebalance`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    for _ in 0..<3 {
      stage.pass(ms: 4_000)
      if stage.heartbeat("g", ids[0], generation) == .rebalanceInProgress { break }
    }
    #expect(stage.group("g")?.members.keys.elements == [ids[0]])
    #expect(stage.group("g")?.state == .preparingRebalance)
    let again = stage.join("g", memberId: ids[0])
    #expect(stage.answer(again)?.generationId == generation + 1)
    #expect(stage.heartbeat("g", ids[1], generation) == .unknownMemberId)
  }

  @Test func `heartbeats keep a member alive with one alarm per session time-out`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    stage.pass(ms: 1)
    let alarms = stage.alarmCount
    for _ in 0..<1_000 {
      stage.pass(ms: 100)
      #expect(stage.heartbeat("g", ids[0], generation) == .none)
    }
    #expect(stage.alarmCount <= alarms)
    stage.pass(ms: 9_999)
    #expect(stage.group("g")?.members.count == 1)
    stage.pass(ms: 1)
    #expect(stage.group("g")?.members.isEmpty == true)
  }

  @Test func `heartbeats of strangers, of old generations and of nobody's group are refused`() throws {
    var stage = GroupStage()
    #expect(stage.heartbeat("", "m", 1) == .invalidGroupId)
    #expect(stage.heartbeat("g", "m", 1) == .unknownMemberId)
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(stage.heartbeat("g", "m", generation) == .unknownMemberId)
    #expect(stage.heartbeat("g", ids[0], generation + 1) == .illegalGeneration)
    #expect(stage.heartbeat("g", ids[0], generation, instance: "i") == .unknownMemberId)
  }

  @Test func `a parked request counts as a heartbeat`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    let parked = stage.join("g", memberId: ids[0])
    for _ in 0..<10 {
      stage.pass(ms: 5_000)
      #expect(stage.heartbeat("g", ids[1], generation) == .rebalanceInProgress)
    }
    #expect(stage.answer(parked) == nil)
    #expect(stage.group("g")?.members.count == 2)
    // Once answered, it has to be heard of again.
    _ = stage.join("g", memberId: ids[1])
    #expect(stage.error(parked) == ErrorCode.none)
    stage.pass(ms: 10_000)
    #expect(stage.group("g")?.members.isEmpty == true)
  }

  @Test func `members that leave are gone at once, and the last one leaves an empty group behind`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    #expect(stage.leave("g", ids[0]) == [.none])
    #expect(stage.group("g")?.leader == ids[1])
    #expect(stage.leave("g", ids[1], "stranger") == [.none, .unknownMemberId])
    let group = try #require(stage.group("g"))
    #expect(group.state == .empty)
    #expect(group.generation == generation + 1)
    #expect(group.leader == nil)
    let record = try #require(stage.groupRecords.last ?? nil)
    #expect(record.members.isEmpty && record.protocol == nil && record.leader == nil)
    #expect(record.protocolType == "consumer")
    #expect(record.generation == generation + 1)
  }

  @Test func `several members leave in one request with one rebalance`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 3)
    #expect(stage.leave("g", ids[0], ids[2]) == [.none, .none])
    let rebalances = stage.notices.filter { if case .rebalancing(_, generation, _) = $0 { true } else { false } }
    #expect(rebalances.count == 1)
    let again = stage.join("g", memberId: ids[1])
    #expect(stage.answer(again)?.generationId == generation + 1)
  }

  @Test func `leaving answers what the member still waited for`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    #expect(stage.leave("g", b.memberId) == [.none])
    #expect(stage.error(b.ticket) == .unknownMemberId)
    stage.passInitialDelay()
    let c = try stage.joinWithId("g")
    let again = stage.join("g", memberId: a.memberId)
    #expect(stage.error(again) == ErrorCode.none)
    let parked = stage.sync("g", c.memberId, 2)
    #expect(stage.leave("g", c.memberId) == [.none])
    #expect(stage.error(parked) == .unknownMemberId)
  }

  @Test func `a pending id can leave`() throws {
    var stage = GroupStage()
    let ticket = stage.join("g")
    let memberId = try #require(stage.answer(ticket)).memberId
    #expect(stage.leave("g", memberId) == [.none])
    #expect(stage.group("g")?.pendingJoins.isEmpty == true)
  }

  @Test func `before version 3 one member leaves and the answer is about it`() throws {
    var stage = GroupStage()
    let (ids, _) = try stage.stableGroup("g", members: 1)
    let stranger = stage.shard.leave(
      LeaveGroupRequest(groupId: "g", memberId: "x"), version: 2, topics: stage.topics, now: stage.now
    ).0
    #expect(stranger == LeaveGroupResponse(errorCode: ErrorCode.unknownMemberId.rawValue))
    let nobody = stage.shard.leave(
      LeaveGroupRequest(groupId: "none", memberId: "x"), version: 0, topics: stage.topics, now: stage.now
    ).0
    #expect(nobody == LeaveGroupResponse(errorCode: ErrorCode.unknownMemberId.rawValue))
    let member = stage.shard.leave(
      LeaveGroupRequest(groupId: "g", memberId: ids[0]), version: 1, topics: stage.topics, now: stage.now
    ).0
    #expect(member == LeaveGroupResponse(errorCode: 0))
    #expect(stage.group("g")?.state == .empty)
  }

  @Test func `a countdown that was started anew for an earlier time ignores its old alarm`() {
    var countdown = Countdown()
    #expect(countdown.start(until: 100) == 100)
    #expect(countdown.start(until: 200) == nil)
    #expect(countdown.start(until: 50) == 50)
    #expect(countdown.fired(50) == .expired)
    #expect(countdown.fired(100) == .outdated)
    #expect(countdown.start(until: 300) == 300)
    #expect(countdown.start(until: 350) == nil)
    #expect(countdown.fired(300) == .early(alarmMs: 350))
    countdown.stop()
    #expect(countdown.fired(350) == .outdated)
    #expect(countdown.fired(350) == .outdated)
  }
}
