// One reading of both clocks, taken by a runtime and handed to the pure state machines.
//
// What is written to a log and compared with other brokers' records is wall time; what decides that somebody has been
// silent for too long is time since start, which no operator and no NTP step can move.

package struct Moment: Sendable, Equatable {
  /// Milliseconds since the epoch, for record timestamps and retention.
  package var wallMs: Int64
  /// Milliseconds on a monotonic clock of the runtime's choosing, for time-outs.
  package var uptimeMs: Int64

  package init(wallMs: Int64, uptimeMs: Int64) {
    self.wallMs = wallMs
    self.uptimeMs = uptimeMs
  }
}
