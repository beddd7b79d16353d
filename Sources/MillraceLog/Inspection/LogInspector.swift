// Reads a partition's directory as it is, without a store and without changing anything: for `millrace log dump` and
// for tests. Files may be damaged, or be written by a running broker; what cannot be read is said, not repaired.

import MillraceRecords

package struct LogInspector: Sendable {
  package let directory: String
  let fileSystem: any FileSystem

  package init(directory: String, fileSystem: any FileSystem = PosixFileSystem()) {
    self.directory = directory
    self.fileSystem = fileSystem
  }

  /// One of the partition's files.
  package struct File: Sendable, Hashable {
    package enum Kind: String, Sendable {
      case log, index, timeIndex, transactionIndex, snapshot
    }

    package var kind: Kind
    /// The offset in the file's name.
    package var offset: Int64
    package var path: String
    package var byteCount: Int64
  }

  /// A batch and where it is.
  package struct Batch: Sendable {
    package var header: BatchHeader
    package var position: Int64
  }

  // MARK: Files

  /// The files of segments and the snapshots, by offset.
  package func files() throws(LogError) -> [File] {
    var files: [File] = []
    for entry in try LogError.wrap(try fileSystem.list(directory)) where !entry.isDirectory {
      guard let (offset, kind) = FileNames.parse(entry.name) else { continue }
      let path = "\(directory)/\(entry.name)"
      let size = try LogError.wrap(try fileSystem.status(of: path))?.byteCount ?? 0
      files.append(File(kind: File.Kind(kind), offset: offset, path: path, byteCount: size))
    }
    return files.sorted { ($0.offset, $0.kind.rawValue) < ($1.offset, $1.kind.rawValue) }
  }

  package func topicId() throws(LogError) -> TopicID? {
    try contents(FileNames.partitionMetadata).flatMap(PartitionMetadata.decode)
  }

  /// The entries of `leader-epoch-checkpoint`; nil when the file is not there or not whole.
  package func leaderEpochs() throws(LogError) -> [LeaderEpochs.Entry]? {
    try contents(FileNames.leaderEpochs).flatMap { LeaderEpochs(fileContent: $0)?.entries }
  }

  private func contents(_ name: String) throws(LogError) -> [UInt8]? {
    try LogError.wrap(try fileSystem.contents(of: "\(directory)/\(name)"))
  }

  // MARK: Batches

  /// Calls `body` with every batch of a `.log` file. Returns the position of the first bytes that are no batch, or the
  /// end of the file.
  package func forEachBatch(in path: String, _ body: (Batch) throws(LogError) -> Void) throws(LogError) -> Int64 {
    let file = try open(path)
    let size = try LogError.wrap(try file.size())
    var position: Int64 = 0
    do {
      try HeaderScan.run(file, from: 0, to: size, blockSize: 64 << 10) { (scan) throws(LogError) in
        while let header = try scan.peek() {
          try body(Batch(header: header, position: scan.position))
          scan.skip(header)
          position = scan.position
        }
      }
    } catch {
      guard case .corrupt(path, position) = error else { throw error }
    }
    return position
  }

  /// Calls `body` with the whole bytes of a batch.
  package func withBytes<Result>(
    of batch: Batch, in path: String, _ body: (UnsafeRawBufferPointer) throws(LogError) -> Result
  ) throws(LogError) -> Result {
    let file = try open(path)
    var bytes = [UInt8](repeating: 0, count: batch.header.sizeInBytes)
    try bytes.withMutableBytes { (buffer) throws(LogError) in try file.fill(buffer, from: batch.position) }
    return try bytes.withBytes(body)
  }

  func open(_ path: String) throws(LogError) -> SegmentFile {
    SegmentFile(handle: try LogError.wrap(try fileSystem.open(path, .read)), fileSystem: fileSystem)
  }

  // MARK: Indexes and snapshots

  /// The entries of an `.index` file in the order of the file, which is not checked.
  package func offsetIndex(_ path: String) throws(LogError) -> [OffsetIndexEntry] { try entries(path) }

  /// The entries of a `.timeindex` file in the order of the file, which is not checked.
  package func timeIndex(_ path: String) throws(LogError) -> [TimeIndexEntry] { try entries(path) }

  private func entries<Entry: IndexEntry>(_ path: String) throws(LogError) -> [Entry] {
    let bytes = try LogError.wrap(try fileSystem.contents(of: path)) ?? []
    return bytes.withUnsafeBytes { buffer in
      stride(from: 0, through: buffer.count - Entry.byteCount, by: Entry.byteCount).map { Entry(buffer, at: $0) }
    }
  }

  /// What a `.txnindex` file holds; nil when it is not whole.
  package func transactionIndex(_ path: String) throws(LogError) -> TransactionIndexContent? {
    try LogError.wrap(try fileSystem.contents(of: path)).flatMap { TransactionIndexContent(fileContent: $0) }
  }

  /// One producer of a snapshot, with the last of its batches.
  package struct Producer: Sendable, Hashable {
    package var producerId: Int64
    package var epoch: Int16
    package var coordinatorEpoch: Int32
    package var lastTimestamp: Int64
    package var currentTransactionFirstOffset: Int64?
    /// -1 without a batch.
    package var firstSequence: Int32
    package var lastSequence: Int32
    package var lastOffset: Int64
    package var offsetDelta: Int32
  }

  /// The producers of a `.snapshot` file by id; nil when the file is not whole.
  package func snapshot(_ path: String) throws(LogError) -> [Producer]? {
    guard let producers = try LogError.wrap(try fileSystem.contents(of: path)).flatMap(ProducerSnapshot.decode) else {
      return nil
    }
    return producers.sorted { $0.key < $1.key }.map { Producer($0.key, $0.value) }
  }

  // MARK: The data directory

  /// The checkpoint files of a data directory by name; nil for one that is not there or not whole.
  package static func checkpoints(
    inDataDirectory path: String, fileSystem: any FileSystem = PosixFileSystem()
  ) throws(LogError) -> [(name: String, offsets: [PartitionID: Int64]?)] {
    var found: [(name: String, offsets: [PartitionID: Int64]?)] = []
    for checkpoint in OffsetCheckpoint.allCases {
      let content = try LogError.wrap(try fileSystem.contents(of: "\(path)/\(checkpoint.rawValue)"))
      found.append((checkpoint.rawValue, content.flatMap(OffsetCheckpoint.decode)))
    }
    return found
  }

  /// The partitions whose directories are in a data directory.
  package static func partitions(
    inDataDirectory path: String, fileSystem: any FileSystem = PosixFileSystem()
  ) throws(LogError) -> [PartitionID] {
    try LogError.wrap(try fileSystem.list(path))
      .compactMap { $0.isDirectory ? PartitionID(directoryName: $0.name) : nil }
      .sorted { ($0.topic, $0.partition) < ($1.topic, $1.partition) }
  }
}

extension LogInspector.File.Kind {
  init(_ kind: LogFileKind) {
    self =
      switch kind {
      case .log: .log
      case .index: .index
      case .timeIndex: .timeIndex
      case .transactionIndex: .transactionIndex
      case .snapshot: .snapshot
      }
  }
}

extension LogInspector.Producer {
  init(_ id: Int64, _ state: ProducerState) {
    let last = state.last ?? .none
    self.init(
      producerId: id, epoch: state.epoch, coordinatorEpoch: state.coordinatorEpoch,
      lastTimestamp: state.lastTimestamp, currentTransactionFirstOffset: state.transactionStart,
      firstSequence: last.firstSequence, lastSequence: last.lastSequence, lastOffset: last.lastOffset,
      offsetDelta: last.offsetDelta)
  }
}
