// A file system in the memory of this process, gone with it: what a broker without a data directory keeps its logs in.
//
// A tree of directories with Unix's rules: a rename replaces, and a file that was removed stays readable through the
// handles it was opened with. It is bounded: beyond its capacity writes are refused as on a full disk.
//
// Handles are negative numbers, which the system takes for no descriptor of its own: who wants to hand one to sendfile
// learns that there is none, and reads.

import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

package final class MemoryFileSystem: FileSystem {
  package static let defaultCapacityBytes = 1 << 30

  private let budget: MemoryBudget
  private let tree = Mutex(Tree())

  /// - Parameter capacityBytes: what the files may take together.
  package init(capacityBytes: Int = defaultCapacityBytes) { budget = MemoryBudget(capacityBytes: capacityBytes) }

  package func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    try inTree(.open, path) { (tree) throws(Refusal) in
      let node = try tree.openNode(path, mode, budget)
      return OpenFile(descriptor: tree.register(Tree.Handle(node: node)), path: path)
    }
  }

  package func close(_ file: OpenFile) {
    // The last reference to a large file may go here: not with the lock held.
    let closed = tree.withLock { $0.close(file.descriptor) }
    withExtendedLifetime(closed) {}
  }

  package func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int {
    try content(of: file, .read).read(into: buffer, at: Int(position))
  }

  package func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    guard try content(of: file, .write).write(head, tail, at: Int(position)) else {
      throw StorageError(ENOSPC, .write, file.path)
    }
  }

  package func size(of file: OpenFile) throws(StorageError) -> Int64 { try content(of: file, .size).byteCount }

  package func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) {
    try content(of: file, .truncate).truncate(to: Int(size))
  }

  // Nothing outlives the process, so there is nothing to make durable.
  package func synchronize(_ file: OpenFile) throws(StorageError) {}
  package func synchronizeDirectory(_ path: String) throws(StorageError) {}
  package func synchronizeFileSystem(of file: OpenFile) throws(StorageError) {}

  package func rename(_ path: String, to newPath: String) throws(StorageError) {
    let replaced = try inTree(.rename, path) { (tree) throws(Refusal) in try tree.rename(path, to: newPath) }
    withExtendedLifetime(replaced) {}
  }

  package func remove(_ path: String) throws(StorageError) {
    let removed = try inTree(.remove, path) { (tree) throws(Refusal) in try tree.removeFile(path) }
    withExtendedLifetime(removed) {}
  }

  package func createDirectory(_ path: String) throws(StorageError) {
    try inTree(.createDirectory, path) { (tree) throws(Refusal) in
      let (parent, name) = try tree.place(of: path)
      guard parent.entries[name] == nil else { throw Refusal(EEXIST) }
      parent.entries[name] = .directory(MemoryDirectory())
    }
  }

  package func removeDirectory(_ path: String) throws(StorageError) {
    try inTree(.removeDirectory, path) { (tree) throws(Refusal) in
      let (parent, name) = try tree.place(of: path)
      guard case .directory(let directory)? = parent.entries[name] else {
        throw Refusal(parent.entries[name] == nil ? ENOENT : ENOTDIR)
      }
      guard directory.entries.isEmpty else { throw Refusal(ENOTEMPTY) }
      parent.entries[name] = nil
    }
  }

  package func list(_ path: String) throws(StorageError) -> [DirectoryEntry] {
    try inTree(.list, path) { (tree) throws(Refusal) in
      guard let node = try tree.node(at: path) else { throw Refusal(ENOENT) }
      guard case .directory(let directory) = node else { throw Refusal(ENOTDIR) }
      return directory.entries.map { DirectoryEntry(name: $0.key, isDirectory: $0.value.isDirectory) }
    }
  }

  package func status(of path: String) throws(StorageError) -> FileStatus? {
    try inTree(.status, path) { (tree) throws(Refusal) in
      // A file where a directory is named on the way is nothing of that name, as with the system's.
      let node: MemoryNode?
      do throws(Refusal) { node = try tree.node(at: path) } catch { node = nil }
      switch node {
      case .file(let file): return file.status
      case .directory(let directory):
        return FileStatus(byteCount: 0, isDirectory: true, modificationTimeMs: directory.creationTimeMs)
      case nil: return nil
      }
    }
  }

  package func lock(_ path: String) throws(StorageError) -> OpenFile {
    try inTree(.lock, path) { (tree) throws(Refusal) in
      let node = try tree.openNode(path, .create, budget)
      guard case .file(let file) = node, !tree.isLocked(file) else { throw Refusal(EWOULDBLOCK) }
      return OpenFile(descriptor: tree.register(Tree.Handle(node: node, isLock: true)), path: path)
    }
  }

  package func space(at path: String) throws(StorageError) -> StorageSpace {
    StorageSpace(
      totalBytes: Int64(budget.capacityBytes), usableBytes: Int64(max(0, budget.capacityBytes - budget.usedBytes)))
  }

  // MARK: Into the tree

  private func inTree<Result: Sendable>(
    _ operation: StorageError.Operation, _ path: String, _ body: (inout Tree) throws(Refusal) -> Result
  ) throws(StorageError) -> Result {
    do throws(Refusal) {
      return try tree.withLock { (tree) throws(Refusal) in try body(&tree) }
    } catch {
      throw StorageError(error.errorNumber, operation, path)
    }
  }

  private func content(of file: OpenFile, _ operation: StorageError.Operation) throws(StorageError) -> MemoryFile {
    try inTree(operation, file.path) { (tree) throws(Refusal) in try tree.file(of: file.descriptor) }
  }
}
