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
    /// Where partitions are being made; nobody else knows of them before they are.
    var reserved: [PartitionID: Int] = [:]
    /// Where making a partition failed and may have left something.
    var unfinished: [PartitionID: Int] = [:]
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

  /// Makes several partitions with one flush of each data directory. All of them or, as far as anybody is told, none:
  /// nobody finds a partition whose directory may go with a power cut.
  package func createPartitions(
    _ partitions: [(id: PartitionID, topicId: TopicID)], config: LogConfig
  ) throws(LogError) -> [PartitionLog] {
    var reserved: [(id: PartitionID, topicId: TopicID, place: Int)] = []
    do throws(LogError) {
      for (id, topicId) in partitions { reserved.append((id, topicId, try reservePlace(for: id))) }
      for (id, _, place) in reserved { try forgetRecorded(id, in: directories[place]) }
      try createDirectories(reserved)
    } catch {
      state.withLock { state in
        // The next try finds what this one left where it looks.
        for (id, _, place) in reserved {
          state.reserved[id] = nil
          state.unfinished[id] = place
        }
      }
      throw error
    }
    let known = KnownOffsets(recoveryPoint: 0, logStartOffset: 0, isClean: true)
    let logs = reserved.map { id, topicId, place in
      PartitionLog(id: id, topicId: topicId, home: directories[place], config: config, known: known)
    }
    state.withLock { state in
      for (log, (id, _, place)) in zip(logs, reserved) {
        state.reserved[id] = nil
        state.unfinished[id] = nil
        state.places[id] = place
        state.logs[id] = log
      }
    }
    return logs
  }

  /// Takes the place of a partition that is about to be made.
  private func reservePlace(for id: PartitionID) throws(LogError) -> Int {
    try state.withLock { (state) throws(LogError) in
      if state.isClosing { throw .closed }
      guard state.places[id] == nil, state.reserved[id] == nil else { throw .partitionExists(id) }
      var counts = [Int](repeating: 0, count: directories.count)
      for place in state.places.values { counts[place] += 1 }
      for place in state.reserved.values { counts[place] += 1 }
      let place = state.unfinished[id] ?? counts.indices.min { counts[$0] < counts[$1] } ?? 0
      state.reserved[id] = place
      return place
    }
  }

  /// What is recorded of a partition of this name that was deleted must not be taken for this one's after a crash.
  private func forgetRecorded(_ id: PartitionID, in home: DataDirectory) throws(LogError) {
    let before = home.recorded.withLock { recorded in
      defer { recorded.remove(id) }
      return recorded
    }
    guard
      before.recoveryPoints[id] != nil || before.logStarts[id] != nil || before.highWatermarks[id] != nil
        || before.cleaned[id] != nil
    else { return }
    do {
      try storeCheckpoints(of: home)
      try storeCleaned(of: home)
    } catch {
      // The files may still have it, so the next try has to store them again.
      home.recorded.withLock { recorded in
        recorded.recoveryPoints[id] = before.recoveryPoints[id]
        recorded.logStarts[id] = before.logStarts[id]
        recorded.highWatermarks[id] = before.highWatermarks[id]
        recorded.cleaned[id] = before.cleaned[id]
      }
      throw .storage(error)
    }
  }

  private func createDirectories(
    _ partitions: [(id: PartitionID, topicId: TopicID, place: Int)]
  ) throws(LogError) {
    let places = Set(partitions.map(\.place))
    let flushesFiles =
      options.flushPolicy == .fileByFile || partitions.count <= Self.mostFlushedSingly
      || !places.allSatisfy { directories[$0].canSynchronizeFileSystem }
    do {
      for (id, topicId, place) in partitions {
        try createFiles(id, topicId, in: directories[place], flushed: flushesFiles)
      }
      for place in places {
        if flushesFiles {
          try fileSystem.synchronizeDirectory(directories[place].path)
        } else {
          try directories[place].synchronizeFileSystem()
        }
      }
    } catch { throw .storage(error) }
  }

  private func createFiles(
    _ id: PartitionID, _ topicId: TopicID, in home: DataDirectory, flushed: Bool
  ) throws(StorageError) {
    let path = "\(home.path)/\(id)"
    do throws(StorageError) {
      try fileSystem.createDirectory(path)
    } catch {
      guard error.isAlreadyThere, try removeUnfinished(path) else { throw error }
      try fileSystem.createDirectory(path)
    }
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

  /// Removes what an earlier try to make the partition left, so that all of it is made, and made durable, anew. Returns
  /// false, having done nothing, when there is more than such a try makes: that may be somebody's data.
  private func removeUnfinished(_ path: String) throws(StorageError) -> Bool {
    let firstSegment = "\(path)/\(FileNames.name(0, .log))"
    let names = Set(try fileSystem.list(path).map(\.name))
    guard names.isSubset(of: [FileNames.partitionMetadata, FileNames.name(0, .log)]),
      try fileSystem.status(of: firstSegment)?.byteCount ?? 0 == 0
    else { return false }
    for name in names { try fileSystem.remove("\(path)/\(name)") }
    try fileSystem.removeDirectory(path)
    return true
  }

  func place(of id: PartitionID) -> DataDirectory? {
    state.withLock { $0.places[id] }.map { directories[$0] }
  }
}
