// What DescribeLogDirs tells of the data directories.

package struct DataDirectoryDescription: Sendable {
  /// As configured in `log.dirs`.
  package var path: String
  /// Nil when the file system does not say.
  package var space: StorageSpace?
  package var partitions: [PartitionID: PartitionLog]
}

extension LogStore {
  /// The data directories with the partitions in each that are in use.
  package func describe() -> [DataDirectoryDescription] {
    let (places, logs) = state.withLock { ($0.places, $0.logs) }
    return directories.enumerated().map { index, directory in
      DataDirectoryDescription(
        path: directory.path, space: try? fileSystem.space(at: directory.path),
        partitions: logs.filter { places[$0.key] == index })
    }
  }
}
