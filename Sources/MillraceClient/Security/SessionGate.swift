// Holds requests back while a connection authenticates itself anew (KIP-368). The broker closes a connection whose
// session has run out on the next request that is no part of that, so the first request after the time is near begins it.
//
//    open ──(a request when it is due)──▶ held ──(authenticated)──▶ open
//
// What was sent before is answered before; the order of requests stays.

import NIOCore

struct SessionGate<Held> {
  enum Passage: Equatable {
    case pass
    /// It waits, and the connection has to be authenticated now.
    case begin
    case wait
  }

  /// When to authenticate anew; nil for never.
  private var due: NIODeadline?
  private var held: [Held]?

  mutating func admit(_ request: @autoclosure () -> Held, now: @autoclosure () -> NIODeadline) -> Passage {
    if held != nil {
      held?.append(request())
      return .wait
    }
    guard let due, now() >= due else { return .pass }
    held = [request()]
    return .begin
  }

  /// The session is good until after `due`: what was held goes now.
  mutating func open(until due: NIODeadline?) -> [Held] {
    defer { held = nil }
    self.due = due
    return held ?? []
  }
}

extension SessionGate {
  /// What a broker that names no sensible limit is taken to say.
  private static var lifetimeMax: Duration { .seconds(365 * 86_400) }

  /// Where between 85 and 95 % of a session's life the next authentication begins: not all connections at once.
  static func renewal(
    of lifetime: Duration, from now: NIODeadline, using generator: inout some RandomNumberGenerator
  ) -> NIODeadline {
    now + TimeAmount(min(lifetime, lifetimeMax) * Double.random(in: 0.85...0.95, using: &generator))
  }
}
