// All the logs of one broker: its data directories, and the partitions in them.
//
//   <data directory>/
//     .lock                                held while the store is open
//     .kafka_cleanshutdown                 there only while it is not, after a clean stop
//     meta.properties                      whose directory this is
//     recovery-point-offset-checkpoint     and the other checkpoints (OffsetCheckpoint)
//     <topic>-<partition>/                 one a partition
//       partition.metadata, leader-epoch-checkpoint
//       00000000000000000000.log, .index, .timeindex, .snapshot

import Synchronization

package final class LogStore: Sendable {
  package let clusterId: String
  package let brokerId: Int32
  /// Whether every data directory was stopped cleanly.
  package let wasCleanlyStopped: Bool
  /// The newest time that the data directories bear from before they were opened; nil for new ones.
  package let lastRecordedMs: Int64?
  let options: StoreOptions
  let directories: [DataDirectory]
  let state: Mutex<State>
  let wakeUp: WakeUp
  /// Held while checkpoints are written and by what must not meet them half done.
  let checkpointGate = Mutex(())

  struct State {
    /// In which data directory a partition is, by number.
    var places: [PartitionID: Int]
    var logs: [PartitionID: PartitionLog] = [:]
    var lastCheckpointMs: Int64
    var isClosing = false
    var maintenanceEnded: WakeUp?
  }

  init(
    clusterId: String, options: StoreOptions, directories: [DataDirectory], places: [PartitionID: Int],
    wakeUp: WakeUp, lastRecordedMs: Int64?, nowMs: Int64
  ) {
    self.clusterId = clusterId
    self.brokerId = options.brokerId
    self.options = options
    self.directories = directories
    self.wakeUp = wakeUp
    wasCleanlyStopped = directories.allSatisfy(\.wasCleanlyStopped)
    self.lastRecordedMs = lastRecordedMs
    state = Mutex(State(places: places, lastCheckpointMs: nowMs))
  }

  var fileSystem: any FileSystem { options.fileSystem }

  // MARK: Partitions

  /// The partitions on disk, with the topic they belong to. Topic ids are read from each partition after an unclean stop
  /// only, since nothing else can leave partitions that the metadata does not know; `recordedTopicId` reads one.
  package func existingPartitions() -> [(PartitionID, TopicID?)] {
    state.withLock { Array($0.places.keys) }.map { id in (id, wasCleanlyStopped ? nil : recordedTopicId(of: id)) }
  }

  /// The topic id in the partition's `partition.metadata`; nil when there is no usable one.
  package func recordedTopicId(of id: PartitionID) -> TopicID? {
    guard let directory = place(of: id) else { return nil }
    let content = try? fileSystem.contents(of: "\(directory.path)/\(id)/\(FileNames.partitionMetadata)")
    return content.flatMap { $0 }.flatMap(PartitionMetadata.decode)
  }

  /// The log of a partition that is on disk. Does no I/O: files are opened at first use.
  package func partition(_ id: PartitionID, topicId: TopicID, config: LogConfig) throws(LogError) -> PartitionLog {
    try state.withLock { (state) throws(LogError) in
      if state.isClosing { throw .closed }
      if let log = state.logs[id] {
        guard log.topicId == topicId else { throw .inconsistentTopicId(id, onDisk: log.topicId) }
        return log
      }
      guard let place = state.places[id] else { throw .unknownPartition(id) }
      let home = directories[place]
      let known = home.recorded.withLock { $0.known(id, isClean: home.wasCleanlyStopped) }
      let log = PartitionLog(id: id, topicId: topicId, home: home, config: config, known: known)
      state.logs[id] = log
      return log
    }
  }

  /// The log if it was asked for before.
  package func partition(_ id: PartitionID) -> PartitionLog? { state.withLock { $0.logs[id] } }

  /// Makes a partition, durably, in the data directory that has the fewest.
  package func createPartition(
    _ id: PartitionID, topicId: TopicID, config: LogConfig
  ) throws(LogError) -> PartitionLog {
    try createPartitions([(id, topicId)], config: config)[0]
  }

  /// The most partitions whose files are flushed one by one.
  private static let mostFlushedSingly = 1

  /// Makes several partitions with one flush of each data directory.
  package func createPartitions(
    _ partitions: [(id: PartitionID, topicId: TopicID)], config: LogConfig
  ) throws(LogError) -> [PartitionLog] {
    let flushesFiles = options.flushPolicy == .fileByFile || partitions.count <= Self.mostFlushedSingly
    var touched: Set<Int> = []
    var logs: [PartitionLog] = []
    for (id, topicId) in partitions {
      let place = try reservePlace(for: id)
      touched.insert(place)
      do {
        try createFiles(id, topicId, in: directories[place], flushed: flushesFiles)
      } catch {
        _ = state.withLock { $0.places.removeValue(forKey: id) }
        throw .storage(error)
      }
      let known = KnownOffsets(recoveryPoint: 0, logStartOffset: 0, isClean: true)
      let log = PartitionLog(id: id, topicId: topicId, home: directories[place], config: config, known: known)
      state.withLock { $0.logs[id] = log }
      logs.append(log)
    }
    do {
      for place in touched {
        if flushesFiles {
          try fileSystem.synchronizeDirectory(directories[place].path)
        } else {
          try directories[place].synchronizeFileSystem()
        }
      }
    } catch { throw .storage(error) }
    return logs
  }

  private func reservePlace(for id: PartitionID) throws(LogError) -> Int {
    let place = try state.withLock { (state) throws(LogError) in
      if state.isClosing { throw .closed }
      guard state.places[id] == nil else { throw .partitionExists(id) }
      var counts = [Int](repeating: 0, count: directories.count)
      for place in state.places.values { counts[place] += 1 }
      let place = counts.indices.min { counts[$0] < counts[$1] } ?? 0
      state.places[id] = place
      return place
    }
    // What is recorded of a partition of this name that was deleted must not be taken for this one's after a crash.
    let home = directories[place]
    let isRecorded = home.recorded.withLock { recorded in
      defer { recorded.remove(id) }
      return recorded.recoveryPoints[id] != nil || recorded.logStarts[id] != nil || recorded.cleaned[id] != nil
    }
    if isRecorded {
      do {
        try storeCheckpoints(of: home)
        try storeCleaned(of: home)
      } catch { throw .storage(error) }
    }
    return place
  }

  private func createFiles(
    _ id: PartitionID, _ topicId: TopicID, in home: DataDirectory, flushed: Bool
  ) throws(StorageError) {
    let path = "\(home.path)/\(id)"
    try fileSystem.createDirectory(path)
    let file = try fileSystem.open("\(path)/\(FileNames.partitionMetadata)", .replace)
    defer { fileSystem.close(file) }
    let content = PartitionMetadata.encode(topicId)
    try content.withBytes { (bytes) throws(StorageError) in try fileSystem.write(file, bytes, at: 0) }
    // So that the first segment has a name that is durable: were it lost while a later one is there, the log would seem
    // to begin with that one.
    fileSystem.close(try fileSystem.open("\(path)/\(FileNames.name(0, .log))", .create))
    guard flushed else { return }
    try fileSystem.synchronize(file)
    try fileSystem.synchronizeDirectory(path)
  }

  func place(of id: PartitionID) -> DataDirectory? {
    state.withLock { $0.places[id] }.map { directories[$0] }
  }
}
