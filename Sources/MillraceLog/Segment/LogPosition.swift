// A place in the log: the offset that comes there, and where that is.

package struct LogPosition: Sendable, Hashable {
  package var offset: Int64
  /// The base offset of the segment.
  package var segment: Int64
  /// Bytes from the start of the segment's file.
  package var position: Int64

  package init(offset: Int64, segment: Int64, position: Int64) {
    self.offset = offset
    self.segment = segment
    self.position = position
  }
}

/// A record's timestamp and where the record is.
package struct TimestampOffset: Sendable, Hashable {
  package var timestamp: Int64
  package var offset: Int64
  /// -1 when the log does not know it.
  package var leaderEpoch: Int32

  package init(timestamp: Int64, offset: Int64, leaderEpoch: Int32 = -1) {
    self.timestamp = timestamp
    self.offset = offset
    self.leaderEpoch = leaderEpoch
  }
}
