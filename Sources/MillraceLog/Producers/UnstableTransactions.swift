// The transactions that hold back the last stable offset: those without an outcome, and those whose outcome is not yet
// below the high watermark. Kept in the order of their first records.

import MillraceRecords

struct UnstableTransactions: Sendable, Equatable {
  struct Open: Sendable, Equatable {
    var producerId: Int64
    var start: LogPosition
  }

  struct Ended: Sendable, Equatable {
    var start: LogPosition
    var markerOffset: Int64
  }

  private(set) var open: [Open] = []
  private(set) var ended: [Ended] = []

  /// Where the first record is whose fate a reader cannot know.
  var first: LogPosition? {
    guard let ended = ended.first else { return open.first?.start }
    guard let open = open.first else { return ended.start }
    return open.start.offset < ended.start.offset ? open.start : ended.start
  }

  mutating func begin(_ producerId: Int64, at start: LogPosition) {
    open.insert(
      Open(producerId: producerId, start: start), at: open.partitioningIndex { $0.start.offset > start.offset })
  }

  /// Returns the first offset of the transaction, and the offset up to which all outcomes will be known once this one
  /// is below the high watermark.
  mutating func end(_ producerId: Int64, markerOffset: Int64) -> (firstOffset: Int64, lastStableOffset: Int64)? {
    guard let index = open.firstIndex(where: { $0.producerId == producerId }) else { return nil }
    let start = open.remove(at: index).start
    ended.insert(
      Ended(start: start, markerOffset: markerOffset), at: ended.partitioningIndex { $0.start.offset > start.offset })
    return (start.offset, open.first?.start.offset ?? markerOffset + 1)
  }

  /// The marker with this header, which ends an open transaction, is in `segment`: an abort goes into its index before
  /// readers can pass the marker.
  mutating func end(_ marker: EndTransactionMarker, _ header: BatchHeader, in segment: Segment) {
    guard let (firstOffset, lastStableOffset) = end(header.producerId, markerOffset: header.lastOffset),
      !marker.isCommit
    else { return }
    segment.transactionIndex.append(
      AbortedTransactionEntry(
        producerId: header.producerId, firstOffset: firstOffset, lastOffset: header.lastOffset,
        lastStableOffset: lastStableOffset))
  }

  mutating func highWatermarkRose(to highWatermark: Int64) {
    if !ended.isEmpty { ended.removeAll { $0.markerOffset < highWatermark } }
  }
}
