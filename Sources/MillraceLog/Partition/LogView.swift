// What readers know of a log: a value, replaced under a lock held for a few instructions and copied by every reader, who
// then does its I/O without any lock. Everything before `highWatermark` is durable and never changes, so a view that has
// grown old is still true (but for truncation, which takes part in a new `generation`).

struct LogView {
  /// By base offset; the last one is the active one.
  var segments: [Segment] = []
  var end: LogPosition
  var highWatermark: LogPosition
  var logStartOffset: Int64
  /// Everything before it was flushed.
  var durableOffset: Int64
  var transactions = UnstableTransactions()
  var generation = 0
  /// Counts the replacements of segments, after which positions are others.
  var layout = 0
  var cursors = ReadCursors()
  // What the next commit has to flush besides the active segment.
  var closedSegments: [Segment] = []
  var directoryChanged = false

  /// A log as it was opened: all of it is durable.
  init(segments: [Segment], end: LogPosition, logStartOffset: Int64, transactions: UnstableTransactions) {
    self.segments = segments
    self.end = end
    self.highWatermark = end
    self.logStartOffset = logStartOffset
    self.durableOffset = end.offset
    self.transactions = transactions
  }

  var lastStable: LogPosition {
    guard var unstable = transactions.first, unstable.offset < highWatermark.offset else { return highWatermark }
    unstable.offset = max(unstable.offset, min(logStartOffset, highWatermark.offset))
    return unstable
  }

  var offsets: LogOffsets {
    LogOffsets(
      logStartOffset: logStartOffset, highWatermark: highWatermark.offset,
      // The records of an open transaction may have been deleted.
      lastStableOffset: max(lastStable.offset, logStartOffset), logEndOffset: end.offset)
  }

  /// Returns whether the high watermark rose.
  mutating func raiseHighWatermark(to position: LogPosition) -> Bool {
    guard position.offset > highWatermark.offset else { return false }
    highWatermark = position
    transactions.highWatermarkRose(to: position.offset)
    return true
  }

  func limit(_ isolation: Isolation) -> LogPosition {
    isolation == .readCommitted ? lastStable : highWatermark
  }

  /// The index of the segment that `offset` lies in; -1 before the first.
  func segmentIndex(for offset: Int64) -> Int {
    segments.partitioningIndex { $0.baseOffset > offset } - 1
  }

  func segment(_ baseOffset: Int64) -> Segment? {
    let index = segmentIndex(for: baseOffset)
    return index >= 0 && segments[index].baseOffset == baseOffset ? segments[index] : nil
  }

  /// How far into `segment` a reader may go whose limit is `limit`.
  func readableBytes(of segment: Segment, _ limit: LogPosition) -> Int64 {
    if segment.baseOffset < limit.segment { return segment.size }
    return segment.baseOffset == limit.segment ? limit.position : 0
  }

  /// Where `segment` ends for a reader whose limit is `limit`: there, or where the next segment begins.
  func end(of segment: Segment, _ limit: LogPosition) -> LogPosition {
    guard segment.baseOffset < limit.segment else { return limit }
    let next = segmentIndex(for: segment.baseOffset) + 1
    return LogPosition(
      offset: next < segments.count ? segments[next].baseOffset : limit.offset, segment: segment.baseOffset,
      position: segment.size)
  }
}

/// Which records a read may see.
package enum Isolation: Int8, Sendable {
  case readUncommitted = 0
  case readCommitted = 1
}

/// The offsets that a partition's clients are told.
package struct LogOffsets: Sendable, Hashable {
  package var logStartOffset: Int64
  package var highWatermark: Int64
  package var lastStableOffset: Int64
  package var logEndOffset: Int64

  package init(logStartOffset: Int64, highWatermark: Int64, lastStableOffset: Int64, logEndOffset: Int64) {
    self.logStartOffset = logStartOffset
    self.highWatermark = highWatermark
    self.lastStableOffset = lastStableOffset
    self.logEndOffset = logEndOffset
  }
}

/// Where the last few reads ended. A consumer that reads on from there needs no index.
struct ReadCursors {
  private var positions: (LogPosition?, LogPosition?, LogPosition?, LogPosition?) = (nil, nil, nil, nil)
  private var next = 0

  func find(_ offset: Int64) -> LogPosition? {
    if let position = positions.0, position.offset == offset { return position }
    if let position = positions.1, position.offset == offset { return position }
    if let position = positions.2, position.offset == offset { return position }
    if let position = positions.3, position.offset == offset { return position }
    return nil
  }

  /// Remembers `position`, in the place of `start`, where the same reader was before, or of the oldest.
  mutating func move(from start: Int64, to position: LogPosition) {
    guard find(position.offset) == nil else { return }
    if positions.0?.offset == start {
      positions.0 = position
    } else if positions.1?.offset == start {
      positions.1 = position
    } else if positions.2?.offset == start {
      positions.2 = position
    } else if positions.3?.offset == start {
      positions.3 = position
    } else {
      switch next {
      case 0: positions.0 = position
      case 1: positions.1 = position
      case 2: positions.2 = position
      default: positions.3 = position
      }
      next = (next + 1) & 3
    }
  }
}
