// The data directories as DescribeLogDirs tells of them.

/// A data directory, how full its file system is, and the partitions in it.
package struct LogDirectory: Sendable {
  package var path: String
  /// Nil when the file system does not say.
  package var space: StorageSpace?
  package var partitions: [PartitionID]
}

extension LogStore {
  package func logDirectories() -> [LogDirectory] {
    let places = state.withLock { $0.places }
    var partitions = [[PartitionID]](repeating: [], count: directories.count)
    for (id, place) in places { partitions[place].append(id) }
    return zip(directories, partitions).map { directory, partitions in
      LogDirectory(path: directory.path, space: try? fileSystem.space(at: directory.path), partitions: partitions)
    }
  }

  /// Bytes of the partition's batches, whether it was opened or not.
  package func sizeInBytes(of id: PartitionID) -> Int64 {
    if let log = partition(id) { return log.sizeInBytes }
    guard let home = place(of: id) else { return 0 }
    let known = KnownOffsets(recoveryPoint: nil, logStartOffset: nil, isClean: true)
    return PartitionLog(id: id, topicId: .zero, home: home, config: LogConfig(), known: known).sizeInBytes
  }
}
