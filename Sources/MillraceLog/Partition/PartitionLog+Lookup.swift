// Finding records by time, and the ends of leader epochs.

import MillraceRecords

extension PartitionLog {
  /// The first record whose timestamp is not before `timestamp`; nil when all are. Looks at records up to the high
  /// watermark.
  package func offset(forTimestamp timestamp: Int64) throws(LogError) -> TimestampOffset? {
    try withView { (view) throws(LogError) in
      let limit = view.highWatermark
      for segment in view.segments where try segment.largestTimestamp().timestamp >= timestamp {
        let readable = view.readableBytes(of: segment, limit)
        guard readable > 0 || segment.size == 0 else { break }
        if let found = try segment.find(timestamp: timestamp, notBefore: view.logStartOffset, limit: readable) {
          return found
        }
      }
      return nil
    }
  }

  /// The record with the largest timestamp, the first if there are several; nil in an empty log.
  package func maxTimestamp() throws(LogError) -> TimestampOffset? {
    try withView { (view) throws(LogError) in
      var largest: (segment: Segment, found: TimestampOffset)?
      for segment in view.segments {
        let found = try segment.largestTimestamp()
        if found.timestamp > largest?.found.timestamp ?? -1 { largest = (segment, found) }
      }
      guard let (segment, found) = largest else { return nil }
      return try segment.find(
        timestamp: found.timestamp, notBefore: view.logStartOffset, limit: view.readableBytes(of: segment, view.end))
    }
  }

  /// The answer to OffsetForLeaderEpoch: the largest epoch not above `epoch` and the offset where it ends; nil when the
  /// log knows neither.
  package func endOffset(forLeaderEpoch epoch: Int32) -> (epoch: Int32, endOffset: Int64)? {
    guard (try? currentView()) != nil else { return nil }
    return writer.withLock { writer in
      guard let writer else { return nil }
      return writer.epochs.endOffset(for: epoch, logEndOffset: writer.endOffset)
    }
  }

  /// The leader epoch of the record at `offset`, and of the end of the log.
  package func leaderEpoch(of offset: Int64) -> Int32? {
    guard (try? currentView()) != nil else { return nil }
    return writer.withLock { $0?.epochs.epoch(of: offset) }
  }

  package var latestLeaderEpoch: Int32? {
    guard (try? currentView()) != nil else { return nil }
    return writer.withLock { $0?.epochs.latest }
  }
}

extension Segment {
  /// The first record from `offset` on that is not older than `timestamp`.
  func find(timestamp: Int64, notBefore offset: Int64, limit: Int64) throws(LogError) -> TimestampOffset? {
    try checkIndexes()
    let start = max(offset, try offsetBefore(timestamp))
    guard var position = try find(start, limit: limit)?.position else { return nil }
    let file = try file()
    // Batches whose largest timestamp is too small are passed by their headers.
    while true {
      let found = try HeaderScan.run(file, from: position, to: limit, over: damages) {
        (scan) throws(LogError) -> (header: BatchHeader, position: Int64)? in
        while let header = try scan.peek() {
          if header.maxTimestamp >= timestamp { return (header, scan.position) }
          scan.skip(header)
        }
        return nil
      }
      guard let (header, at) = found else { return nil }
      if let record = try firstRecord(timestamp, notBefore: offset, file, header, at: at) { return record }
      position = at + Int64(header.sizeInBytes)
    }
  }

  /// An offset up to which no record is younger than `timestamp`, from the time index as far as the log bears it out.
  private func offsetBefore(_ timestamp: Int64) throws(LogError) -> Int64 {
    guard let entry = try timeIndex.last(where: { $0.timestamp <= timestamp })?.entry else { return baseOffset }
    if try isTrue(entry) { return baseOffset + Int64(entry.relativeOffset) }
    if !isActive { try repairIndexes() }
    return baseOffset
  }

  private func firstRecord(
    _ timestamp: Int64, notBefore offset: Int64, _ file: SegmentFile, _ header: BatchHeader, at position: Int64
  ) throws(LogError) -> TimestampOffset? {
    if header.timestampType == .logAppendTime {
      return TimestampOffset(
        timestamp: header.maxTimestamp, offset: max(offset, header.baseOffset),
        leaderEpoch: header.partitionLeaderEpoch)
    }
    var bytes = [UInt8](repeating: 0, count: header.sizeInBytes)
    try bytes.withMutableBytes { (buffer) throws(LogError) in try file.fill(buffer, from: position) }
    do {
      return try bytes.withBytes { (buffer) throws(BatchError) in
        try BatchView(buffer).withRecords { (records) throws(BatchError) in
          while let record = try records.next() {
            if record.timestamp >= timestamp, record.offset >= offset {
              return TimestampOffset(
                timestamp: record.timestamp, offset: record.offset, leaderEpoch: header.partitionLeaderEpoch)
            }
          }
          return nil
        }
      }
    } catch {
      throw .corrupt(path: file.path, position: position)
    }
  }
}
