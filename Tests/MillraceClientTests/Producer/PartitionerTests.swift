import Testing

@testable import MillraceClient

@Suite struct PartitionerTests {
  /// The values that Kafka's own clients are held to.
  @Test(arguments: [
    ("21", -973_932_308), ("foobar", -790_332_482), ("a-little-bit-long-string", -985_981_536),
    ("a-little-bit-longer-string", -1_486_304_829),
    ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971), ("abc", 479_470_107),
  ])
  func `the hash of a key is Kafka's murmur2`(_ key: String, _ expected: Int32) {
    let hash = Array(key.utf8).withUnsafeBytes { Murmur2.hash($0) }
    #expect(Int32(bitPattern: hash) == expected)
  }

  @Test func `an empty key has a partition`() {
    let partition = [UInt8]().withUnsafeBytes { Murmur2.partition(ofKey: $0, among: 7) }
    #expect((0..<7).contains(partition))
  }

  @Test func `a negative hash gives a partition without its sign bit`() {
    let partition = Array("21".utf8).withUnsafeBytes { Murmur2.partition(ofKey: $0, among: 10) }
    #expect(partition == Int(UInt32(bitPattern: -973_932_308) & 0x7FFF_FFFF) % 10)
  }

  @Test func `records without a key stay with a partition until a batch is full or they are a batch's worth`() {
    var generator = SplitMix64(seed: 1)
    var sticky = StickyPartition()
    _ = sticky.move(among: 4, candidates: [0, 1, 2, 3], using: &generator)
    sticky.took(60)
    #expect(!sticky.isDone(with: .filling, batchBytes: 100))
    #expect(!sticky.isDone(with: .none, batchBytes: 100))
    #expect(sticky.isDone(with: .full, batchBytes: 100))
    sticky.took(60)
    #expect(sticky.isDone(with: .none, batchBytes: 100))
  }

  @Test func `a batch that is being filled keeps its partition until that has had two batches' worth`() {
    var generator = SplitMix64(seed: 1)
    var sticky = StickyPartition()
    _ = sticky.move(among: 4, candidates: [0, 1, 2, 3], using: &generator)
    sticky.took(199)
    #expect(!sticky.isDone(with: .filling, batchBytes: 100))
    sticky.took(1)
    #expect(sticky.isDone(with: .filling, batchBytes: 100))
    _ = sticky.move(among: 4, candidates: [0, 1, 2, 3], using: &generator)
    #expect(!sticky.isDone(with: .filling, batchBytes: 100))
  }

  @Test func `the next partition is another, and all get about the same in the long run`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    var sticky = StickyPartition()
    var counts = [Int](repeating: 0, count: 5)
    for _ in 0..<5000 {
      let last = sticky.current
      let next = sticky.move(among: 5, candidates: [0, 1, 2, 3, 4], using: &generator)
      #expect(next != last && sticky.current == next, "seed \(seed)")
      counts[next] += 1
    }
    for count in counts { #expect((800...1200).contains(count), "seed \(seed): \(counts)") }
  }

  @Test func `partitions without a leader are passed over while there are others`() {
    var generator = SplitMix64(seed: 1)
    var sticky = StickyPartition()
    for _ in 0..<20 {
      #expect([1, 3].contains(sticky.move(among: 4, candidates: [1, 3], using: &generator)))
    }
    var only = StickyPartition()
    #expect((0..<4).contains(only.move(among: 4, candidates: [], using: &generator)))
  }
}
