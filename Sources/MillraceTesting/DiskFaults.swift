// What a test has go wrong between the broker and its logs.

import MillraceLog
import Synchronization

/// A disk that is full, broken or slow.
public final class DiskFaults: Sendable {
  struct State {
    var isFull = false
    var failsWrites = false
    var failsFlushes = false
    var flushDelay = Duration.zero
  }

  private let state = Mutex(State())

  /// Writes are refused as on a full disk: the broker answers `KAFKA_STORAGE_ERROR`, and goes on once there is room.
  public func fill() { state.withLock { $0.isFull = true } }

  /// Writes fail. A partition that meets this takes no more writes, even after the disk is well, as the broker cannot
  /// know what is on it.
  public func failWrites() { state.withLock { $0.failsWrites = true } }

  /// Flushes fail, with the same consequence. A broker in memory flushes for internal topics, and for others with
  /// the setting `log.durability=commit`.
  public func failFlushes() { state.withLock { $0.failsFlushes = true } }

  /// Flushes take so much longer, and with them what waits for them.
  public func delayFlushes(by duration: Duration) { state.withLock { $0.flushDelay = duration } }

  /// Ends all faults.
  public func heal() { state.withLock { $0 = State() } }

  var current: State { state.withLock { $0 } }
}

/// Another file system with faults.
struct FaultyFileSystem: FileSystem {
  private let base: any FileSystem
  private let faults: DiskFaults

  init(_ base: any FileSystem, _ faults: DiskFaults) {
    self.base = base
    self.faults = faults
  }

  func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    let faults = faults.current
    if faults.isFull { throw .outOfSpace(.write, file.path) }
    if faults.failsWrites { throw .broken(.write, file.path) }
    try base.write(file, head, tail, at: position)
  }

  func synchronize(_ file: OpenFile) throws(StorageError) {
    try flush(.synchronize, file.path)
    try base.synchronize(file)
  }

  func synchronizeFileSystem(of file: OpenFile) throws(StorageError) {
    try flush(.synchronizeFileSystem, file.path)
    try base.synchronizeFileSystem(of: file)
  }

  private func flush(_ operation: StorageError.Operation, _ path: String) throws(StorageError) {
    let faults = faults.current
    // Flushes have threads of their own, which may wait.
    if faults.flushDelay > .zero { WakeUp().wait(until: .now + faults.flushDelay) }
    if faults.failsFlushes { throw .broken(operation, path) }
  }

  // The rest is as it is.

  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile { try base.open(path, mode) }
  func close(_ file: OpenFile) { base.close(file) }
  func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int { try base.read(file, into: buffer, at: position) }
  func size(of file: OpenFile) throws(StorageError) -> Int64 { try base.size(of: file) }
  func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) { try base.truncate(file, to: size) }
  func synchronizeDirectory(_ path: String) throws(StorageError) { try base.synchronizeDirectory(path) }
  func rename(_ path: String, to newPath: String) throws(StorageError) { try base.rename(path, to: newPath) }
  func remove(_ path: String) throws(StorageError) { try base.remove(path) }
  func createDirectory(_ path: String) throws(StorageError) { try base.createDirectory(path) }
  func removeDirectory(_ path: String) throws(StorageError) { try base.removeDirectory(path) }
  func list(_ path: String) throws(StorageError) -> [DirectoryEntry] { try base.list(path) }
  func status(of path: String) throws(StorageError) -> FileStatus? { try base.status(of: path) }
  func lock(_ path: String) throws(StorageError) -> OpenFile { try base.lock(path) }
  func space(at path: String) throws(StorageError) -> StorageSpace { try base.space(at: path) }
}
