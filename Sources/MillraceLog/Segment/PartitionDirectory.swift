// Where a partition's files are. The directory is renamed when the partition is deleted, so nobody keeps its path.

import Synchronization

final class PartitionDirectory: Sendable {
  private let current: Mutex<String>

  init(_ path: String) {
    current = Mutex(path)
  }

  var path: String { current.withLock { $0 } }

  func path(_ offset: Int64, _ kind: LogFileKind) -> String {
    "\(path)/\(FileNames.name(offset, kind))"
  }

  func path(_ name: String) -> String { "\(path)/\(name)" }

  /// Runs `rename` and, if it did not throw, remembers the new path.
  func move<E: Error>(to newPath: String, _ rename: (String) throws(E) -> Void) throws(E) {
    try current.withLock { (path) throws(E) in
      try rename(path)
      path = newPath
    }
  }
}
