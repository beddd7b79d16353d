// Small files that a log's owner keeps beside the segments. They go where the partition goes.

extension PartitionLog {
  /// The names of the files that end so.
  package func fileNames(endingIn suffix: String) throws(LogError) -> [String] {
    try LogError.wrap(try home.fileSystem.list(directory.path)).filter { !$0.isDirectory && $0.name.hasSuffix(suffix) }
      .map(\.name)
  }

  /// What the file holds; nil when there is none.
  package func contents(ofFile name: String) throws(LogError) -> [UInt8]? {
    try LogError.wrap(try home.fileSystem.contents(of: directory.path(name)))
  }

  /// Puts `bytes` in the place of the file. Whole and durable on return.
  package func replaceFile(_ name: String, with bytes: [UInt8]) throws(LogError) {
    try LogError.wrap(try home.fileSystem.replaceFile(at: directory.path(name), in: directory.path, with: bytes))
  }

  /// Removes the file; durable on return.
  package func removeFile(_ name: String) throws(LogError) {
    do {
      try home.fileSystem.removeIfPresent(directory.path(name))
      try home.fileSystem.synchronizeDirectory(directory.path)
    } catch { throw .storage(error) }
  }
}
