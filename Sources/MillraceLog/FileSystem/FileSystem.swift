// Everything that the log asks of an operating system. No other type of this module makes a system call on a file, so a
// file system that records, tears or refuses what it is told (the crash tests) sees all there is to see.
//
// All calls block. Reads and writes take a position, so one handle serves any number of threads. A call that was
// interrupted, or that did only part of its work, is carried on inside; an error is final for that call, and a write
// that failed may have written a part.

package protocol FileSystem: Sendable {
  func open(_ path: String, _ mode: OpenMode) throws(StorageError) -> OpenFile
  func close(_ file: OpenFile)

  /// Fills `buffer` from `position`. Returns fewer bytes than it holds only at the end of the file.
  func read(
    _ file: OpenFile, into buffer: UnsafeMutableRawBufferPointer, at position: Int64
  ) throws(StorageError) -> Int
  /// Writes `head` and then `tail` at `position`, in one call where the system takes them in one.
  func write(
    _ file: OpenFile, _ head: UnsafeRawBufferPointer, _ tail: UnsafeRawBufferPointer, at position: Int64
  ) throws(StorageError)
  func size(of file: OpenFile) throws(StorageError) -> Int64
  func truncate(_ file: OpenFile, to size: Int64) throws(StorageError)

  /// Makes the file's bytes, and the length that finds them, durable.
  func synchronize(_ file: OpenFile) throws(StorageError)
  /// Makes creations, renames and removals in a directory durable.
  func synchronizeDirectory(_ path: String) throws(StorageError)
  /// Makes everything on the file system that holds `file` durable.
  func synchronizeFileSystem(of file: OpenFile) throws(StorageError)

  func rename(_ path: String, to newPath: String) throws(StorageError)
  func remove(_ path: String) throws(StorageError)
  func createDirectory(_ path: String) throws(StorageError)
  func removeDirectory(_ path: String) throws(StorageError)
  func list(_ path: String) throws(StorageError) -> [DirectoryEntry]
  /// Nil when there is nothing of that name.
  func status(of path: String) throws(StorageError) -> FileStatus?

  /// Creates `path` if need be and takes an exclusive lock on it that ends with the handle or the process. Throws
  /// `StorageError.wouldBlock` at once when somebody else has it.
  func lock(_ path: String) throws(StorageError) -> OpenFile
  /// Gives a lock back, and closes its file.
  func unlock(_ file: OpenFile)
  func space(at path: String) throws(StorageError) -> StorageSpace
}

extension FileSystem {
  func write(_ file: OpenFile, _ bytes: UnsafeRawBufferPointer, at position: Int64) throws(StorageError) {
    try write(file, bytes, UnsafeRawBufferPointer(start: nil, count: 0), at: position)
  }
}

package enum OpenMode: Sendable {
  case read
  case readWrite
  /// Reading and writing; the file is made if it is not there.
  case create
  /// As `create`, and what was in the file is dropped.
  case replace
}

/// An open file. Copies name the same descriptor; somebody closes it once.
package struct OpenFile: Sendable {
  /// Negative when the file is none of the operating system's.
  package let descriptor: Int32
  package let path: String

  package init(descriptor: Int32, path: String) {
    self.descriptor = descriptor
    self.path = path
  }
}

package struct DirectoryEntry: Sendable, Hashable {
  package var name: String
  package var isDirectory: Bool

  package init(name: String, isDirectory: Bool) {
    self.name = name
    self.isDirectory = isDirectory
  }
}

package struct FileStatus: Sendable, Hashable {
  package var byteCount: Int64
  package var isDirectory: Bool
  package var modificationTimeMs: Int64

  package init(byteCount: Int64, isDirectory: Bool, modificationTimeMs: Int64) {
    self.byteCount = byteCount
    self.isDirectory = isDirectory
    self.modificationTimeMs = modificationTimeMs
  }
}

package struct StorageSpace: Sendable, Hashable {
  package var totalBytes: Int64
  package var usableBytes: Int64

  package init(totalBytes: Int64, usableBytes: Int64) {
    self.totalBytes = totalBytes
    self.usableBytes = usableBytes
  }
}

extension FileSystem {
  package func unlock(_ file: OpenFile) { close(file) }
}
