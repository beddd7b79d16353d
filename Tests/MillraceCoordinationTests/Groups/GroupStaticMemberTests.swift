import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupStaticMemberTests {
  /// Two static members "x" (the leader) and "y" in a stable generation 1.
  private func stage() throws -> (GroupStage, x: String, y: String) {
    var stage = GroupStage()
    let x = stage.join("g", instance: "x")
    let y = stage.join("g", instance: "y")
    stage.passInitialDelay()
    let xId = try #require(stage.answer(x)).memberId
    let yId = try #require(stage.answer(y)).memberId
    _ = stage.sync("g", yId, 1, instance: "y")
    _ = stage.sync("g", xId, 1, assigning: [xId: "for x", yId: "for y"], instance: "x")
    #expect(stage.group("g")?.state == .stable)
    return (stage, xId, yId)
  }

  @Test func `a static member needs no second join for its id`() throws {
    let (stage, x, _) = try stage()
    #expect(x.hasPrefix("x-"))
    #expect(stage.group("g")?.staticMemberId(of: "x") == x)
  }

  @Test func `a static member that returns gets its old assignment without a rebalance`() throws {
    var (stage, x, y) = try stage()
    let records = stage.journal.count
    let back = stage.join("g", instance: "y")
    let answer = try #require(stage.answer(back))
    #expect(answer.errorCode == 0)
    #expect(answer.generationId == 1)
    #expect(answer.memberId != y)
    #expect(answer.leader == x)
    #expect(!answer.skipAssignment)
    #expect(stage.journal.count == records + 1, "the new id is journaled")
    let part = stage.sync("g", answer.memberId, 1, instance: "y")
    #expect(stage.assignment(part) == "for y")
    #expect(stage.heartbeat("g", x, 1, instance: "x") == .none)
    #expect(stage.group("g")?.state == .stable)
  }

  @Test func `the id that was replaced is fenced everywhere`() throws {
    var (stage, _, y) = try stage()
    let back = stage.join("g", instance: "y")
    #expect(stage.error(back) == ErrorCode.none)
    #expect(stage.heartbeat("g", y, 1, instance: "y") == .fencedInstanceId)
    let sync = stage.sync("g", y, 1, instance: "y")
    #expect(stage.error(sync) == .fencedInstanceId)
    let join = stage.join("g", memberId: y, instance: "y")
    #expect(stage.error(join) == .fencedInstanceId)
    #expect(stage.commit("g", y, 1, offset: 1, instance: "y") == .fencedInstanceId)
    #expect(stage.leave("g", [.init(memberId: y, groupInstanceId: "y")]) == [.fencedInstanceId])
    #expect(stage.heartbeat("g", y, 1) == .unknownMemberId)
  }

  @Test func `a leader that returns is told to skip the assignment from v9 on`() throws {
    var (stage, _, _) = try stage()
    let back = stage.join("g", instance: "x")
    let answer = try #require(stage.answer(back))
    #expect(answer.skipAssignment)
    #expect(answer.leader == answer.memberId)
    #expect(answer.members.count == 2)
    let part = stage.sync("g", answer.memberId, 1, instance: "x")
    #expect(stage.assignment(part) == "for x")
  }

  @Test func `an older client that led is not told that it leads`() throws {
    var (stage, x, _) = try stage()
    let back = stage.join("g", instance: "x", version: 8)
    let answer = try #require(stage.answer(back))
    #expect(answer.leader == x)
    #expect(answer.memberId != x)
    #expect(answer.members.isEmpty)
    #expect(!answer.skipAssignment)
    #expect(stage.group("g")?.leader == answer.memberId)
  }

  @Test func `a static member that returns with another favourite makes the group rebalance`() throws {
    var stage = GroupStage()
    let only = stage.join("g", instance: "x", protocols: ["a": [], "b": []])
    stage.passInitialDelay()
    let id = try #require(stage.answer(only)).memberId
    _ = stage.sync("g", id, 1, assigning: [id: "all"])
    let back = stage.join("g", instance: "x", protocols: ["b": [], "c": []])
    #expect(stage.answer(back)?.generationId == 2)
    #expect(stage.answer(back)?.protocolName == "b")
  }

  @Test func `a static member that returns between join and sync makes the group rebalance`() throws {
    var stage = GroupStage()
    let x = stage.join("g", instance: "x")
    let y = stage.join("g", instance: "y")
    stage.passInitialDelay()
    let yId = try #require(stage.answer(y)).memberId
    let parked = stage.sync("g", yId, 1, instance: "y")
    let back = stage.join("g", instance: "y")
    #expect(stage.error(parked) == .fencedInstanceId)
    #expect(stage.answer(back) == nil)
    let again = stage.join("g", memberId: try #require(stage.answer(x)).memberId, instance: "x")
    #expect(stage.answer(again)?.generationId == 2)
    #expect(stage.error(back) == ErrorCode.none)
  }

  @Test func `of two clients with one instance id the later one stays`() throws {
    var stage = GroupStage()
    let first = stage.join("g", instance: "x")
    let second = stage.join("g", instance: "x")
    #expect(stage.error(first) == .fencedInstanceId)
    stage.passInitialDelay()
    #expect(stage.error(second) == ErrorCode.none)
    #expect(stage.group("g")?.members.count == 1)
  }

  @Test func `an absent static member keeps its place over a rebalance until its session ends`() throws {
    var (stage, x, y) = try stage()
    let again = stage.join("g", memberId: x, instance: "x", rebalanceMs: 7_000)
    stage.pass(ms: 3_000)
    #expect(stage.heartbeat("g", y, 1, instance: "y") == .rebalanceInProgress)
    for _ in 0..<12 {
      stage.pass(ms: 5_000)
      _ = stage.heartbeat("g", y, 1, instance: "y")
    }
    #expect(stage.answer(again)?.generationId == 2)
    #expect(stage.answer(again)?.members.count == 2)
    #expect(stage.group("g")?.members[y] != nil)
    // It was told nothing of generation 2 and its heartbeats do not count for it.
    for _ in 0..<5 {
      stage.pass(ms: 4_000)
      _ = stage.heartbeat("g", x, 2, instance: "x")
    }
    #expect(stage.group("g")?.members[y] == nil)
  }

  @Test func `a group of nothing but absent static members waits for them`() throws {
    var (stage, x, y) = try stage()
    #expect(stage.leave("g", [.init(memberId: "", groupInstanceId: "x")]) == [.none])
    #expect(stage.group("g")?.members.keys.elements == [y])
    #expect(stage.group("g")?.state == .preparingRebalance)
    let back = stage.join("g", instance: "y")
    #expect(stage.answer(back)?.generationId == 2)
    #expect(stage.group("g")?.members[x] == nil)
  }

  @Test func `an administrator removes static members by instance id`() throws {
    var (stage, _, _) = try stage()
    let results = stage.leave(
      "g",
      [
        .init(memberId: "", groupInstanceId: "x"), .init(memberId: "", groupInstanceId: "nobody"),
        .init(memberId: "", groupInstanceId: nil), .init(memberId: "", groupInstanceId: "y"),
      ])
    #expect(results == [.none, .unknownMemberId, .unknownMemberId, .none])
    #expect(stage.group("g")?.state == .empty)
  }

  @Test func `a static member that is replaced before it synced is still expected to sync`() throws {
    var stage = GroupStage()
    let x = stage.join("g", instance: "x", rebalanceMs: 20_000)
    _ = stage.join("g", instance: "y", rebalanceMs: 20_000)
    stage.passInitialDelay()
    let xId = try #require(stage.answer(x)).memberId
    _ = stage.sync("g", xId, 1, instance: "x")
    let back = stage.join("g", instance: "y", rebalanceMs: 20_000)
    let yId = try #require(stage.answer(back)).memberId
    _ = stage.sync("g", yId, 1, instance: "y")
    for _ in 0..<10 {
      stage.pass(ms: 4_000)
      #expect(stage.heartbeat("g", xId, 1, instance: "x") == .none)
      #expect(stage.heartbeat("g", yId, 1, instance: "y") == .none)
    }
    #expect(stage.group("g")?.state == .stable)
  }

  @Test func `static members survive a restart and are recognised by instance id`() throws {
    var (stage, x, y) = try stage()
    try stage.restart()
    #expect(stage.heartbeat("g", x, 1, instance: "x") == .none)
    let back = stage.join("g", instance: "y")
    #expect(stage.error(back) == ErrorCode.none)
    #expect(stage.answer(back)?.generationId == 1)
    #expect(stage.heartbeat("g", y, 1, instance: "y") == .fencedInstanceId)
  }
}
