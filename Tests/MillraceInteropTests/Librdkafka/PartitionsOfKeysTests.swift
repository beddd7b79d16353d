// Keys go where librdkafka sends them, and so where Kafka's own clients do.

import CLibrdkafka
import Testing

@testable import MillraceClient

@Suite struct PartitionsOfKeysTests {
  @Test func `100,000 random keys have the partitions that librdkafka's murmur2_random gives them`() {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    var differences = 0
    for number in 0..<100_000 {
      // Every length modulo 4, the empty key and long ones among them.
      let key = (0..<(number % 67)).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
      let count = Int32.random(in: 1...1000, using: &generator)
      let (ours, theirs) = key.withUnsafeBytes { bytes in
        (
          Murmur2.partition(ofKey: bytes, among: Int(count)),
          // It looks at the topic only for records without a key, and an empty one is not null.
          withUnsafePointer(to: UInt8(0)) { empty in
            rd_kafka_msg_partitioner_murmur2_random(
              nil, bytes.baseAddress ?? UnsafeRawPointer(empty), bytes.count, count, nil, nil)
          }
        )
      }
      if ours != Int(theirs) { differences += 1 }
    }
    #expect(differences == 0, "seed \(seed)")
  }
}
