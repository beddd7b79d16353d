// The broker's two clocks: wall time for timestamps and retention, monotonic time for every time-out, so that a
// jump of the wall clock never expires a session. Tests use a clock that they move by hand.

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package protocol BrokerClock: Sendable {
  /// Milliseconds since the epoch, as Kafka's timestamps count.
  func nowMs() -> Int64
  /// A point on a clock that never jumps.
  func monotonic() -> ContinuousClock.Instant

  /// How far `monotonic` has been moved before the machine's: timers are due earlier by that.
  var lead: Duration { get }
  /// Calls `body` whenever somebody has moved the clock.
  func whenMoved(_ body: @escaping @Sendable () -> Void)
}

extension BrokerClock {
  package var lead: Duration { .zero }
  package func whenMoved(_ body: @escaping @Sendable () -> Void) {}
}

package struct SystemClock: BrokerClock {
  package init() {}

  package func nowMs() -> Int64 {
    var time = timespec()
    clock_gettime(CLOCK_REALTIME, &time)
    return Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000
  }

  package func monotonic() -> ContinuousClock.Instant { ContinuousClock.now }
}
