// The pauses of a retry policy.

import Testing

@testable import MillraceClient

@Suite struct RetryPolicyTests {
  private func delays(_ policy: RetryPolicy) -> [Duration?] {
    (1...policy.maxAttempts).map { policy.delay(afterFailures: $0) }
  }

  @Test func `pauses double up to the longest, and the last failure has none`() {
    let backoff = RetryPolicy.Backoff.exponential(from: .milliseconds(200), to: .seconds(1), jitter: 0)
    #expect(
      delays(RetryPolicy(maxAttempts: 6, backoff: backoff))
        == [.milliseconds(200), .milliseconds(400), .milliseconds(800), .seconds(1), .seconds(1), nil])
  }

  @Test func `one attempt means none after it`() {
    #expect(RetryPolicy(maxAttempts: 1).delay(afterFailures: 1) == nil)
    #expect(RetryPolicy(maxAttempts: 0).delay(afterFailures: 1) == nil)
  }

  @Test func `pauses can be constant, or none`() {
    #expect(
      delays(RetryPolicy(maxAttempts: 3, backoff: .constant(.seconds(2), jitter: 0))) == [
        .seconds(2), .seconds(2), nil,
      ])
    #expect(delays(RetryPolicy(maxAttempts: 3, backoff: .none)) == [.zero, .zero, nil])
  }

  @Test func `jitter stays within its share`() {
    let seed = UInt64.random(in: 0 ... .max)
    print("seed: \(seed)")
    var generator = SplitMix64(seed: seed)
    let policy = RetryPolicy(maxAttempts: 3, backoff: .constant(.seconds(1), jitter: 0.25))
    let pauses = (0..<1000).compactMap { _ in policy.delay(afterFailures: 1, using: &generator) }
    #expect(pauses.count == 1000)
    #expect(pauses.allSatisfy { (.milliseconds(750) ... .milliseconds(1250)).contains($0) }, "seed \(seed)")
    #expect(Set(pauses).count > 900, "seed \(seed)")
  }

  @Test func `attempts without end do not overflow`() {
    let policy = RetryPolicy(maxAttempts: .max, backoff: .exponential(to: .seconds(30), jitter: 0))
    #expect(policy.delay(afterFailures: .max - 1) == .seconds(30))
    let slow = RetryPolicy(maxAttempts: .max, backoff: .exponential(to: .seconds(30), multiplier: 1.000001, jitter: 0))
    #expect(slow.delay(afterFailures: .max - 1) == .seconds(30))
  }

  @Test func `topics are named after the source unless told otherwise`() {
    #expect(RetryPolicy().deadLetterTopic(for: "orders") == "orders-dlt")
    #expect(RetryPolicy(deadLetterTopic: "dead").deadLetterTopic(for: "orders") == "dead")
    #expect(RetryPolicy.retryTopic(for: "orders", 2) == "orders-retry-2")
  }
}
