// Deleting partitions. The directory gets another name at once, which is all that a crash has to find; its files go
// when `file.delete.delay.ms` has passed, or on the next start.

extension LogStore {
  /// The longest name that file systems take.
  private static let longestName = 255

  package func deletePartition(_ id: PartitionID, nowMs: Int64) throws(LogError) {
    let (home, log) = try takePartition(id)
    let delayMs = log?.config.fileDeleteDelayMs ?? LogConfig().fileDeleteDelayMs
    let path = try move(id, log, in: home, suffix: FileNames.deletedDirectorySuffix)
    log?.endUse(.deleted)
    home.remove(
      DataDirectory.Removal(
        path: path, isDirectory: true, dueMs: DataDirectory.Removal.due(delayMs, after: nowMs)))
  }

  /// Puts a partition that nobody knows out of the way, with all its data: its directory is renamed to `…-stray`.
  package func setAside(_ id: PartitionID) throws(LogError) {
    let (home, log) = try takePartition(id)
    _ = try move(id, log, in: home, suffix: FileNames.strayDirectorySuffix)
    log?.endUse(.deleted)
  }

  private func takePartition(_ id: PartitionID) throws(LogError) -> (DataDirectory, PartitionLog?) {
    try state.withLock { (state) throws(LogError) in
      guard let place = state.places.removeValue(forKey: id) else { throw .unknownPartition(id) }
      return (directories[place], state.logs.removeValue(forKey: id))
    }
  }

  /// Renames the partition's directory; durable on return.
  private func move(
    _ id: PartitionID, _ log: PartitionLog?, in home: DataDirectory, suffix: String
  ) throws(LogError) -> String {
    let newPath = "\(home.path)/\(Self.movedName(id, suffix))"
    let directory = log?.directory ?? PartitionDirectory("\(home.path)/\(id)")
    do {
      try directory.move(to: newPath) { (path) throws(StorageError) in try fileSystem.rename(path, to: newPath) }
      try fileSystem.synchronizeDirectory(home.path)
    } catch { throw .storage(error) }
    return newPath
  }

  /// `<topic>-<partition>.<32 digits>-delete`, the topic shortened to what fits.
  private static func movedName(_ id: PartitionID, _ suffix: String) -> String {
    var generator = SystemRandomNumberGenerator()
    let unique = TopicID.random(using: &generator)
    let digits = [unique.high, unique.low].map { half in
      let text = String(half, radix: 16)
      return String(repeating: "0", count: 16 - text.count) + text
    }
    let ending = "-\(id.partition).\(digits.joined())\(suffix)"
    return String(id.topic.prefix(longestName - ending.utf8.count)) + ending
  }
}
