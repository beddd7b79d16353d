import NIOCore
import Testing

@testable import MillraceClient

@Suite struct GroupMetadataTests {
  @Test func `a subscription survives the way to the leader`() throws {
    let subscription = GroupSubscription(topics: ["a", "b"], ownedPartitions: [TopicPartition("a", 1)])
    #expect(try GroupSubscription(decoding: subscription.encoded()) == subscription)
  }

  @Test func `a member says what it had in the way of the assignor`() throws {
    let had = [TopicPartition("a", 1), TopicPartition("a", 4), TopicPartition("b", 0)]
    func joining(_ assignor: GroupAssignor, owned: [TopicPartition]) throws -> GroupSubscription {
      try GroupSubscription(
        decoding: GroupSubscription(
          ClassicMembership.Joining(memberId: "m", topics: ["b", "a"], owned: owned, last: had, lastGeneration: 7),
          for: assignor
        ).encoded())
    }
    let sticky = try joining(.sticky, owned: [])
    #expect(sticky.ownedPartitions.isEmpty)
    #expect(sticky.previous.partitions == had && sticky.previous.generation == 7)
    let cooperative = try joining(.cooperativeSticky, owned: had)
    #expect(cooperative.userData == nil)
    #expect(cooperative.previous.partitions == had && cooperative.previous.generation == 7)
    let range = try joining(.range, owned: [])
    #expect(range.previous.partitions.isEmpty && range.topics == ["a", "b"])
  }

  @Test func `the bytes of a sticky member are those of the Java client`() throws {
    let joining = ClassicMembership.Joining(
      memberId: "m", topics: ["t"], owned: [], last: [TopicPartition("t", 2)], lastGeneration: 5)
    let expected: [UInt8] = [0, 0, 0, 1, 0, 1, UInt8(ascii: "t"), 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 5]
    #expect(GroupSubscription(joining, for: .sticky).userData == ByteBuffer(bytes: expected))
    // Its first version had no generation.
    var old = GroupSubscription(topics: ["t"])
    old.userData = ByteBuffer(bytes: expected.dropLast(4))
    #expect(old.previous.partitions == [TopicPartition("t", 2)] && old.previous.generation == -1)
  }

  @Test func `an assignment survives the way to the member`() throws {
    let assignment = GroupAssignment(partitions: [
      TopicPartition("a", 0), TopicPartition("a", 2), TopicPartition("b", 1),
    ])
    #expect(try GroupAssignment(decoding: assignment.encoded()) == assignment)
  }

  @Test func `no bytes are no partitions`() throws {
    #expect(try GroupAssignment(decoding: ByteBuffer()).partitions.isEmpty)
  }

  @Test func `a version of the future is read as far as it is known`() throws {
    var bytes = try GroupAssignment(partitions: [TopicPartition("a", 0)]).encoded()
    bytes.setInteger(Int16(99), at: bytes.readerIndex)
    bytes.writeString("what versions to come add")
    #expect(try GroupAssignment(decoding: bytes).partitions == [TopicPartition("a", 0)])
  }

  @Test func `any bytes end in a value or an error`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    for _ in 0..<2000 {
      let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in
        UInt8.random(in: 0...255, using: &generator)
      }
      _ = try? GroupAssignment(decoding: ByteBuffer(bytes: bytes))
      _ = try? GroupSubscription(decoding: ByteBuffer(bytes: bytes))
    }
  }
}
