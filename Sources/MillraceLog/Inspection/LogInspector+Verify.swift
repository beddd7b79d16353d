// Verifying a partition: every batch of every segment is read and its checksum computed, its records are counted, and
// what the indexes and snapshots say is held against it. One pass over the log; memory for the indexes of one segment.

import MillraceRecords

extension LogInspector {
  /// Checks the whole directory. With `readsRecords` batches are decompressed and their records read too.
  package func verify(readsRecords: Bool = true) throws(LogError) -> LogVerification {
    var result = LogVerification()
    let files = try files()
    let logs = files.filter { $0.kind == .log }
    for (number, log) in logs.enumerated() {
      let before = result
      var check = SegmentCheck(self, log, files, readsRecords: readsRecords)
      try check.run(&result)
      let hasGaps = result.missingOffsets > before.missingOffsets
      if hasGaps || result.findings[before.findings.count...].contains(where: \.problem.isDamage) {
        let next = number + 1 < logs.count ? logs[number + 1].offset : nil
        try checkOffsets(of: log, next: next, from: before.findings.count, &result)
      }
    }
    let bases = Set(logs.map(\.offset))
    for file in files where file.kind != .log && file.kind != .snapshot {
      if !bases.contains(file.offset) { result.findings.append(.init(path: file.path, problem: .withoutLog)) }
    }
    for file in files where file.kind == .transactionIndex && file.byteCount > 0 {
      if try transactionIndex(file.path) == nil { result.findings.append(.init(path: file.path, problem: .notWhole)) }
    }
    for file in files where file.kind == .snapshot {
      guard let producers = try snapshot(file.path) else {
        result.findings.append(.init(path: file.path, problem: .notWhole))
        continue
      }
      for producer in producers where producer.lastOffset >= file.offset {
        result.findings.append(
          .init(
            path: file.path,
            problem: .beyondSnapshot(producerId: producer.producerId, lastOffset: producer.lastOffset)))
      }
    }
    for name in [FileNames.leaderEpochs, FileNames.partitionMetadata] {
      let path = "\(directory)/\(name)"
      guard let content = try LogError.wrap(try fileSystem.contents(of: path)) else { continue }
      let isWhole =
        name == FileNames.leaderEpochs
        ? LeaderEpochs(fileContent: content) != nil : PartitionMetadata.decode(content) != nil
      if !isWhole { result.findings.append(.init(path: path, problem: .notWhole)) }
    }
    return result
  }

  /// Adds batches whose first offset was altered without leaving the order.
  private func checkOffsets(
    of log: File, next: Int64?, from: Int, _ result: inout LogVerification
  ) throws(LogError) {
    let survey = try SegmentSurvey(log, of: self, next: next, endOffset: nil, compactedTo: compactedTo())
    let told = Set(result.findings[from...].compactMap { $0.path == log.path ? $0.position : nil })
    for piece in try survey.run().altered where !told.contains(piece.position) {
      result.findings.append(
        LogVerification.Finding(
          path: log.path, position: piece.position,
          problem: .offsetsNotTrue(from: piece.offsets.lowerBound, to: piece.offsets.upperBound - 1)))
    }
  }

  /// Where the cleaner of the data directory has come, if this is a partition's directory in one.
  private func compactedTo() throws(LogError) -> Int64 {
    let slash = directory.utf8.lastIndex(of: UInt8(ascii: "/"))
    let name = slash.map { String(directory[directory.index(after: $0)...]) } ?? directory
    let parent = slash.map { String(directory[..<$0]) } ?? "."
    let content = try LogError.wrap(try fileSystem.contents(of: "\(parent)/\(OffsetCheckpoint.cleaner.rawValue)"))
    guard let id = PartitionID(directoryName: name) else { return 0 }
    return content.flatMap(OffsetCheckpoint.decode)?[id] ?? 0
  }
}

/// One segment's log against its indexes, which are walked along with it.
private struct SegmentCheck {
  let inspector: LogInspector
  let log: LogInspector.File
  let readsRecords: Bool
  let index: LogInspector.File?
  let timeIndex: LogInspector.File?
  var entries: [OffsetIndexEntry] = []
  var times: [TimeIndexEntry] = []
  /// The entries that come next.
  var nextEntry = 0
  var nextTime = 0
  var largestTimestamp: Int64 = -1

  init(_ inspector: LogInspector, _ log: LogInspector.File, _ files: [LogInspector.File], readsRecords: Bool) {
    self.inspector = inspector
    self.log = log
    self.readsRecords = readsRecords
    index = files.first { $0.kind == .index && $0.offset == log.offset }
    timeIndex = files.first { $0.kind == .timeIndex && $0.offset == log.offset }
  }

  mutating func run(_ result: inout LogVerification) throws(LogError) {
    try loadIndexes(&result)
    result.segmentCount += 1
    if result.firstOffset == nil { result.firstOffset = log.offset }
    // A segment begins where the one before ended, unless compaction took that one's last records.
    if let next = result.nextOffset, log.offset > next { result.missingOffsets += log.offset - next }
    result.nextOffset = max(result.nextOffset ?? log.offset, log.offset)
    let file = try inspector.open(log.path)
    let end = try inspector.forEachBatch(in: log.path) { (batch) throws(LogError) in
      try check(batch, file, &result)
    }
    if end < log.byteCount {
      add(log, end, .notABatch(byteCount: log.byteCount - end), &result)
    }
    while nextEntry < entries.count { skipEntry(&result) }
    while nextTime < times.count { skipTime(&result) }
  }

