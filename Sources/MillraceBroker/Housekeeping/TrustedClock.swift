// The wall clock for what is thrown away by it, shared by the threads that do: silent while it cannot be trusted.

import MillraceCoordination
import Synchronization

final class TrustedClock: Sendable {
  private let time: GroupTime
  private let trust: Mutex<WallClockTrust>

  /// - Parameter lastWallMs: the newest time on record from before the start.
  init(_ time: GroupTime, lastWallMs: Int64?) {
    self.time = time
    trust = Mutex(WallClockTrust(start: time.now(), lastWallMs: lastWallMs))
  }

  func isTrusted(at now: Moment) -> Bool { trust.withLock { $0.isTrusted(at: now) } }

  func nowMs() -> Int64? {
    let now = time.now()
    return isTrusted(at: now) ? now.wallMs : nil
  }
}
