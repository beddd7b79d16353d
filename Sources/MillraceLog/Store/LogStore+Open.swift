// Opening a store: lock the data directories, find out whose they are, read what the last run recorded, list the
// partitions. After a clean stop nothing of a partition is read.

import Synchronization

extension LogStore {
  static let lockName = ".lock"
  /// Kafka's marker of a clean stop, with its content.
  static let cleanMarkerName = ".kafka_cleanshutdown"
  static let cleanMarker = Array(#"{"version":0,"brokerEpoch":-1}"#.utf8)

  package static func open(_ options: StoreOptions, nowMs: Int64) throws(LogError) -> LogStore {
    guard !options.directories.isEmpty else { throw .noDataDirectory }
    let cache = OpenFileCache(fileSystem: options.fileSystem, limit: options.segmentFileLimit)
    let wakeUp = WakeUp()
    let locks = try lock(options)
    var opened: [DataDirectory] = []
    do {
      let lastRecordedMs = newestTime(options)
      let clusterId = try identify(options)
      var places: [PartitionID: Int] = [:]
      for (index, path) in options.directories.enumerated() {
        let found = try findPartitions(in: path, options.fileSystem, nowMs: nowMs)
        for id in found.partitions where places[id] == nil { places[id] = index }
        let directory = try DataDirectory(
          path: path, options: options, cache: cache, lockFile: locks[index],
          recorded: try readCheckpoints(in: path, options.fileSystem),
          wasCleanlyStopped: try takeCleanMarker(in: path, options.fileSystem), removals: found.removals,
          wakeUp: wakeUp)
        opened.append(directory)
      }
      let store = LogStore(
        clusterId: clusterId, options: options, directories: opened, places: places, wakeUp: wakeUp,
        lastRecordedMs: lastRecordedMs, nowMs: nowMs)
      if options.hasThreads { store.start() }
      return store
    } catch {
      for directory in opened { directory.unlock() }
      for lock in locks[opened.count...] { options.fileSystem.unlock(lock) }
      throw error
    }
  }

  /// When the last run wrote its checkpoints or its marker.
  private static func newestTime(_ options: StoreOptions) -> Int64? {
    let names = OffsetCheckpoint.allCases.map(\.rawValue) + [cleanMarkerName]
    return options.directories.flatMap { path in
      names.compactMap { try? options.fileSystem.status(of: "\(path)/\($0)")?.modificationTimeMs }
    }.max()
  }

  private static func lock(_ options: StoreOptions) throws(LogError) -> [OpenFile] {
    var locks: [OpenFile] = []
    for path in options.directories {
      do {
        try createDirectories(path, options.fileSystem)
        locks.append(try options.fileSystem.lock("\(path)/\(lockName)"))
      } catch {
        for lock in locks { options.fileSystem.unlock(lock) }
        throw error.isLocked ? .directoryInUse(path) : .storage(error)
      }
    }
    return locks
  }

  private static func createDirectories(_ path: String, _ fileSystem: any FileSystem) throws(StorageError) {
    if try fileSystem.status(of: path) != nil { return }
    var parent = "."
    if let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) {
      // Two slashes in a row are one.
      parent = StoreOptions.withoutTrailingSlashes(slash == path.startIndex ? "/" : String(path[..<slash]))
      if slash != path.startIndex { try createDirectories(parent, fileSystem) }
    }
    try fileSystem.createDirectory(path)
    try fileSystem.synchronizeDirectory(parent)
  }

  /// Reads `meta.properties` of every directory and writes it where there is none. Returns the cluster's id.
  private static func identify(_ options: StoreOptions) throws(LogError) -> String {
    var clusterId = options.clusterId
    var missing: [String] = []
    for path in options.directories {
      let content: [UInt8]?
      do {
        content = try options.fileSystem.contents(of: "\(path)/\(MetaProperties.fileName)")
      } catch { throw .storage(error) }
      guard let found = content.flatMap({ MetaProperties(fileContent: $0, newDirectoryId: newId()) }) else {
        missing.append(path)
        continue
      }
      guard found.brokerId == options.brokerId else {
        throw .differentBroker(directory: path, found: found.brokerId, expected: options.brokerId)
      }
      guard clusterId == nil || clusterId == found.clusterId else {
        throw .differentCluster(directory: path, found: found.clusterId, expected: clusterId ?? "")
      }
      clusterId = found.clusterId
    }
    let chosen = clusterId ?? newId()
    for path in missing {
      let properties = MetaProperties(brokerId: options.brokerId, clusterId: chosen, directoryId: newId())
      do {
        try options.fileSystem.replaceFile(
          at: "\(path)/\(MetaProperties.fileName)", in: path, with: properties.fileContent)
      } catch { throw .storage(error) }
    }
    return chosen
  }

  private static func newId() -> String {
    var generator = SystemRandomNumberGenerator()
    return TopicID.random(using: &generator).description
  }

  private static func findPartitions(
    in path: String, _ fileSystem: any FileSystem, nowMs: Int64
  ) throws(LogError) -> (partitions: [PartitionID], removals: [DataDirectory.Removal]) {
    var partitions: [PartitionID] = []
    var removals: [DataDirectory.Removal] = []
    do {
      for entry in try fileSystem.list(path) where entry.isDirectory {
        if entry.name.hasSuffix(FileNames.deletedDirectorySuffix) {
          removals.append(DataDirectory.Removal(path: "\(path)/\(entry.name)", isDirectory: true, dueMs: nowMs))
        } else if let id = PartitionID(directoryName: entry.name) {
          partitions.append(id)
        }
      }
    } catch { throw .storage(error) }
    return (partitions, removals)
  }

  static func readCheckpoints(
    in path: String, _ fileSystem: any FileSystem
  ) throws(LogError) -> RecordedOffsets {
    func read(_ checkpoint: OffsetCheckpoint) throws(LogError) -> [PartitionID: Int64] {
      do {
        return try fileSystem.contents(of: "\(path)/\(checkpoint.rawValue)").flatMap(OffsetCheckpoint.decode) ?? [:]
      } catch { throw .storage(error) }
    }
    return RecordedOffsets(
      recoveryPoints: try read(.recoveryPoint), logStarts: try read(.logStart),
      highWatermarks: try read(.highWatermark), cleaned: try read(.cleaner))
  }

  /// Whether the directory was stopped cleanly. The marker goes, durably: from now on it would not be true.
  private static func takeCleanMarker(in path: String, _ fileSystem: any FileSystem) throws(LogError) -> Bool {
    do {
      guard try fileSystem.status(of: "\(path)/\(cleanMarkerName)") != nil else { return false }
      try fileSystem.remove("\(path)/\(cleanMarkerName)")
      try fileSystem.synchronizeDirectory(path)
      return true
    } catch { throw .storage(error) }
  }
}
