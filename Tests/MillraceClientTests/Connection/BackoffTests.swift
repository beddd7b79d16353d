import Testing

@testable import MillraceClient

@Suite struct BackoffTests {
  @Test func `pauses double up to the limit, give or take a fifth`() {
    let seed = UInt64.random(in: 0 ... .max)
    var generator = SplitMix64(seed: seed)
    var backoff = Backoff(first: .milliseconds(100), limit: .seconds(1))
    for expected in [100, 200, 400, 800, 1000, 1000] {
      let pause = backoff.next(using: &generator)
      #expect(pause >= .milliseconds(expected) * 0.8, "seed \(seed)")
      #expect(pause <= .milliseconds(expected) * 1.2, "seed \(seed)")
    }
  }
}
