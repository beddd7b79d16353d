// The machine's file system with faults on order: calls that fail, flushes that wait until they are let go, and counts.

import Foundation
import Synchronization

@testable import MillraceLog

#if canImport(Glibc)
  import Glibc
#endif

final class FaultyFileSystem: FileSystem {
  struct Faults {
    /// Bytes that may still be written; then `roomError` after a part of the write.
    var room: Int?
    var roomError = ENOSPC
    /// Error numbers for calls on paths that end so.
    var failures: [(operation: StorageError.Operation, suffix: String, errorNumber: Int32)] = []
    /// Runs once: before the bytes of the next write to a log.
    var beforeWrite: (@Sendable () -> Void)?
    var flushesAreHeld = false
    var heldFlushes = 0
    var counts: [StorageError.Operation: Int] = [:]
    var openFiles: [Int32: String] = [:]
    var mostOpenFiles = 0
  }

  private let posix = PosixFileSystem()
  let faults = Mutex(Faults())
  private let release = NSCondition()

  func set(_ change: (inout Faults) -> Void) { faults.withLock { change(&$0) } }
  func count(_ operation: StorageError.Operation) -> Int { faults.withLock { $0.counts[operation] ?? 0 } }
  var heldFlushes: Int { faults.withLock { $0.heldFlushes } }

  func fail(_ operation: StorageError.Operation, _ suffix: String, _ errorNumber: Int32) {
    set { $0.failures.append((operation, suffix, errorNumber)) }
  }
  func heal() {
    set {
      $0.failures = []
      $0.room = nil
    }
  }

  func holdFlushes() { set { $0.flushesAreHeld = true } }
  func releaseFlushes() {
    set { $0.flushesAreHeld = false }
    release.withLock { release.broadcast() }
  }
  /// Waits until a flush is being held.
  func waitForFlush() { while heldFlushes == 0 { usleep(200) } }

  private func enter(_ operation: StorageError.Operation, _ path: String) throws(StorageError) {
    let errorNumber = faults.withLock { faults -> Int32? in
      faults.counts[operation, default: 0] += 1
      return faults.failures.first { $0.operation == operation && path.hasSuffix($0.suffix) }?.errorNumber
    }
    if let errorNumber { throw StorageError(errorNumber, operation, path) }
  }

  private func hold() {
    release.withLock {
      guard faults.withLock({ $0.flushesAreHeld }) else { return }
      set { $0.heldFlushes += 1 }
      while faults.withLock({ $0.flushesAreHeld }) { release.wait() }
      set { $0.heldFlushes -= 1 }
    }
  }

  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile {
    try enter(.open, path)
    let file = try posix.open(path, mode)
    set {
      $0.openFiles[file.descriptor] = path
      let segmentFiles = $0.openFiles.values.count { $0.hasSuffix(".log") || $0.hasSuffix("index") }
      $0.mostOpenFiles = max($0.mostOpenFiles, segmentFiles)
    }
    return file
  }

  func close(_ file: OpenFile) {
    set { $0.openFiles[file.descriptor] = nil }
    posix.close(file)
  }

  func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int {
    try enter(.read, file.path)
    return try posix.read(file, into: buffer, at: position)
  }

  func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError) {
    try enter(.write, file.path)
    if file.path.hasSuffix(".log") {
      faults.withLock { faults in
        defer { faults.beforeWrite = nil }
        return faults.beforeWrite
      }?()
    }
    let room = faults.withLock { faults -> Int? in
      guard let room = faults.room else { return nil }
      faults.room = max(0, room - head.count - tail.count)
      return room
    }
    guard let room, room < head.count + tail.count else { return try posix.write(file, head, tail, at: position) }
    let part = UnsafeRawBufferPointer(rebasing: head[..<min(room, head.count)])
    try posix.write(file, part, UnsafeRawBufferPointer(start: nil, count: 0), at: position)
    throw StorageError(faults.withLock { $0.roomError }, .write, file.path)
  }

  func size(of file: OpenFile) throws(StorageError) -> Int64 { try posix.size(of: file) }

  func truncate(_ file: OpenFile, to size: Int64) throws(StorageError) {
    try enter(.truncate, file.path)
    try posix.truncate(file, to: size)
  }

  func synchronize(_ file: OpenFile) throws(StorageError) {
    hold()
    try enter(.synchronize, file.path)
    try posix.synchronize(file)
  }

  func synchronizeDirectory(_ path: String) throws(StorageError) {
    hold()
    try enter(.synchronizeDirectory, path)
    try posix.synchronizeDirectory(path)
  }

  func synchronizeFileSystem(of file: OpenFile) throws(StorageError) {
    hold()
    try enter(.synchronizeFileSystem, file.path)
    // Files one by one: a test machine's file system holds more than the test's.
    for descriptor in faults.withLock({ Array($0.openFiles.keys) }) { _ = fdatasync(descriptor) }
  }

  func rename(_ path: String, to newPath: String) throws(StorageError) {
    try enter(.rename, path)
    try posix.rename(path, to: newPath)
  }
  func remove(_ path: String) throws(StorageError) {
    try enter(.remove, path)
    try posix.remove(path)
  }
  func createDirectory(_ path: String) throws(StorageError) {
    try enter(.createDirectory, path)
    try posix.createDirectory(path)
  }
  func removeDirectory(_ path: String) throws(StorageError) { try posix.removeDirectory(path) }
  func list(_ path: String) throws(StorageError) -> [DirectoryEntry] {
    try enter(.list, path)
    return try posix.list(path)
  }
  func status(of path: String) throws(StorageError) -> FileStatus? {
    try enter(.status, path)
    return try posix.status(of: path)
  }
  func lock(_ path: String) throws(StorageError) -> OpenFile { try posix.lock(path) }
  func space(at path: String) throws(StorageError) -> StorageSpace { try posix.space(at: path) }
}
