// The broker's clocks as the coordinators read them: wall time, and milliseconds since the runtime was made.

import MillraceCoordination

struct GroupTime: Sendable {
  private let clock: any BrokerClock
  private let began: ContinuousClock.Instant

  init(_ clock: any BrokerClock) {
    self.clock = clock
    began = clock.monotonic()
  }

  func now() -> Moment {
    let (seconds, attoseconds) = (clock.monotonic() - began).components
    return Moment(wallMs: clock.nowMs(), uptimeMs: seconds * 1_000 + attoseconds / 1_000_000_000_000_000)
  }
}
