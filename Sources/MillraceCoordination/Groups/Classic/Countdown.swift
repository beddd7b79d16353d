// A time-out that is pushed back far more often than it runs out.
//
// A heartbeat moves the deadline and touches no timer. The alarm that was set goes off at the old deadline, finds the
// new one, and is set again; so a member costs one alarm per session time-out however often it heartbeats.

package struct Countdown: Sendable {
  private var deadlineMs: Int64?
  private var alarmMs: Int64?

  package init() {}

  /// Runs out at `deadlineMs`. Returns the alarm to set, or nil when the one that is set goes off early enough.
  package mutating func start(until deadlineMs: Int64) -> Int64? {
    self.deadlineMs = deadlineMs
    if let alarmMs, alarmMs <= deadlineMs { return nil }
    alarmMs = deadlineMs
    return deadlineMs
  }

  package mutating func stop() {
    deadlineMs = nil
  }

  package enum Firing: Equatable {
    /// The alarm was overtaken by an earlier one, or nobody waits for it any more.
    case outdated
    /// The deadline has moved: set the alarm again.
    case early(alarmMs: Int64)
    case expired
  }

  /// The alarm set for `alarmMs` went off.
  package mutating func fired(_ firedMs: Int64) -> Firing {
    guard alarmMs == firedMs else { return .outdated }
    alarmMs = nil
    guard let deadlineMs else { return .outdated }
    if deadlineMs > firedMs {
      alarmMs = deadlineMs
      return .early(alarmMs: deadlineMs)
    }
    self.deadlineMs = nil
    return .expired
  }
}
