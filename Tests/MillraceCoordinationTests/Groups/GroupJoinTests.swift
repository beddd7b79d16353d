import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupJoinTests {
  @Test func `two members join, agree on a protocol, and get what the leader assigns`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g", protocols: ["range": ["orders"], "sticky": ["orders"]])
    stage.pass(ms: 1_000)
    let b = try stage.joinWithId("g", protocols: ["sticky": ["orders", "payments"]])
    #expect(stage.answer(a.ticket) == nil)
    #expect(stage.group("g")?.state == .preparingRebalance)

    stage.pass(ms: 10_000)
    let first = try #require(stage.answer(a.ticket))
    let second = try #require(stage.answer(b.ticket))
    #expect(first.errorCode == 0)
    #expect(first.generationId == 1)
    #expect(first.leader == a.memberId)
    #expect(first.protocolName == "sticky")
    #expect(first.protocolType == "consumer")
    #expect(first.members.map(\.memberId) == [a.memberId, b.memberId])
    #expect(first.members[1].metadata == GroupStage.subscription(["orders", "payments"]))
    #expect(second.leader == a.memberId)
    #expect(second.members.isEmpty)
    #expect(second.generationId == 1)

    let follower = stage.sync("g", b.memberId, 1)
    #expect(stage.answer(follower) == nil)
    let leader = stage.sync("g", a.memberId, 1, assigning: [a.memberId: "0,1", b.memberId: "2"])
    #expect(stage.assignment(leader) == "0,1")
    #expect(stage.assignment(follower) == "2")
    #expect(stage.answer(follower)?.protocolName == "sticky")
    #expect(stage.group("g")?.state == .stable)
    #expect(stage.group("g")?.subscribedTopics == ["orders", "payments"])
    #expect(stage.heartbeat("g", a.memberId, 1) == .none)
    #expect(stage.heartbeat("g", b.memberId, 1) == .none)
  }

  @Test func `a client without an id is given one and has to come back with it from v4 on`() throws {
    var stage = GroupStage()
    let old = stage.join("old", version: 3, clientId: "c")
    #expect(stage.answer(old) == nil)
    #expect(stage.group("old")?.members.count == 1)
    let new = stage.join("new", version: 4, clientId: "c")
    #expect(stage.error(new) == .memberIdRequired)
    #expect(stage.answer(new)?.memberId.hasPrefix("c-") == true)
    #expect(stage.group("new")?.members.isEmpty == true)
    #expect(stage.group("new")?.pendingJoins.count == 1)
  }

  @Test func `an id that nobody comes back with is forgotten after the session time-out`() throws {
    var stage = GroupStage()
    let ticket = stage.join("g", sessionMs: 7_000)
    let memberId = try #require(stage.answer(ticket)).memberId
    stage.pass(ms: 6_999)
    #expect(stage.group("g")?.pendingJoins.keys.contains(memberId) == true)
    stage.pass(ms: 1)
    #expect(stage.group("g")?.pendingJoins.isEmpty == true)
    let late = stage.join("g", memberId: memberId)
    #expect(stage.error(late) == .unknownMemberId)
  }

  @Test func `a rebalance waits for a pending id, and goes on when it has expired`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    let pending = stage.join("g", sessionMs: 8_000)
    #expect(stage.error(pending) == .memberIdRequired)
    let again = stage.join("g", memberId: ids[0])
    #expect(stage.answer(again) == nil)
    stage.pass(ms: 8_000)
    #expect(stage.answer(again)?.generationId == generation + 1)
  }

  @Test func `only who comes without an id may found a group`() {
    var stage = GroupStage()
    let ticket = stage.join("g", memberId: "made-up")
    #expect(stage.error(ticket) == .unknownMemberId)
    #expect(stage.group("g") == nil)
    #expect(stage.journal.isEmpty)
  }

  @Test func `a new group is journaled as empty, and a refused one not at all`() throws {
    var stage = GroupStage()
    let refused = stage.join("g", protocols: [:])
    #expect(stage.error(refused) == .inconsistentGroupProtocol)
    #expect(stage.group("g") == nil)
    #expect(stage.journal.isEmpty)
    _ = stage.join("g")
    let record = try #require(stage.groupRecords.last ?? nil)
    #expect(record.members.isEmpty && record.generation == 0 && record.protocolType.isEmpty)
  }

  @Test func `group id and session time-out are checked first`() {
    var stage = GroupStage()
    let unnamed = stage.join("", memberId: "m")
    #expect(stage.error(unnamed) == .invalidGroupId)
    #expect(stage.answer(unnamed)?.memberId == "m")
    let short = stage.join("g", sessionMs: 5_999)
    let long = stage.join("g", sessionMs: 1_800_001)
    #expect(stage.error(short) == .invalidSessionTimeout)
    #expect(stage.error(long) == .invalidSessionTimeout)
    #expect(stage.group("g") == nil)
  }

  @Test func `the first rebalance waits for the initial delay and longer while members keep coming`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g", rebalanceMs: 10_000)
    stage.pass(ms: 2_900)
    let b = try stage.joinWithId("g", rebalanceMs: 10_000)
    stage.pass(ms: 100)
    #expect(stage.answer(a.ticket) == nil, "extended, for b came")
    stage.pass(ms: 2_999)
    #expect(stage.answer(a.ticket) == nil)
    stage.pass(ms: 1)
    #expect(stage.error(a.ticket) == ErrorCode.none)
    #expect(stage.error(b.ticket) == ErrorCode.none)
  }

  @Test func `the initial delay is extended no further than the rebalance time-out`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g", rebalanceMs: 7_000)
    var last = a
    for _ in 0..<6 {
      stage.pass(ms: 1_500)
      if stage.answer(a.ticket) != nil { break }
      last = try stage.joinWithId("g", rebalanceMs: 7_000)
    }
    #expect(stage.now.uptimeMs <= 7_500)
    #expect(stage.error(a.ticket) == ErrorCode.none)
    #expect(stage.error(last.ticket) == ErrorCode.none)
  }

  @Test func `without an initial delay one member is served as soon as the alarm rings`() throws {
    var config = GroupConfig()
    config.initialRebalanceDelayMs = 0
    var stage = GroupStage(config: config)
    let a = try stage.joinWithId("g")
    stage.pass(ms: 0)
    #expect(stage.answer(a.ticket)?.generationId == 1)
  }

  @Test func `a protocol that not everybody supports is refused`() throws {
    var stage = GroupStage()
    _ = try stage.joinWithId("g", protocols: ["range": [], "sticky": []])
    let other = stage.join("g", protocols: ["roundrobin": []])
    #expect(stage.error(other) == .inconsistentGroupProtocol)
    let connect = stage.join("g", protocols: ["range": []], type: "connect")
    #expect(stage.error(connect) == .inconsistentGroupProtocol)
  }

  @Test func `the protocol with the most votes among those of all members wins`() throws {
    var stage = GroupStage()
    // Sorted by name, so each prefers the first in the alphabet that it has.
    let a = try stage.joinWithId("g", protocols: ["a": [], "c": [], "d": []])
    _ = try stage.joinWithId("g", protocols: ["b": [], "c": [], "d": []])
    _ = try stage.joinWithId("g", protocols: ["d": [], "c": []])
    stage.passInitialDelay()
    #expect(stage.answer(a.ticket)?.protocolName == "c")
  }

  @Test func `a member beyond group_max_size is turned away`() throws {
    var config = GroupConfig()
    config.maxSize = 2
    var stage = GroupStage(config: config)
    let (ids, _) = try stage.stableGroup("g", members: 2)
    let third = stage.join("g")
    #expect(stage.error(third) == .groupMaxSizeReached)
    let again = stage.join("g", memberId: ids[1])
    #expect(stage.error(again) == ErrorCode.none)
  }

  @Test func `of members that race into a small group only as many as fit get in`() throws {
    var config = GroupConfig()
    config.maxSize = 2
    var stage = GroupStage(config: config)
    let first = (0..<3).map { _ in stage.join("g") }
    let ids = try first.map { try #require(stage.answer($0)).memberId }
    let tickets = ids.map { stage.join("g", memberId: $0) }
    #expect(stage.error(tickets[2]) == .groupMaxSizeReached)
    stage.passInitialDelay()
    #expect(stage.error(tickets[0]) == ErrorCode.none)
    #expect(stage.error(tickets[1]) == ErrorCode.none)
  }

  @Test func `a follower that joins again unchanged is told the generation without a rebalance`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    let ticket = stage.join("g", memberId: ids[1])
    #expect(stage.answer(ticket)?.generationId == generation)
    #expect(stage.answer(ticket)?.members.isEmpty == true)
    #expect(stage.group("g")?.state == .stable)
  }

  @Test func `a leader that joins again, or a member with a new subscription, starts a rebalance`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 2)
    let leader = stage.join("g", memberId: ids[0])
    #expect(stage.group("g")?.state == .preparingRebalance)
    #expect(stage.heartbeat("g", ids[1], generation) == .rebalanceInProgress)
    let follower = stage.join("g", memberId: ids[1])
    #expect(stage.answer(leader)?.generationId == generation + 1)
    #expect(stage.answer(follower)?.generationId == generation + 1)

    _ = stage.sync("g", ids[0], generation + 1)
    _ = stage.sync("g", ids[1], generation + 1)
    let changed = stage.join("g", memberId: ids[1], protocols: ["range": ["orders", "payments"]])
    #expect(stage.answer(changed) == nil)
    #expect(stage.group("g")?.state == .preparingRebalance)
  }

  @Test func `between join and sync an unchanged member is told again, the leader with all members`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let b = try stage.joinWithId("g")
    stage.passInitialDelay()
    let again = stage.join("g", memberId: a.memberId)
    #expect(stage.answer(again) == stage.answer(a.ticket))
    let changed = stage.join("g", memberId: b.memberId, protocols: ["range": ["other"]])
    #expect(stage.answer(changed) == nil)
    #expect(stage.group("g")?.state == .preparingRebalance)
  }

  @Test func `members that do not come back in time are dropped, and one that did becomes the leader`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 3)
    let ticket = stage.join("g", memberId: ids[1], protocols: ["range": ["other"]])
    for _ in 0..<12 {
      stage.pass(ms: 5_000)
      for memberId in [ids[0], ids[2]] { _ = stage.heartbeat("g", memberId, generation) }
    }
    let answer = try #require(stage.answer(ticket))
    #expect(answer.generationId == generation + 1)
    #expect(answer.leader == ids[1])
    #expect(answer.members.map(\.memberId) == [ids[1]])
    #expect(stage.heartbeat("g", ids[0], generation) == .unknownMemberId)
  }

  @Test func `a join that is parked twice answers the forgotten one`() throws {
    var stage = GroupStage()
    let a = try stage.joinWithId("g")
    let again = stage.join("g", memberId: a.memberId)
    #expect(stage.error(a.ticket) == .rebalanceInProgress)
    stage.passInitialDelay()
    #expect(stage.error(again) == ErrorCode.none)
  }

  @Test func `a new member whose join was parked for five minutes is dropped`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    let newcomer = stage.join("g", version: 3, rebalanceMs: 1_000_000)
    for _ in 0..<60 {
      #expect(stage.answer(newcomer) == nil)
      #expect(stage.heartbeat("g", ids[0], generation) == .rebalanceInProgress)
      stage.pass(ms: 5_000)
    }
    #expect(stage.error(newcomer) == .unknownMemberId)
  }

  @Test func `ids handed out are bounded`() {
    var stage = GroupStage()
    for _ in 0..<GroupConfig.maxPendingMembers { _ = stage.join("g") }
    let oneMore = stage.join("g")
    #expect(stage.error(oneMore) == .groupMaxSizeReached)
  }

  @Test func `a member id always fits into a string of the protocol`() throws {
    var stage = GroupStage()
    let ticket = stage.join("g", clientId: String(repeating: "c", count: 32_767))
    let memberId = try #require(stage.answer(ticket)).memberId
    #expect(!memberId.isEmpty && memberId.utf8.count <= 32_767)
  }

  @Test func `version 0 has one time-out for both purposes`() throws {
    var stage = GroupStage()
    _ = stage.join("g", version: 0, sessionMs: 9_000, rebalanceMs: -1)
    #expect(stage.group("g")?.members.values.first?.rebalanceTimeoutMs == 9_000)
  }
}
