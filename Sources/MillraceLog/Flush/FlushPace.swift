// Whether flushes are so quick that handing one to another thread costs more than waiting for it.

/// Runs what it is given when the work that the calling thread is at is done, on the same thread; false, and nothing is
/// run, where there is no such moment.
package typealias AfterTurn = @Sendable (@escaping @Sendable () -> Void) -> Bool

struct FlushPace {
  /// Of flushes one in nine may be slow before the others do not count as quick.
  private static let slowWeight = 8
  private static let limit = 16

  let quick: Duration
  private var slowness = limit

  init(quick: Duration) { self.quick = quick }

  /// Not before the first flush.
  var isQuick: Bool { slowness < Self.limit }

  mutating func note(_ duration: Duration) {
    slowness = duration <= quick ? max(0, slowness - 1) : min(2 * Self.limit, slowness + Self.slowWeight)
  }
}
