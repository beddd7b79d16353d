// The broker's clock in a test's hand.

import MillraceBroker
import Synchronization

/// A clock for a broker that jumps when it is told to: sessions expire, time-outs are over, timestamps and retention
/// see another time, without waiting for it.
///
/// ```swift
/// let clock = ManualClock()
/// try await withBroker(clock: clock) { broker in
///   clock.advance(by: .seconds(60))
/// }
/// ```
///
/// The time of day stands still in between, so that a test knows it. Time-outs also run by themselves, as otherwise a
/// broker with nothing to say would say it never.
public final class ManualClock: BrokerClock {
  private struct State {
    var nowMs: Int64
    var lead = Duration.zero
    var followers: [@Sendable () -> Void] = []
  }

  private let state: Mutex<State>

  /// - Parameter nowMs: the time of day in milliseconds since 1970; the present one if nothing is said.
  public init(nowMs: Int64? = nil) { state = Mutex(State(nowMs: nowMs ?? SystemClock().nowMs())) }

  /// Moves the clock on.
  public func advance(by duration: Duration) {
    precondition(duration >= .zero, "a clock goes forward")
    let (seconds, attoseconds) = duration.components
    let followers = state.withLock { state in
      state.nowMs += seconds * 1000 + attoseconds / 1_000_000_000_000_000
      state.lead += duration
      return state.followers
    }
    for follower in followers { follower() }
  }

  /// The time of day in milliseconds since 1970.
  public func nowMs() -> Int64 { state.withLock { $0.nowMs } }

  package func monotonic() -> ContinuousClock.Instant { .now + lead }
  package var lead: Duration { state.withLock { $0.lead } }
  package func whenMoved(_ body: @escaping @Sendable () -> Void) { state.withLock { $0.followers.append(body) } }
}
