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

  @Test func `records without a key stay with a partition for a batch and then go to another`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    var sticky = StickyPartition()
    var last: Int?
    for _ in 0..<50 {
      let first = sticky.choose(among: 4, candidates: [0, 1, 2, 3], switchingAfter: 100, using: &generator)
      #expect(first != last, "seed \(seed)")
      sticky.took(60)
      #expect(sticky.choose(among: 4, candidates: [0, 1, 2, 3], switchingAfter: 100, using: &generator) == first)
      sticky.took(60)
      last = first
    }
  }

  @Test func `all partitions get about the same in the long run`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    var sticky = StickyPartition()
    var counts = [Int](repeating: 0, count: 5)
    for _ in 0..<5000 {
      counts[sticky.choose(among: 5, candidates: [0, 1, 2, 3, 4], switchingAfter: 1, using: &generator)] += 1
      sticky.took(1)
    }
    for count in counts { #expect((800...1200).contains(count), "seed \(seed): \(counts)") }
  }

  @Test func `partitions without a leader are passed over while there are others`() {
    var generator = SplitMix64(seed: 1)
    var sticky = StickyPartition()
    for _ in 0..<20 {
      #expect([1, 3].contains(sticky.choose(among: 4, candidates: [1, 3], switchingAfter: 1, using: &generator)))
      sticky.took(1)
    }
    var only = StickyPartition()
    #expect((0..<4).contains(only.choose(among: 4, candidates: [], switchingAfter: 1, using: &generator)))
  }
}
