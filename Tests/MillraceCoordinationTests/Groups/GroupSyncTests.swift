import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupSyncTests {
  @Test func `sync is refused to strangers, to old generations and while members are joining`() throws {
    var stage = GroupStage()
    let nowhere = stage.sync("g", "m", 1)
    #expect(stage.error(nowhere) == .unknownMemberId)
    let unnamed = stage.sync("", "m", 1)
    #expect(stage.error(unnamed) == .invalidGroupId)

    let (ids, generation) = try stage.stableGroup("g", members: 2)
    let stranger = stage.sync("g", "m", generation)
    #expect(stage.error(stranger) == .unknownMemberId)
    let old = stage.sync("g", ids[0], generation - 1)
    #expect(stage.error(old) == .illegalGeneration)
    _ = stage.join("g", memberId: ids[0])
    let early = stage.sync("g", ids[1], generation)
    #expect(stage.error(early) == .rebalanceInProgress)
  }

  @Test func `a sync that believes in another protocol is refused`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    let wrongType = stage.sync("g", ids[0], generation, protocolType: "connect", protocolName: "range")
    let wrongName = stage.sync("g", ids[0], generation, protocolType: "consumer", protocolName: "sticky")
    let right = stage.sync("g", ids[0], generation, protocolType: "consumer", protocolName: "range")
    #expect(stage.error(wrongType) == .inconsistentGroupProtocol)
    #expect(stage.error(wrongName) == .inconsistentGroupProtocol)
    #expect(stage.error(right) == ErrorCode.none)
  }

  @Test func `a member that the leader forgot gets an empty assignment, and strangers in it are dropped`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    stage.passInitialDelay()
    let follower = stage.sync("g", b.memberId, 1)
    _ = stage.sync("g", a.memberId, 1, assigning: [a.memberId: "all", "ghost": "none"])
    #expect(stage.error(follower) == ErrorCode.none)
    #expect(stage.assignment(follower) == "")
    #expect(stage.group("g")?.members.keys.elements == [a.memberId, b.memberId])
  }

  @Test func `a late follower gets its part from the stable group`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    stage.passInitialDelay()
    _ = stage.sync("g", a.memberId, 1, assigning: [a.memberId: "0", b.memberId: "1"])
    let late = stage.sync("g", b.memberId, 1)
    #expect(stage.assignment(late) == "1")
  }

  @Test func `parked syncs are sent back to join when the group rebalances`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    stage.passInitialDelay()
    let parked = stage.sync("g", b.memberId, 1)
    #expect(stage.leave("g", a.memberId) == [.none])
    #expect(stage.error(parked) == .rebalanceInProgress)
    let again = stage.join("g", memberId: b.memberId)
    #expect(stage.answer(again)?.leader == b.memberId)
    #expect(stage.answer(again)?.generationId == 2)
  }

  @Test func `members that never sync are dropped after the rebalance time-out`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g", rebalanceMs: 20_000)
    let b = try stage.joinWithId("g", rebalanceMs: 20_000)
    let c = try stage.joinWithId("g", rebalanceMs: 20_000)
    stage.passInitialDelay()
    #expect(stage.answer(a.ticket)?.generationId == 1)
    _ = stage.sync("g", a.memberId, 1)
    _ = stage.sync("g", b.memberId, 1)
    // c heartbeats, so its session is fine; what it does not do is ask for its part.
    for _ in 0..<5 {
      stage.pass(ms: 4_000)
      for one in [a, b, c] { _ = stage.heartbeat("g", one.memberId, 1) }
    }
    #expect(stage.group("g")?.members.keys.elements == [a.memberId, b.memberId])
    #expect(stage.group("g")?.state == .preparingRebalance)
  }

  @Test func `a leader that dies before it syncs is replaced`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    stage.pass(ms: 9_000)
    let parked = stage.sync("g", b.memberId, 1)
    stage.pass(ms: 10_000)
    #expect(stage.error(parked) == .rebalanceInProgress)
    let again = stage.join("g", memberId: b.memberId)
    #expect(stage.answer(again)?.leader == b.memberId)
    #expect(stage.heartbeat("g", a.memberId, 1) == .unknownMemberId)
  }

  @Test func `a sync that is parked twice answers the forgotten one`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    stage.passInitialDelay()
    let first = stage.sync("g", b.memberId, 1)
    let second = stage.sync("g", b.memberId, 1)
    #expect(stage.error(first) == .rebalanceInProgress)
    _ = stage.sync("g", a.memberId, 1, assigning: [b.memberId: "x"])
    #expect(stage.assignment(second) == "x")
  }
}