  private mutating func loadIndexes(_ result: inout LogVerification) throws(LogError) {
    if let index {
      entries = try inspector.offsetIndex(index.path)
      // A broker that preallocates its indexes, and did not stop cleanly, leaves zeros.
      while entries.last == OffsetIndexEntry(relativeOffset: 0, position: 0) { entries.removeLast() }
      if index.byteCount % Int64(OffsetIndexEntry.byteCount) != 0 { add(index, nil, .partialEntry, &result) }
      checkOrder(entries, index, &result)
    }
    if let timeIndex {
      times = try inspector.timeIndex(timeIndex.path)
      while times.last == TimeIndexEntry(timestamp: 0, relativeOffset: 0) { times.removeLast() }
      if timeIndex.byteCount % Int64(TimeIndexEntry.byteCount) != 0 { add(timeIndex, nil, .partialEntry, &result) }
      checkOrder(times, timeIndex, &result)
    }
  }

  private func checkOrder<Entry: IndexEntry>(
    _ entries: [Entry], _ file: LogInspector.File, _ result: inout LogVerification
  ) {
    for index in entries.indices.dropFirst() where !entries[index].follows(entries[index - 1]) {
      add(file, Int64(index * Entry.byteCount), .entriesNotRising, &result)
    }
  }

  private mutating func check(
    _ batch: LogInspector.Batch, _ file: SegmentFile, _ result: inout LogVerification
  ) throws(LogError) {
    let header = batch.header
    result.batchCount += 1
    result.byteCount += Int64(header.sizeInBytes)
    checkOffsets(batch, &result)
    try checkContent(batch, file, &result)
    checkEntries(batch, &result)
    largestTimestamp = max(largestTimestamp, header.maxTimestamp)
  }

  private func checkOffsets(_ batch: LogInspector.Batch, _ result: inout LogVerification) {
    let header = batch.header
    if header.baseOffset < log.offset {
      add(log, batch.position, .beforeSegment(baseOffset: header.baseOffset), &result)
    } else if header.lastOffset - log.offset > Int64(Int32.max) {
      add(log, batch.position, .tooFarForIndex(lastOffset: header.lastOffset), &result)
    } else if let next = result.nextOffset {
      if header.baseOffset < next {
        add(log, batch.position, .offsetsNotRising(previous: next - 1, found: header.baseOffset), &result)
      } else {
        result.missingOffsets += header.baseOffset - next
      }
    }
    result.nextOffset = header.nextOffset
  }

  private func checkContent(
    _ batch: LogInspector.Batch, _ file: SegmentFile, _ result: inout LogVerification
  ) throws(LogError) {
    let header = batch.header
    var bytes = [UInt8](repeating: 0, count: header.sizeInBytes)
    try bytes.withMutableBytes { (buffer) throws(LogError) in try file.fill(buffer, from: batch.position) }
    do {
      try bytes.withBytes { (buffer) throws(BatchError) in
        let view = try BatchView(buffer)
        try view.verifyChecksum()
        guard readsRecords else { return }
        var count: Int64 = 0
        try view.forEachRecord { _ in count += 1 }
        result.recordCount += count
        result.missingOffsets += max(0, Int64(header.lastOffsetDelta) + 1 - count)
      }
    } catch .corruptChecksum(let stored, let computed) {
      add(log, batch.position, .checksum(stored: stored, computed: computed), &result)
    } catch {
      add(log, batch.position, .records("\(error)"), &result)
    }
    if !readsRecords { result.recordCount += Int64(max(0, header.recordCount)) }
  }

  private mutating func checkEntries(_ batch: LogInspector.Batch, _ result: inout LogVerification) {
    let header = batch.header
    while nextEntry < entries.count, Int64(entries[nextEntry].position) < batch.position { skipEntry(&result) }
    if nextEntry < entries.count, Int64(entries[nextEntry].position) == batch.position {
      let offset = log.offset + Int64(entries[nextEntry].relativeOffset)
      if offset != header.lastOffset, let index {
        add(index, Int64(nextEntry * OffsetIndexEntry.byteCount), .notABatchEnd(offset: offset), &result)
      }
      nextEntry += 1
    }
    while nextTime < times.count, log.offset + Int64(times[nextTime].relativeOffset) < header.lastOffset {
      skipTime(&result)
    }
    if nextTime < times.count, log.offset + Int64(times[nextTime].relativeOffset) == header.lastOffset, let timeIndex {
      let position = Int64(nextTime * TimeIndexEntry.byteCount)
      let timestamp = times[nextTime].timestamp
      if timestamp != header.maxTimestamp { add(timeIndex, position, .wrongTimestamp(entry: timestamp), &result) }
      if largestTimestamp > timestamp {
        add(timeIndex, position, .olderThanBatch(timestamp: largestTimestamp), &result)
      }
      nextTime += 1
    }
  }

  /// The next offset index entry is not at the start of a batch.
  private mutating func skipEntry(_ result: inout LogVerification) {
    if let index {
      let offset = log.offset + Int64(entries[nextEntry].relativeOffset)
      add(index, Int64(nextEntry * OffsetIndexEntry.byteCount), .notABatchEnd(offset: offset), &result)
    }
    nextEntry += 1
  }

  /// The next time index entry is not at the end of a batch.
  private mutating func skipTime(_ result: inout LogVerification) {
    if let timeIndex {
      let timestamp = times[nextTime].timestamp
      add(timeIndex, Int64(nextTime * TimeIndexEntry.byteCount), .wrongTimestamp(entry: timestamp), &result)
    }
    nextTime += 1
  }

  private func add(
    _ file: LogInspector.File, _ position: Int64?, _ problem: LogVerification.Problem,
    _ result: inout LogVerification
  ) {
    result.findings.append(LogVerification.Finding(path: file.path, position: position, problem: problem))
  }
}
