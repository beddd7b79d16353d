// The machine's file system until a number of changing calls have been made; all later ones fail, as if the machine had
// stopped there. Reading goes on.

import Synchronization

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

final class StoppingFileSystem: FileSystem {
  private let posix = PosixFileSystem()
  private let left = Mutex<Int?>(nil)
  private let calls = Mutex(0)

  /// Lets `count` more changing calls succeed; nil lets all.
  func stop(after count: Int?) {
    left.withLock { $0 = count }
    calls.withLock { $0 = 0 }
  }

  /// Changing calls since `stop` was called.
  var callCount: Int { calls.withLock { $0 } }

  private func change(_ operation: StorageError.Operation, _ path: String) throws(StorageError) {
    calls.withLock { $0 += 1 }
    let fails = left.withLock { left -> Bool in
      guard let count = left else { return false }
      left = max(0, count - 1)
      return count == 0
    }
    if fails { throw StorageError(EIO, operation, path) }
  }

  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    if mode == .create || mode == .replace { try change(.open, path) }
    return try posix.open(path, mode)
  }
  func close(_ file: OpenFile) { posix.close(file) }
  func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int { try posix.read(file, into: buffer, at: position) }
  func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    try change(.write, file.path)
    try posix.write(file, head, tail, at: position)
  }
  func size(of file: OpenFile) throws(StorageError) -> Int64 { try posix.size(of: file) }
  func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) {
    try change(.truncate, file.path)
    try posix.truncate(file, to: size)
  }
  func synchronize(_ file: OpenFile) throws(StorageError) { try change(.synchronize, file.path) }
  func synchronizeDirectory(_ path: String) throws(StorageError) { try change(.synchronizeDirectory, path) }
  func synchronizeFileSystem(of file: OpenFile) throws(StorageError) {
    try change(.synchronizeFileSystem, file.path)
  }
  func rename(_ path: String, to newPath: String) throws(StorageError) {
    try change(.rename, path)
    try posix.rename(path, to: newPath)
  }
  func remove(_ path: String) throws(StorageError) {
    try change(.remove, path)
    try posix.remove(path)
  }
  func createDirectory(_ path: String) throws(StorageError) {
    try change(.createDirectory, path)
    try posix.createDirectory(path)
  }
  func removeDirectory(_ path: String) throws(StorageError) {
    try change(.removeDirectory, path)
    try posix.removeDirectory(path)
  }
  func list(_ path: String) throws(StorageError) -> [DirectoryEntry] { try posix.list(path) }
  func status(of path: String) throws(StorageError) -> FileStatus? { try posix.status(of: path) }
  func lock(_ path: String) throws(StorageError) -> OpenFile { try posix.lock(path) }
  func space(at path: String) throws(StorageError) -> StorageSpace { try posix.space(at: path) }
}
