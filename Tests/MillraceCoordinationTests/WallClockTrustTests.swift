import MillraceCoordination
import Testing

@Suite struct WallClockTrustTests {
  private static let hour: Int64 = 60 * 60_000
  private static let start = Moment(wallMs: 1_700_000_000_000, uptimeMs: 5_000)

  private func moment(after ms: Int64, step: Int64 = 0) -> Moment {
    Moment(wallMs: Self.start.wallMs + ms + step, uptimeMs: Self.start.uptimeMs + ms)
  }

  @Test func `a clock that just goes on is trusted, and so is one that is nudged`() {
    var trust = WallClockTrust(start: Self.start, lastWallMs: Self.start.wallMs - 60_000)
    for minutes in 1...300 as ClosedRange<Int64> {
      #expect(trust.isTrusted(at: moment(after: minutes * 60_000, step: minutes * 100)) == true)
    }
  }

  @Test(arguments: [10 * 60_000 + 1, -10 * 60_000 - 1, 365 * 24 * 3_600_000, Int64.max / 2] as [Int64])
  func `after a step nothing expires for an hour`(step: Int64) {
    var trust = WallClockTrust(start: Self.start, lastWallMs: nil)
    #expect(trust.isTrusted(at: moment(after: 1_000)) == true)
    #expect(trust.isTrusted(at: moment(after: 2_000, step: step)) == false)
    #expect(trust.isTrusted(at: moment(after: 2_000 + Self.hour - 1, step: step)) == false)
    #expect(trust.isTrusted(at: moment(after: 2_000 + Self.hour, step: step)) == true)
  }

  @Test func `a step back to where it was begins the hour anew`() {
    var trust = WallClockTrust(start: Self.start, lastWallMs: nil)
    #expect(trust.isTrusted(at: moment(after: 0, step: Self.hour)) == false)
    #expect(trust.isTrusted(at: moment(after: Self.hour / 2, step: 0)) == false)
    #expect(trust.isTrusted(at: moment(after: Self.hour, step: 0)) == false)
    #expect(trust.isTrusted(at: moment(after: Self.hour / 2 + Self.hour, step: 0)) == true)
  }

  @Test(arguments: [1, -31 * 24 * 3_600_000, Int64.min] as [Int64])
  func `a start in the past or a month later waits an hour`(last: Int64) {
    let recorded = last == .min ? last : Self.start.wallMs + last
    var trust = WallClockTrust(start: Self.start, lastWallMs: recorded)
    #expect(trust.isTrusted(at: moment(after: Self.hour - 1)) == false)
    #expect(trust.isTrusted(at: moment(after: Self.hour)) == true)
  }
}
