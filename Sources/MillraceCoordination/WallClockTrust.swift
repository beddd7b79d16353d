// Whether the time of day may decide that something is old enough to be thrown away.
//
// Wall clocks jump: an operator's mistake, a virtual machine that slept, a board without a battery. A week's retention
// must not end because of that. So when the clock has moved by more than ten minutes against the monotonic one, or when
// the broker wakes up in another month or in its own past, nothing expires by it until it has stood its ground for an
// hour.

package struct WallClockTrust: Sendable {
  package static let toleratedStepMs: Int64 = 10 * 60_000
  package static let longestAbsenceMs: Int64 = 30 * 24 * 60 * 60_000
  package static let probationMs: Int64 = 60 * 60_000

  /// What wall time was ahead of uptime when last looked at.
  private var lead: Int64
  private var probationEndsMs: Int64?

  /// - Parameter lastWallMs: the newest time that is on record from before the start, if there is any.
  package init(start: Moment, lastWallMs: Int64?) {
    lead = start.wallMs &- start.uptimeMs
    guard let lastWallMs else { return }
    let (absence, overflow) = start.wallMs.subtractingReportingOverflow(lastWallMs)
    if overflow || absence < 0 || absence > Self.longestAbsenceMs {
      probationEndsMs = start.uptimeMs + Self.probationMs
    }
  }

  /// Looks at the clock. To be called more often than once an hour, or steps within the hour go unnoticed.
  package mutating func isTrusted(at now: Moment) -> Bool {
    let (step, overflow) = (now.wallMs &- now.uptimeMs).subtractingReportingOverflow(lead)
    lead = now.wallMs &- now.uptimeMs
    if overflow || step.magnitude > UInt64(Self.toleratedStepMs) { probationEndsMs = now.uptimeMs + Self.probationMs }
    if let end = probationEndsMs, now.uptimeMs >= end { probationEndsMs = nil }
    return probationEndsMs == nil
  }
}
