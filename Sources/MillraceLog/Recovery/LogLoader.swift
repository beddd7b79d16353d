// Opens a partition: finds its segments, reads the tail that may not be whole, and makes up what is missing.
//
// After a clean stop the last index entry leads to the last few kilobytes, whose headers say where the log ends. After
// any other stop everything past the recovery point is read and checked; what fails its checksum there, and all behind
// it, was never acknowledged and is cut off. Bytes before the recovery point are never cut. Indexes, snapshots and
// checkpoints are used as far as the log bears them out, and made anew where it does not.

import MillraceRecords

struct LogLoader {
  let id: PartitionID
  let topicId: TopicID
  let directory: PartitionDirectory
  let cache: OpenFileCache
  let config: LogConfig
  let known: KnownOffsets
  let nowMs: Int64
  var report: RecoveryReport
  var segments: [Segment] = []
  var snapshots: [Int64] = []
  var endOffset: Int64 = 0
  /// A flush failed: what the page cache says of the tail may not be on the disk.
  var mustRewrite = false
  /// Batches before it are known to be what was written.
  var trustedOffset: Int64 = 0

  struct Loaded {
    var writer: LogWriter
    var view: LogView
    var report: RecoveryReport
  }

  init(
    id: PartitionID, topicId: TopicID, directory: PartitionDirectory, cache: OpenFileCache, config: LogConfig,
    known: KnownOffsets, nowMs: Int64
  ) {
    self.id = id
    self.topicId = topicId
    self.directory = directory
    self.cache = cache
    self.config = config
    self.known = known
    self.nowMs = nowMs
    report = RecoveryReport(partition: id)
  }

  var fileSystem: any FileSystem { cache.fileSystem }

  mutating func load() throws(LogError) -> Loaded {
    try checkTopicId()
    try findFiles()
    let builder = try openEnd()
    report.logEndOffset = endOffset
    let logStart = min(max(known.logStartOffset ?? 0, segments[0].baseOffset), endOffset)
    let (epochs, epochsChanged) = try loadEpochs(logStart: logStart)
    let (producers, transactions) = try loadProducers(logStart: logStart)
    let writer = LogWriter(
      directory: directory, cache: cache, segments: segments, builder: builder, endOffset: endOffset,
      logStartOffset: logStart, producers: producers, epochs: epochs, epochsChanged: epochsChanged,
      snapshots: snapshots, nowMs: nowMs)
    writer.rollJitterMs = config.randomJitterMs()
    let view = LogView(
      segments: segments, end: writer.end, logStartOffset: logStart, transactions: transactions)
    return Loaded(writer: writer, view: view, report: report)
  }

  /// The name of the directory says whose it is, and the metadata what id that topic has. The file tells an earlier topic
  /// of the name from this one: their ids have nothing in common. A file that is not there, that cannot be read, or whose
  /// id is this one but for a few bits is damaged, and is written anew.
  private mutating func checkTopicId() throws(LogError) {
    let path = directory.path(FileNames.partitionMetadata)
    let onDisk = try LogError.wrap(try fileSystem.contents(of: path)).flatMap(PartitionMetadata.decode)
    if onDisk == topicId { return }
    if let onDisk, !onDisk.isNear(topicId) { throw .inconsistentTopicId(id, onDisk: onDisk) }
    report.findings.append(.partitionMetadataUnusable(path: path))
    do {
      try fileSystem.replaceFile(at: path, in: directory.path, with: PartitionMetadata.encode(topicId))
    } catch {
      // Nothing depends on it now; the next start tries again.
      report.findings.append(.storage(error))
    }
  }

  /// Lists the directory, and removes what an interrupted deletion or replacement left there.
  private mutating func findFiles() throws(LogError) {
    var sizes: [(offset: Int64, byteCount: Int64)] = []
    var indexes: [(offset: Int64, kind: LogFileKind)] = []
    let entries = try LogError.wrap(try fileSystem.list(directory.path))
    let names = try finishSwaps(entries.filter { !$0.isDirectory }.map(\.name))
    do {
      for name in names {
        if name == FileNames.flushFailed { mustRewrite = true }
        guard let (offset, kind) = FileNames.parse(name) else {
          if FileNames.isLeftOver(name) { try fileSystem.removeIfPresent(directory.path(name)) }
          continue
        }
        switch kind {
        case .log: sizes.append((offset, try fileSystem.status(of: directory.path(name))?.byteCount ?? 0))
        case .snapshot: snapshots.append(offset)
        default: indexes.append((offset, kind))
        }
      }
      for (offset, kind) in indexes where !sizes.contains(where: { $0.offset == offset }) {
        try fileSystem.removeIfPresent(directory.path(offset, kind))
      }
    } catch { throw .storage(error) }
    snapshots.sort()
    sizes.sort { $0.offset < $1.offset }
    segments = sizes.map { offset, byteCount in
      Segment(
        baseOffset: offset, directory: directory, byteCount: byteCount, isNew: false,
        indexIntervalBytes: config.indexIntervalBytes, cache: cache)
    }
    // Positions in an index have 31 bits; bytes that no position reaches are none of ours.
    for segment in segments where segment.size > Int64(Int32.max) { segment.setSize(Int64(Int32.max)) }
    if segments.isEmpty {
      let base = max(known.logStartOffset ?? 0, known.recoveryPoint ?? 0)
      segments = [
        Segment(
          baseOffset: base, directory: directory, byteCount: 0, isNew: true,
          indexIntervalBytes: config.indexIntervalBytes, cache: cache)
      ]
    }
  }
}
