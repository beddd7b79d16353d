// Decides which batches of a segment get index entries: Kafka's rule, the same when a segment is written and when its
// indexes are made anew. An entry is due once more than `index.interval.bytes` lie between the batch and the last one
// that has an entry; the time index takes part when the largest timestamp has risen.

import MillraceRecords

struct IndexBuilder {
  let segment: Segment
  private(set) var largest: TimestampOffset
  private var bytesSinceEntry: Int64

  init(segment: Segment, largest: TimestampOffset? = nil, bytesSinceEntry: Int64 = 0) {
    self.segment = segment
    self.largest = largest ?? TimestampOffset(timestamp: -1, offset: segment.baseOffset)
    self.bytesSinceEntry = bytesSinceEntry
  }

  /// The batch with this header was put at `position`. Its last offset fits the index.
  mutating func add(_ header: BatchHeader, at position: Int64) {
    let lastOffset = header.lastOffset
    if header.maxTimestamp > largest.timestamp {
      largest = TimestampOffset(
        timestamp: header.maxTimestamp, offset: lastOffset, leaderEpoch: header.partitionLeaderEpoch)
      segment.setLargestTimestamp(largest)
    }
    if bytesSinceEntry > Int64(segment.indexIntervalBytes), let relative = segment.relative(lastOffset),
      let position = Int32(exactly: position)
    {
      segment.index.append(OffsetIndexEntry(relativeOffset: relative, position: position))
      addTimeEntry()
      bytesSinceEntry = 0
    }
    bytesSinceEntry += Int64(header.sizeInBytes)
  }

  /// Gives the next batch an entry: a search cannot walk to it.
  mutating func requireEntry() { bytesSinceEntry = Int64(segment.indexIntervalBytes) + 1 }

  /// The segment takes no more batches: its largest timestamp goes into the time index, and both into their files.
  func finish() throws(LogError) {
    addTimeEntry()
    try segment.index.flush()
    try segment.timeIndex.flush()
  }

  private func addTimeEntry() {
    let last = (try? segment.timeIndex.last())?.timestamp ?? -1
    guard largest.timestamp > last, let relative = segment.relative(largest.offset) else { return }
    segment.timeIndex.append(TimeIndexEntry(timestamp: largest.timestamp, relativeOffset: relative))
  }
}
