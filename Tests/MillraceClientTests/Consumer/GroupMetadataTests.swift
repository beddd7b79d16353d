import NIOCore
import Testing

@testable import MillraceClient

@Suite struct GroupMetadataTests {
  @Test func `a subscription survives the way to the leader`() throws {
    let subscription = GroupSubscription(topics: ["a", "b"], ownedPartitions: [TopicPartition("a", 1)])
    #expect(try GroupSubscription(decoding: subscription.encoded()) == subscription)
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
