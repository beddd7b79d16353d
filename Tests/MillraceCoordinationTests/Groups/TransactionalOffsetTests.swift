import MillraceProtocol
import Testing

@testable import MillraceCoordination

@Suite struct TransactionalOffsetTests {
  private let now = Moment(wallMs: 1_700_000_000_000, uptimeMs: 0)

  private func commit(
    _ shard: inout GroupShard, _ offset: Int64, by producerId: Int64, partition: Int32 = 0, metadata: String = "",
    memberId: String = "", generation: Int32 = -1
  ) -> ErrorCode {
    let request = TxnOffsetCommitRequest(
      transactionalId: "t\(producerId)", groupId: "g", producerId: producerId, producerEpoch: 0,
      generationId: generation, memberId: memberId,
      topics: [
        .init(
          name: "orders",
          partitions: [.init(partitionIndex: partition, committedOffset: offset, committedMetadata: metadata)])
      ])
    let (response, _) = shard.commit(request, now: now)
    return response.topics[0].partitions[0].errorCode.code
  }

  private func commitPlainly(_ shard: inout GroupShard, _ offset: Int64) {
    let request = OffsetCommitRequest(
      groupId: "g", generationIdOrMemberEpoch: -1,
      topics: [.init(name: "orders", partitions: [.init(partitionIndex: 0, committedOffset: offset)])])
    _ = shard.commit(request, version: 9, now: now)
  }

  /// What a reader is told that takes any offset, and one that wants a stable one.
  private func told(_ shard: GroupShard, partition: Int32 = 0) -> (any: Int64, stable: Int64?) {
    let asked = OffsetFetchRequest.OffsetFetchRequestGroup(
      groupId: "g", topics: [.init(name: "orders", partitionIndexes: [partition])])
    let plain = shard.fetchOffsets(asked).topics[0].partitions[0]
    let stable = shard.fetchOffsets(asked, requireStable: true).topics[0].partitions[0]
    #expect(stable.errorCode == 0 || stable.errorCode.code == .unstableOffsetCommit)
    return (plain.committedOffset, stable.errorCode == 0 ? stable.committedOffset : nil)
  }

  @Test func `an offset in a transaction counts when that is committed`() {
    var shard = GroupShard(config: GroupConfig())
    #expect(commit(&shard, 5, by: 1) == .none)
    #expect(told(shard) == (-1, nil))
    shard.endTransaction(producerId: 1, isCommit: true)
    #expect(told(shard) == (5, 5))
    #expect(commit(&shard, 9, by: 1) == .none)
    #expect(told(shard) == (5, nil))
    shard.endTransaction(producerId: 1, isCommit: false)
    #expect(told(shard) == (5, 5))
    shard.endTransaction(producerId: 1, isCommit: true)
    #expect(told(shard) == (5, 5), "an outcome without a commit changes nothing")
  }

  @Test func `only the partitions of the transaction are unstable`() {
    var shard = GroupShard(config: GroupConfig())
    commitPlainly(&shard, 3)
    #expect(commit(&shard, 5, by: 1, partition: 1) == .none)
    #expect(told(shard) == (3, 3))
    #expect(told(shard, partition: 1) == (-1, nil))
    let all = shard.fetchOffsets(.init(groupId: "g", topics: nil), requireStable: true)
    #expect(all.topics.flatMap(\.partitions).map(\.partitionIndex) == [0], "what was never stable is not there yet")
  }

  @Test func `the later commit counts, not the later outcome`() {
    var shard = GroupShard(config: GroupConfig())
    #expect(commit(&shard, 5, by: 1) == .none)
    commitPlainly(&shard, 7)
    #expect(told(shard) == (7, nil))
    shard.endTransaction(producerId: 1, isCommit: true)
    #expect(told(shard) == (7, 7))
    #expect(commit(&shard, 10, by: 1) == .none)
    #expect(commit(&shard, 11, by: 2) == .none)
    shard.endTransaction(producerId: 2, isCommit: true)
    #expect(told(shard) == (11, nil))
    shard.endTransaction(producerId: 1, isCommit: true)
    #expect(told(shard) == (11, 11))
    #expect(commit(&shard, 20, by: 1) == .none)
    #expect(commit(&shard, 21, by: 2) == .none)
    shard.endTransaction(producerId: 2, isCommit: false)
    shard.endTransaction(producerId: 1, isCommit: true)
    #expect(told(shard) == (20, 20), "what was aborted overtakes nothing")
  }

  @Test func `a transaction that commits the same partition twice means the second`() {
    var shard = GroupShard(config: GroupConfig())
    #expect(commit(&shard, 5, by: 1) == .none)
    #expect(commit(&shard, 6, by: 1) == .none)
    shard.endTransaction(producerId: 1, isCommit: true)
    #expect(told(shard) == (6, 6))
  }

  @Test func `deleting the group or the topic takes what is pending`() {
    for deletesTopic in [true, false] {
      var shard = GroupShard(config: GroupConfig())
      #expect(commit(&shard, 5, by: 1) == .none)
      if deletesTopic {
        #expect(shard.topicsDeleted(["orders"]).records.count == 1)
      } else {
        #expect(shard.delete(["g"]).0[0].errorCode == 0)
      }
      #expect(told(shard) == (-1, -1))
      shard.endTransaction(producerId: 1, isCommit: true)
      #expect(told(shard) == (-1, -1))
    }
  }

  @Test func `a group does not expire under an open transaction`() {
    var config = GroupConfig()
    config.offsetsRetentionMs = 1_000
    var shard = GroupShard(config: config)
    commitPlainly(&shard, 3)
    #expect(commit(&shard, 5, by: 1) == .none)
    let later = Moment(wallMs: now.wallMs + 10_000, uptimeMs: 10_000)
    #expect(shard.expireOffsets(now: later).records.isEmpty)
    shard.endTransaction(producerId: 1, isCommit: false)
    #expect(shard.expireOffsets(now: later).records.count == 2)
  }

  @Test func `who claims a generation has to have it, older producers claim none`() throws {
    var stage = GroupStage()
    let (ids, generation) = try stage.stableGroup("g", members: 1)
    #expect(commit(&stage.shard, 5, by: 1, memberId: ids[0], generation: generation) == .none)
    #expect(commit(&stage.shard, 5, by: 1, memberId: "x", generation: generation) == .unknownMemberId)
    #expect(commit(&stage.shard, 5, by: 1, memberId: ids[0], generation: generation + 1) == .illegalGeneration)
    #expect(commit(&stage.shard, 5, by: 1) == .none)
    var empty = GroupShard(config: GroupConfig())
    #expect(commit(&empty, 5, by: 1, memberId: "x", generation: 3) == .illegalGeneration)
    #expect(commit(&empty, 5, by: 1, metadata: String(repeating: "m", count: 5_000)) == .offsetMetadataTooLarge)
    #expect(told(empty) == (-1, -1))
  }
}
