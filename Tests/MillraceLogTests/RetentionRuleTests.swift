import Testing

@testable import MillraceLog

@Suite struct RetentionRuleTests {
  /// Segments of 100 bytes and 10 offsets, the last one active; `newest` has the time of each one's youngest record.
  private func decide(
    _ newest: [Int64], sizes: [Int64]? = nil, retentionMs: Int64 = -1, retentionBytes: Int64 = -1, start: Int64 = 0,
    limit: Int64 = .max, nowMs: Int64 = 1_000_000
  ) -> RetentionDecision {
    let segments = newest.indices.map { index in
      RetainedSegment(byteCount: sizes?[index] ?? 100, endOffset: Int64(index + 1) * 10)
    }
    return RetentionRule(retentionMs: retentionMs, retentionBytes: retentionBytes).decide(
      segments, logStartOffset: start, limit: limit, nowMs: nowMs
    ) { newest[$0] }
  }

  @Test func `without a limit nothing goes`() {
    #expect(decide([0, 0, 0]).count == 0)
  }

  @Test func `a segment goes when its youngest record is older than retention.ms, not when it is as old`() {
    #expect(decide([998_999, 999_000, 999_500], retentionMs: 1000) == RetentionDecision(byTime: 1))
    #expect(decide([999_000, 999_000], retentionMs: 1000).count == 0)
  }

  @Test func `an old segment behind a young one waits for it`() {
    #expect(decide([999_999, 0, 0], retentionMs: 1000).count == 0)
  }

  @Test func `a segment from the future keeps what is behind it`() {
    #expect(decide([0, 2_000_000, 0], retentionMs: 1000) == RetentionDecision(byTime: 1))
    #expect(decide([Int64.max, 0], retentionMs: 0, nowMs: -5).count == 0)
  }

  @Test func `the active segment goes too when all of it is old, unless it is empty`() {
    #expect(decide([0, 0, 0], retentionMs: 1000) == RetentionDecision(byTime: 3))
    #expect(decide([0, 0, 0], sizes: [100, 100, 0], retentionMs: 1000) == RetentionDecision(byTime: 2))
  }

  @Test func `by size the log stays at least as large as retention.bytes`() {
    #expect(decide([0, 0, 0, 0], retentionBytes: 250) == RetentionDecision(bySize: 1))
    #expect(decide([0, 0, 0, 0], retentionBytes: 300) == RetentionDecision(bySize: 1))
    #expect(decide([0, 0, 0, 0], retentionBytes: 301).count == 0)
    #expect(decide([0, 0, 0, 0], retentionBytes: 0) == RetentionDecision(bySize: 4))
    #expect(decide([0, 0, 0, 0], retentionBytes: 1000).count == 0)
  }

  @Test func `what is before the start of the log goes whatever the policy is`() {
    #expect(decide([0, 0, 0], start: 20) == RetentionDecision(beforeStart: 2))
    #expect(decide([0, 0, 0], start: 19) == RetentionDecision(beforeStart: 1))
    #expect(decide([0, 0, 0], start: 30) == RetentionDecision(beforeStart: 2))
  }

  @Test func `nothing goes that is not durable or whose transaction is open`() {
    #expect(decide([0, 0, 0], retentionMs: 1000, limit: 19) == RetentionDecision(byTime: 1))
    #expect(decide([0, 0, 0], retentionBytes: 0, limit: 20) == RetentionDecision(bySize: 2))
    #expect(decide([0, 0, 0], retentionMs: 1000, limit: 29) == RetentionDecision(byTime: 2))
  }

  @Test func `the rules add up from the front`() {
    #expect(
      decide([0, 0, 0, 999_999, 999_999], retentionMs: 1000, retentionBytes: 300, start: 10)
        == RetentionDecision(beforeStart: 1, bySize: 1, byTime: 1))
  }
}
