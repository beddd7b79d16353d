import MillraceProtocol
import NIOCore
import Testing

@testable import MillraceCoordination

@Suite struct GroupAdministrationTests {
  @Test func `a stable group is described with its protocol, members and assignment`() throws {
    var stage = GroupStage()
    let (ids, _) = try stage.stableGroup("g", members: 2)
    let described = stage.shard.describe("g", version: 6)
    #expect(described.errorCode == 0)
    #expect(described.groupState == "Stable")
    #expect(described.protocolType == "consumer")
    #expect(described.protocolData == "range")
    #expect(described.members.map(\.memberId) == ids)
    #expect(described.members[0].clientHost == "/127.0.0.1")
    #expect(described.members[1].memberAssignment == ByteBuffer(string: "part of \(ids[1])"))
    #expect(described.members[0].memberMetadata == GroupStage.subscription(["orders"]))
  }

  @Test func `a rebalancing group is described without protocol and metadata`() throws {
    var stage = GroupStage()
    let (ids, _) = try stage.stableGroup("g", members: 2)
    _ = stage.join("g", memberId: ids[0])
    let described = stage.shard.describe("g", version: 5)
    #expect(described.groupState == "PreparingRebalance")
    #expect(described.protocolData == "")
    #expect(described.members.count == 2)
    #expect(described.members[0].memberMetadata.readableBytes == 0)
  }

  @Test func `a group that is not there is dead, and an error from v6 on`() {
    let stage = GroupStage()
    let old = stage.shard.describe("g", version: 5)
    #expect(old.groupState == "Dead" && old.errorCode == 0 && old.errorMessage == nil)
    let new = stage.shard.describe("g", version: 6)
    #expect(new.groupState == "Dead" && new.errorCode == ErrorCode.groupIdNotFound.rawValue)
    #expect(new.errorMessage == "Group g not found.")
  }

  @Test func `groups are listed by state and type without regard to case`() throws {
    var stage = GroupStage()
    _ = try stage.stableGroup("stable", members: 1)
    #expect(stage.commit("simple", offset: 1) == .none)
    _ = stage.join("pending")
    #expect(stage.shard.list(states: [], types: []).map(\.groupId) == ["pending", "simple", "stable"])
    let stable = stage.shard.list(states: ["STABLE"], types: ["Classic"])
    #expect(stable.map(\.groupId) == ["stable"])
    #expect(stable[0].groupType == "classic")
    #expect(stable[0].groupState == "Stable")
    #expect(stable[0].protocolType == "consumer")
    #expect(stage.shard.list(states: ["Empty", "Dead"], types: []).map(\.groupId) == ["pending", "simple"])
    #expect(stage.shard.list(states: [], types: ["consumer", "share"]).isEmpty)
    #expect(stage.shard.list(states: ["nonsense"], types: []).isEmpty)
  }

  @Test func `an empty group is deleted with its offsets, others are not`() throws {
    var stage = GroupStage()
    #expect(stage.delete("g") == .groupIdNotFound)
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(stage.commit("g", ids[0], generation, offset: 9) == .none)
    #expect(stage.delete("g") == .nonEmptyGroup)
    #expect(stage.leave("g", ids[0]) == [.none])
    #expect(stage.delete("g") == .none)
    #expect(stage.group("g") == nil)
    #expect(stage.committed("g").committedOffset == -1)
    let replayed = try stage.replayed()
    #expect(replayed.classicGroups.isEmpty && replayed.offsets == OffsetStore())
    #expect(stage.delete("g") == .groupIdNotFound)
  }

  @Test func `a deleted group can be founded anew and starts from the beginning`() throws {
    var stage = GroupStage()
    let (ids, _) = try stage.stableGroup("g", members: 1)
    _ = stage.leave("g", ids[0])
    #expect(stage.delete("g") == .none)
    let (_, generation) = try stage.stableGroup("g", members: 1)
    #expect(generation == 1)
  }

  @Test func `an alarm of a group that was deleted means nothing`() throws {
    var stage = GroupStage()
    _ = stage.join("g")
    #expect(stage.delete("g") == .none)
    stage.pass(ms: 100_000)
    #expect(stage.group("g") == nil)
  }

  @Test func `groups are spread over partitions as Java hashes them`() {
    // What java.lang.String.hashCode and Kafka's Utils.abs say.
    #expect(GroupPartitioning.partition(of: "", count: 50) == 0)
    #expect(GroupPartitioning.partition(of: "a", count: 50) == 97 % 50)
    #expect(GroupPartitioning.partition(of: "ab", count: 50) == (97 * 31 + 98) % 50)
    // "order-service".hashCode() == 1861310180, "Größe".hashCode() == 69081446, "polygenelubricants" hashes to Int32.min
    #expect(GroupPartitioning.partition(of: "polygenelubricants", count: 50) == 0)
    #expect(GroupPartitioning.partition(of: "😀", count: 1 << 30) == 0xD83D * 31 + 0xDE00)
    for count in [1, 7, 50] as [Int32] {
      #expect((0..<count).contains(GroupPartitioning.partition(of: "some rather long group id ✓", count: count)))
    }
  }
}
