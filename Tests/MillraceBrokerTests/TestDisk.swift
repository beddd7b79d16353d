// The machine's own file system, with a hand on it: flushes and reads can be held up, writes and flushes made to fail,
// all only for the files of one topic.

import MillraceLog
import Synchronization

#if canImport(Glibc)
  import Glibc
#else
  import Darwin
#endif

final class TestDisk: FileSystem {
  struct Trouble {
    /// Part of the paths that are troubled.
    var path = ""
    var holdsFlushes = false
    var holdsReads = false
    var isFull = false
    var failsFlushes = false
    /// Neither a file can be opened nor a directory read.
    var isUnreadable = false
  }

  let trouble = Mutex(Trouble())
  private let disk = PosixFileSystem()

  private func hold(_ path: String, while isHeld: (Trouble) -> Bool) {
    while trouble.withLock({ path.contains($0.path) && isHeld($0) }) { usleep(500) }
  }

  private func hits(_ path: String, _ question: (Trouble) -> Bool) -> Bool {
    trouble.withLock { path.contains($0.path) && question($0) }
  }

  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    if hits(path, { $0.isUnreadable }) { throw StorageError(EIO, .open, path) }
    return try disk.open(path, mode)
  }

  func close(_ file: OpenFile) { disk.close(file) }

  func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int {
    hold(file.path) { $0.holdsReads }
    return try disk.read(file, into: buffer, at: position)
  }

  func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    if hits(file.path, { $0.isFull }) { throw StorageError(ENOSPC, .write, file.path) }
    try disk.write(file, head, tail, at: position)
  }

  func size(of file: OpenFile) throws(StorageError) -> Int64 { try disk.size(of: file) }
  func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) { try disk.truncate(file, to: size) }

  func synchronize(_ file: OpenFile) throws(StorageError) {
    hold(file.path) { $0.holdsFlushes }
    if hits(file.path, { $0.failsFlushes }) { throw StorageError(EIO, .synchronize, file.path) }
    try disk.synchronize(file)
  }

  func synchronizeDirectory(_ path: String) throws(StorageError) { try disk.synchronizeDirectory(path) }
  func synchronizeFileSystem(of file: OpenFile) throws(StorageError) { try disk.synchronizeFileSystem(of: file) }
  func rename(_ path: String, to newPath: String) throws(StorageError) { try disk.rename(path, to: newPath) }
  func remove(_ path: String) throws(StorageError) { try disk.remove(path) }
  func createDirectory(_ path: String) throws(StorageError) { try disk.createDirectory(path) }
  func removeDirectory(_ path: String) throws(StorageError) { try disk.removeDirectory(path) }
  func list(_ path: String) throws(StorageError) -> [DirectoryEntry] {
    if hits(path, { $0.isUnreadable }) { throw StorageError(EIO, .list, path) }
    return try disk.list(path)
  }

  func status(of path: String) throws(StorageError) -> FileStatus? { try disk.status(of: path) }
  func lock(_ path: String) throws(StorageError) -> OpenFile { try disk.lock(path) }
  func space(at path: String) throws(StorageError) -> StorageSpace { try disk.space(at: path) }
}
