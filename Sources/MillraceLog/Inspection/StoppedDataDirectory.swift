// A data directory whose broker is stopped and cannot start as long as this is there: it holds the directory's lock.

package final class StoppedDataDirectory: Sendable {
  package let path: String
  private let fileSystem: any FileSystem
  private let lockFile: OpenFile
  private let recorded: RecordedOffsets
  private let wasCleanlyStopped: Bool

  /// Throws `directoryInUse` while a broker has the directory.
  package init(_ path: String, fileSystem: any FileSystem = PosixFileSystem()) throws(LogError) {
    self.path = path
    self.fileSystem = fileSystem
    do {
      lockFile = try fileSystem.lock("\(path)/\(LogStore.lockName)")
    } catch {
      throw error.isLocked ? .directoryInUse(path) : .storage(error)
    }
    do {
      recorded = try LogStore.readCheckpoints(in: path, fileSystem)
      let marker = "\(path)/\(LogStore.cleanMarkerName)"
      wasCleanlyStopped = try LogError.wrap(try fileSystem.status(of: marker)) != nil
    } catch {
      fileSystem.unlock(lockFile)
      throw error
    }
  }

  deinit { fileSystem.unlock(lockFile) }

  package func partitions() throws(LogError) -> [PartitionID] {
    try LogInspector.partitions(inDataDirectory: path, fileSystem: fileSystem)
  }

  /// Use it while the directory is held.
  package func repair(_ id: PartitionID) -> LogRepair {
    let end = recorded.recoveryPoints[id]
    // Two files that a clean stop wrote say the same, or one of them is not to be believed.
    let isKnown = wasCleanlyStopped && end == recorded.highWatermarks[id]
    return LogRepair(
      directory: "\(path)/\(id)", fileSystem: fileSystem,
      known: recorded.known(id, isClean: wasCleanlyStopped), endOffset: isKnown ? end : nil,
      compactedTo: recorded.cleaned[id] ?? 0)
  }

  /// Checkpoint files that are there and cannot be read. The broker goes without them, and writes them anew.
  package func unusableCheckpoints() throws(LogError) -> [String] {
    var paths: [String] = []
    for checkpoint in OffsetCheckpoint.allCases {
      let path = "\(path)/\(checkpoint.rawValue)"
      guard let content = try LogError.wrap(try fileSystem.contents(of: path)) else { continue }
      if OffsetCheckpoint.decode(content) == nil { paths.append(path) }
    }
    return paths
  }
}
