// What a store is opened with.

package struct StoreOptions: Sendable {
  /// `log.dirs`.
  package var directories: [String]
  package var fileSystem: any FileSystem
  /// Nil takes the one in `meta.properties`, or makes one.
  package var clusterId: String?
  package var brokerId: Int32
  /// How often the recovery point is recorded (`log.flush.offset.checkpoint.interval.ms`).
  package var checkpointIntervalMs: Int64
  /// A checkpoint is also made when this many bytes were appended since the last: they bound how much is read after a
  /// crash.
  package var checkpointBytes: Int64
  /// How many segment files may be open; nil derives it from the process's own limit.
  package var openFileLimit: Int?
  package var flushPolicy: FlushPolicy
  /// Whether commits, checkpoints and removals have threads of their own. Without them the owner calls `commit` and
  /// `maintain`, as tests do.
  package var hasThreads: Bool
  /// Where the event loops that append have a moment between two turns; it may take the time of a quick flush.
  package var afterTurn: AfterTurn
  /// What such a moment may take. Waking an idle thread, and being woken by it, takes 20 to 50 us each.
  package var quickFlush: Duration
  /// Told of everything unusual that opening a log found or did.
  package var onRecovery: @Sendable (RecoveryReport) -> Void
  /// Told of background work on the disk that failed.
  package var onError: @Sendable (LogError) -> Void
  /// Told when writing stops being possible somewhere, and when it is possible again.
  package var onCondition: @Sendable (StoreCondition) -> Void

  package init(
    directories: [String], fileSystem: any FileSystem = PosixFileSystem(), clusterId: String? = nil,
    brokerId: Int32 = 1, checkpointIntervalMs: Int64 = 10_000, checkpointBytes: Int64 = 128 << 20,
    openFileLimit: Int? = nil, flushPolicy: FlushPolicy = .automatic, hasThreads: Bool = true,
    afterTurn: @escaping AfterTurn = { _ in false }, quickFlush: Duration = .microseconds(250),
    onRecovery: @escaping @Sendable (RecoveryReport) -> Void = { _ in },
    onError: @escaping @Sendable (LogError) -> Void = { _ in },
    onCondition: @escaping @Sendable (StoreCondition) -> Void = { _ in }
  ) {
    self.directories = directories.map(Self.withoutTrailingSlashes)
    self.fileSystem = fileSystem
    self.clusterId = clusterId
    self.brokerId = brokerId
    self.checkpointIntervalMs = checkpointIntervalMs
    self.checkpointBytes = checkpointBytes
    self.openFileLimit = openFileLimit
    self.flushPolicy = flushPolicy
    self.hasThreads = hasThreads
    self.afterTurn = afterTurn
    self.quickFlush = quickFlush
    self.onRecovery = onRecovery
    self.onError = onError
    self.onCondition = onCondition
  }

  static func withoutTrailingSlashes(_ path: String) -> String {
    let end = path.utf8.lastIndex { $0 != UInt8(ascii: "/") }
    // The root is all slashes.
    return end.map { String(path[...$0]) } ?? String(path.prefix(1))
  }

  /// A quarter of what the process may open, the rest is for sockets; never more than helps.
  var segmentFileLimit: Int {
    openFileLimit ?? min(OpenFileCache.defaultLimit, PosixFileSystem.openFileLimit / 4)
  }
}

/// What an operator has to know of the disks, said once each time it begins or ends.
package enum StoreCondition: Sendable, Equatable {
  /// Writes to the directory are refused until there is room; nothing that was acknowledged is touched.
  case outOfSpace(directory: String, StorageError)
  case hasRoomAgain(directory: String)
  /// A write or a flush failed, so nothing is written to the partition any more until the broker is started again.
  case offline(PartitionID, LogError)
}

extension StoreCondition: CustomStringConvertible {
  package var description: String {
    switch self {
    case .outOfSpace(let directory, let error):
      "no space left for the data directory \(directory): writes are refused with KAFKA_STORAGE_ERROR until there is "
        + "room, reads go on (\(error))"
    case .hasRoomAgain(let directory): "the data directory \(directory) has room again and takes writes"
    case .offline(let partition, let error):
      "partition \(partition) takes no more writes, reads go on; start the broker again once the disk is well (\(error))"
    }
  }
}
